"""A queue in a scratch home, and a submission server for it."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import BIN, start
from queues import Queue, Serve
from until import until

from mta.home import account
from mta.queue import layout


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    """A queue, in which this process stands; commands started from here find it too."""
    queue = Queue(tmp_path / "home")
    monkeypatch.setenv("QMAILHOME", str(queue.home))
    monkeypatch.delenv("QMAILQUEUE", raising=False)
    monkeypatch.setenv("PATH", f"{BIN}:/usr/bin:/bin")
    monkeypatch.chdir(queue.path)
    mask, alarm = os.umask(0o22), signal.getsignal(signal.SIGALRM)
    os.umask(mask)
    yield queue
    os.umask(mask)
    signal.signal(signal.SIGALRM, alarm)


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    """Root's home, as the original has it, that every user can reach."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        queue = Queue(Path(folder) / "home")
        os.chmod(queue.home, 0o755)
        for place in layout.places():
            path = queue.home / os.fsdecode(place.path)
            os.chown(path, account(place.owner).uid, account(b"qmailq").gid)
            os.chmod(path, place.mode)
        monkeypatch.setenv("QMAILHOME", str(queue.home))
        yield queue


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start qmail-queued for a queue and wait until it listens."""
    servers: list[subprocess.Popen[bytes]] = []

    def serving(queue: Queue, *arguments: str) -> subprocess.Popen[bytes]:
        server = start("qmail-queued", *arguments, env=queue.env, stderr=subprocess.PIPE)
        servers.append(server)
        until(lambda: (queue.home / "run/submit").exists() or server.poll() is not None)
        assert server.poll() is None, server.stderr and server.stderr.read()
        return server

    yield serving
    for server in servers:
        server.kill()
        server.wait()
        if server.stderr:
            server.stderr.close()
