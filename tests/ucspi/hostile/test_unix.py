"""Clients of unixserver that flood it, leave at once and never read."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from siege import FOREIGN, OWN, SHAME, Served, good, unharmed
from unixsockets import Server


@pytest.fixture(params=[OWN, FOREIGN], ids=["own", "foreign"])
def served(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Served:
    monkeypatch.chdir(tmp_path)
    return request.param  # type: ignore[no-any-return]


@contextmanager
def besieged(folder: Path, served: Served, *options: str) -> Iterator[Server]:
    """A server that is to be as before at the end of the block."""
    with Server(folder, *served.program, options=("-v", "-b400", *options), env=served.env) as server:
        with unharmed(server, served):
            yield server
        assert not SHAME.search(server.err())


def test_a_flood_beyond_the_limit_waits_and_is_served(served: Served, tmp_path: Path) -> None:
    with besieged(tmp_path, served, "-c4") as server:
        with ThreadPoolExecutor(60) as crowd:
            assert all(crowd.map(lambda _: good(server, served), range(200)))
        assert "status: 4/4" in server.log()
        assert "status: 5/" not in server.log()


def test_clients_that_leave_at_once_leave_nothing_behind(served: Served, tmp_path: Path) -> None:
    with besieged(tmp_path, served, "-c10") as server:
        for _ in range(300):
            server.connect().close()


def test_clients_that_never_read_hinder_nobody(served: Served, tmp_path: Path) -> None:
    with besieged(tmp_path, served, "-c30") as server, ExitStack() as stack:
        for _ in range(20):
            client = stack.enter_context(server.connect())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            client.setblocking(False)
            with pytest.raises(OSError):
                while client.send(b"x\r\n" * 2000):
                    pass
        assert good(server, served)
