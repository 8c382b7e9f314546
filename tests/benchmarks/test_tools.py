"""The benchmarks of log programs, of service trees and of servers: they run, believe no wrong output, leave nothing."""

from __future__ import annotations

import importlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from until import until

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def start(scratch: Path, command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *command.split()],
        cwd=BENCHMARKS,
        env={**os.environ, "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def rows(table: str) -> dict[str, list[str]]:
    """The cells of each line of a table, by the first."""
    lines = [re.findall(r"[^|]+(?= \|)", line) for line in table.splitlines()]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines if cells}


def living_in(folder: Path) -> list[int]:
    """The processes whose working directory is below *folder*, even if that is gone."""
    return [each.pid for each in psutil.process_iter(["cwd"]) if (each.info["cwd"] or "").startswith(f"{folder}/")]


def test_the_log_programs_are_measured(tmp_path: Path) -> None:
    benchmark = start(tmp_path, "logs.py --megabytes 1 --rounds 1 --only daemontools pyqmail")
    out, err = benchmark.communicate(timeout=60)
    assert (benchmark.returncode, err) == (0, "")
    for table in out.strip().split("\n\n"):
        heading, _, *works = rows(table).values()
        ours = heading.index("pyqmail")
        assert len(works) == 6
        assert all(float(row[ours]) > 0 for row in works)
    assert not list(tmp_path.iterdir())


def test_matchup_and_the_store_are_measured(tmp_path: Path) -> None:
    benchmark = start(tmp_path, "analog.py --megabytes 2 --rounds 1")
    out, err = benchmark.communicate(timeout=60)
    assert (benchmark.returncode, err) == (0, "")
    for table in out.strip().split("\n\n"):
        _, _, *works = rows(table).values()
        assert len(works) in (3, 4)
        assert all(float(row[0]) > 0 for row in works)
    assert not list(tmp_path.iterdir())


def test_results_that_lack_a_message_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    analog = importlib.import_module("analog")
    given = analog.Input(tmp_path, 0.5)
    results = b"m x\n" * given.messages + b"d x\n" * given.deliveries
    analog.check(given, results)
    with pytest.raises(SystemExit):
        analog.check(given, results[4:])


@pytest.mark.parametrize("spoil", ["loses", "doubles", "does not stamp"])
def test_a_log_that_is_not_as_it_should_be_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: str
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    logs = importlib.import_module("logs")
    given = logs.Input(tmp_path, 0.12)
    main = tmp_path / "main"
    main.mkdir()
    lines = [b"@4000000065000000075bcd15 " + line for line in given.lines.read_bytes().splitlines(keepends=True)]
    (main / "current").write_bytes(b"".join(lines))
    logs.check_logs("multilog", main, given.lines, 10)
    lines[500:501] = {"loses": [], "doubles": [lines[500]] * 2, "does not stamp": [lines[500][26:]]}[spoil]
    (main / "current").write_bytes(b"".join(lines))
    with pytest.raises(SystemExit, match="current has other lines"):
        logs.check_logs("multilog", main, given.lines, 10)


def test_service_trees_are_measured(tmp_path: Path) -> None:
    words = "--services 2 --rounds 1 --seconds 0 --kills 1 --only daemontools pyqmail"
    benchmark = start(tmp_path, "services.py --logs " + words)
    out, err = benchmark.communicate(timeout=60)
    assert (benchmark.returncode, err) == (0, "")
    table = rows(out)
    ours = table["2 services, each with a log"].index("pyqmail")
    assert table["processes"][ours] == "4"
    assert all(float(cells[ours]) > 0 for name, cells in table.items() if name.startswith(("all", "CPU to", "restart")))
    assert not list(tmp_path.iterdir()) and not living_in(tmp_path)


def test_forwarding_tables_are_measured(tmp_path: Path) -> None:
    benchmark = start(tmp_path, "forwards.py --aliases 300 --messages 3 --rounds 1")
    out, err = benchmark.communicate(timeout=60)
    assert (benchmark.returncode, err) == (0, "")
    heading, _, *works = rows(out).values()
    assert len(works) == 4
    assert all(float(row[heading.index("pyqmail")]) > 0 for row in works)
    assert not list(tmp_path.iterdir())


def test_servers_of_connections_are_measured(tmp_path: Path) -> None:
    words = "--connections 40 --rounds 1 --rules 300 --idle 3 --trace 2 --only served,rules,idle"
    benchmark = start(tmp_path, "connections.py " + words)
    out, err = benchmark.communicate(timeout=60)
    assert (benchmark.returncode, err) == (0, "")
    for table in out.strip().split("\n\n"):
        heading, _, *works = rows(table).values()
        assert all(float(row[heading.index("pyqmail")]) >= 0 for row in works if "memory" not in row[0])
    assert "| 3 idle connections |" in out
    assert not list(tmp_path.iterdir()) and not living_in(tmp_path)


def test_a_connection_that_is_not_served_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    connections = importlib.import_module("connections")
    server = connections.Server(connections.System(connections.BIN, None, Path("/")), [], "/bin/true")
    with server, pytest.raises(SystemExit, match="the server says b''"):
        server.serve(1, 1, speaks=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_benchmark_that_is_interrupted_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    benchmark = start(tmp_path, "services.py --services 2 --only pyqmail")
    until(lambda: len(living_in(tmp_path)) >= 4)
    benchmark.send_signal(number)
    assert benchmark.communicate(timeout=60) == ("", "")
    assert benchmark.returncode == 1
    assert not list(tmp_path.iterdir()) and not living_in(tmp_path)
