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
    return subprocess.Popen(
        argv,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env=environment(),
        start_new_session=True,
    )


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
        until(lambda: "Ctrl-C stops" in first.stdout.readline(), what="it says how to stop it")  # type: ignore[union-attr]
        second = quickstart(home, port + 1, "--once")
        assert f"the services of {home} run already; stop them first: " in second.communicate(timeout=60)[0]
        assert second.returncode == 1
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            assert client.recv(3) == b"220"
    finally:
        os.killpg(first.pid, signal.SIGINT)  # as a terminal does it
        assert first.communicate(timeout=60)[0] == "Everything is stopped.\n"
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


def test_a_home_keeps_its_host_and_no_message_leaves_the_machine_for_another_one(home: Path, port: int) -> None:
    said = quickstart(home, port, "--once", "--host", "one.example").communicate(timeout=60)[0]
    assert "@one.example; it was accepted." in said
    assert "@one.example; it was accepted." in quickstart(home, port, "--once").communicate(timeout=60)[0]
    other = quickstart(home, port, "--once", "--host", "two.example")
    said = other.communicate(timeout=60)[0]
    assert said.endswith(f"{home} is the home of one.example; name another folder for two.example\n")
    assert other.returncode == 1
    assert messages(home) == 2
