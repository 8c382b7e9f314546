"""./quickstart's part behind the environment: a home, a message that arrives, and nothing left running."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import environment, run
from until import until

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as scratch:
        Path(scratch).chmod(0o755)
        yield Path(scratch) / "home"


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def quickstart(home: Path, port: int, *words: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-B", "-m", "tools.quickstart", str(ROOT), "--port", str(port), *words, str(home)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment())


def messages(home: Path) -> int:
    return len(list(home.glob("mail/*/Maildir/new/*")))


def test_once_delivers_a_message_stops_everything_and_may_be_said_again(home: Path, port: int) -> None:
    for number in 1, 2:
        started = quickstart(home, port, "--once")
        said = started.communicate(timeout=60)[0]
        assert started.returncode == 0, said
        assert messages(home) == number
        assert "\n    Subject: it works\n" in said and "delivery 1: success: did_1+0+0/" in said
        assert said.endswith("\nEverything is stopped.\n")
        assert run("svok", home / "service/qmail-send").code == 100


def test_it_stays_up_until_told_to_stop_and_leaves_a_running_home_alone(home: Path, port: int) -> None:
    first = quickstart(home, port)
    try:
        assert first.stdout
        until(lambda: "Ctrl-C" in first.stdout.readline(), what="it says how to stop it")  # type: ignore[union-attr]
        second = quickstart(home, port + 1, "--once")
        assert second.communicate(timeout=60)[0].endswith(f"the services of {home} run already; stop them first\n")
        assert second.returncode == 1
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            assert client.recv(3) == b"220"
    finally:
        first.send_signal(signal.SIGINT)
        assert first.communicate(timeout=60)[0].endswith("Everything is stopped.\n")
    assert first.returncode == 0
    assert run("svok", home / "service/qmail-send").code == 100


def test_a_port_that_is_taken_is_named_in_one_line(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        started = quickstart(home, port, "--once")
        said = started.communicate(timeout=60)[0].splitlines()
    assert started.returncode == 1
    assert said[-1] == f"quickstart: port {port} on 127.0.0.1: Address already in use; --port names another one"
    assert len(said) == 1 + (os.geteuid() == 0)
