"""qbiff, on a terminal of our own, with a list of sessions in place of the system's."""

from __future__ import annotations

import os
import pty
import tty
from collections.abc import Iterator

import pytest
from injecting import Home

MESSAGE = b"Subject: hi\n there\nFrom: joe\n\nhello \xff\x1b[2J\nworld\n"
BARK = b"\r\n\a*** TO <bill-Ext> FROM <joe@irs.gov>\r\n    hi/ there//hello //[2J/world/\r\n"


class Terminal:
    """A terminal: its *name* below /dev, and what is written to it."""

    def __init__(self) -> None:
        self.ours, self.theirs = pty.openpty()
        tty.setraw(self.theirs)
        os.set_blocking(self.ours, False)
        self.name = os.ttyname(self.theirs).removeprefix("/dev/")
        self.biff("y")

    def biff(self, wish: str) -> None:
        os.fchmod(self.theirs, 0o720 if wish == "y" else 0o620)

    def read(self) -> bytes:
        try:
            return os.read(self.ours, 10_000)
        except BlockingIOError:
            return b""


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    os.close(terminal.ours)
    os.close(terminal.theirs)


def stand_in(home: Home, names: str) -> None:
    """Have qbiff look at a list of these names before all else."""
    (home.folder / "sessions").write_text(names)
    (home.folder / "sitecustomize.py").write_text(
        f"from mta.dotqmail import qbiff\nqbiff.SESSIONS = {bytes(home.folder / 'sessions')!r}\n"
    )


def bark(home: Home, *sessions: tuple[str, str], message: bytes = MESSAGE, **env: str) -> None:
    """Run qbiff for bill when these users are logged in at these terminals."""
    stand_in(home, " ".join(name for name, _ in sessions))
    (home.folder / "psutil.py").write_text(
        "from types import SimpleNamespace\n"
        f"def users(): return [SimpleNamespace(name=name, terminal=line) for name, line in {sessions!r}]\n"
    )
    more = {"USER": "bill", "PYTHONPATH": str(home.folder), **env}
    assert home.command("qbiff", text=message, **more) == (0, b"", b"")


def test_a_user_who_has_said_so_sees_who_writes_and_how_it_begins(home: Home, terminal: Terminal) -> None:
    bark(home, ("bill", terminal.name))
    assert terminal.read() == BARK
    bark(home, ("bill", terminal.name), ("bill", terminal.name), message=b"x" * 1000)
    assert terminal.read() == BARK.replace(b"hi/ there//hello //[2J/world/", b"/" + b"x" * 73) * 2


def test_nothing_is_written_to_others_or_to_a_terminal_that_is_not_to_be_disturbed(
    home: Home, terminal: Terminal
) -> None:
    bark(home, ("sue", terminal.name), ("bil", terminal.name), ("billy", terminal.name), ("bill", ""))
    terminal.biff("n")
    bark(home, ("bill", terminal.name))
    assert terminal.read() == b""


def test_a_name_of_a_terminal_leads_nowhere_else(home: Home, terminal: Terminal) -> None:
    file = home.folder / "file"
    file.write_bytes(b"")
    file.chmod(0o700)
    bark(home, ("bill", str(file)), ("bill", f"..{file}"), ("bill", "no-such-line"), ("bill", terminal.name))
    assert file.read_bytes() == b""
    assert terminal.read() == BARK


@pytest.mark.parametrize("name", ["USER", "SENDER", "LOCAL"])
def test_without_knowing_whom_it_is_silent(home: Home, name: str) -> None:
    home.env[name] = None
    env = {} if name == "USER" else {"USER": "bill"}
    assert home.command("qbiff", text=MESSAGE, **env) == (0, b"", b"")


def test_nothing_slow_happens_for_a_user_who_is_not_logged_in(home: Home) -> None:
    stand_in(home, "sue")
    (home.folder / "psutil.py").write_text(f"open({str(home.folder / 'imported')!r}, 'w')\nraise ImportError\n")
    env = {"USER": "bill", "PYTHONPATH": str(home.folder)}
    assert home.command("qbiff", text=MESSAGE, **env) == (0, b"", b"")
    assert not (home.folder / "imported").exists()
    stand_in(home, "bill")
    assert home.command("qbiff", text=MESSAGE, **env) == (0, b"", b"")
    assert (home.folder / "imported").exists()


def test_a_control_byte_in_an_address_does_not_reach_the_terminal(home: Home, terminal: Terminal) -> None:
    bark(home, ("bill", terminal.name), SENDER="a\x1b[2J\nb", message=b"")
    assert terminal.read() == b"\r\n\a*** TO <bill-Ext> FROM <a_[2J_b>\r\n    \r\n"
