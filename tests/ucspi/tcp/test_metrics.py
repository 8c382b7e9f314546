"""--metrics: what tcpserver has done, in numbers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from commands import run
from tcp import Server
from until import until

PREFIX = "tcpserver_connections_"


def numbers(file: Path) -> dict[str, int]:
    """The numbers in *file*; refusals by reason."""
    if not file.exists():
        return {}
    text = file.read_text()
    assert re.fullmatch(r'(# TYPE [a-z_]+ (gauge|counter)\n|[a-z_]+(\{reason="\w+"\})? \d+\n)+', text)
    pairs = (line.removeprefix(PREFIX).rsplit(" ", 1) for line in text.splitlines() if line.startswith(PREFIX))
    return {re.sub(r'refused_total\{reason="(\w+)"\}', r"\1", name): int(value) for name, value in pairs}


def server(file: Path, *options: str, program: tuple[str, ...] = ("cat",)) -> Server:
    return Server(*program, options=["-vRHl0", "--metrics", str(file), *options])


def test_connections_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "tcpserver.prom"
    with server(file, "-c7") as running:
        until(lambda: numbers(file).get("limit") == 7)
        assert (numbers(file)["open"], numbers(file)["accepted_total"]) == (0, 0)
        with running.connect(), running.connect():
            until(lambda: numbers(file)["open"] == 2)
        until(lambda: numbers(file)["open"] == 0)
        assert numbers(file)["accepted_total"] == 2
        assert sum(value for name, value in numbers(file).items() if "_" not in name and name != "limit") == 0


def test_refusals_are_counted_by_reason(tmp_path: Path) -> None:
    rules = b'127.0.0.2:deny\n127.0.0.3:allow,MAXRATEIP="1"\n:allow\n'
    assert run("tcprules", tmp_path / "r.cdb", tmp_path / "r.tmp", input=rules).code == 0
    file = tmp_path / "tcpserver.prom"
    with server(file, "-C1", "-x", str(tmp_path / "r.cdb"), "--proxy", "127.0.0.4") as running:
        for source in ["127.0.0.2", "127.0.0.2", "127.0.0.3", "127.0.0.3"]:
            running.ask(source=source, say=b"hello\n")
            until(lambda: running.log().endswith("status: 0/40\n"))
        running.ask(source="127.0.0.4", say=b"hello\n")
        with running.connect(source="127.0.0.5"):
            running.logged("tcpserver: ok ", 2)
            running.ask(source="127.0.0.5")
        until(lambda: numbers(file).get("rules") == 2 and numbers(file)["address"] == 1)
        found = numbers(file)
        assert {name: found[name] for name in ("MAXRATEIP", "proxy", "trouble", "MAXCONNIP")} == {
            "MAXRATEIP": 1,
            "proxy": 1,
            "trouble": 0,
            "MAXCONNIP": 0,
        }
        assert found["accepted_total"] == 5


def test_trouble_is_counted(tmp_path: Path) -> None:
    file = tmp_path / "tcpserver.prom"
    with server(file, program=("no-such-program",)) as running:
        running.ask()
        until(lambda: numbers(file).get("trouble") == 1)


@pytest.mark.parametrize("program", [("sh", "-c", "ls /proc/$$/fd"), ("softlimit", "sh", "-c", "ls /proc/$$/fd")])
def test_the_program_finds_no_descriptor_more(program: tuple[str, ...], tmp_path: Path) -> None:
    with server(tmp_path / "tcpserver.prom", program=program) as running:
        assert running.ask() == b"0\n1\n2\n"


def test_a_file_that_cannot_be_written_is_said_once_and_hinders_nobody(tmp_path: Path) -> None:
    with server(tmp_path / "none" / "tcpserver.prom") as running:
        for _ in range(3):
            assert running.ask(say=b"hello\n") == b"hello\n"
        running.process.terminate()
        assert running.process.wait(20) == 0
        said = f"tcpserver: warning: unable to write {tmp_path}/none/tcpserver.prom: file does not exist\n"
        assert running.log().count(said) == 1


def test_the_last_numbers_are_written_at_the_end(tmp_path: Path) -> None:
    file = tmp_path / "tcpserver.prom"
    with server(file, "--drain", "20") as running:
        with running.connect():
            running.logged("tcpserver: ok ")
            running.process.terminate()
        assert running.process.wait(20) == 0
        assert (numbers(file)["open"], numbers(file)["accepted_total"]) == (0, 1)
