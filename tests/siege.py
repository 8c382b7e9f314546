"""Clients that mean harm, and what a server has to be like after them: as it was before.

with Server(*OWN.program, env=OWN.env) as server, unharmed(server, OWN):
    for _ in range(100):
        reset(server.connect())
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil
from processes import descendants
from tcp import Server
from unixsockets import Server as UnixServer
from until import until

GROWTH = 1.5  # what a server may grow by
IDLE = 10  # descriptors that an idle worker may have
SHAME = re.compile(r"Traceback|Exception ignored|\bbug: |Error\b")  # what no log may have


class Served(NamedTuple):
    """A program behind tcpserver, with the environment that it needs, and what it answers to a good client."""

    program: tuple[str, ...]
    env: Mapping[str, str | None]
    said: bytes
    answer: bytes


OWN = Served(
    ("rblsmtpd", "-t20", "true"), {"RBLSMTPD": "go away"}, b"QUIT\r\n", b"220 rblsmtpd.local\r\n221 rblsmtpd.local\r\n"
)
FOREIGN = Served(("cat",), {}, b"hello\n", b"hello\n")


class State(NamedTuple):
    """What a server has: descriptors but those for its workers, the most that one of these has, bytes of memory."""

    descriptors: int
    of_worker: int
    memory: int


def reset(client: socket.socket) -> None:
    """Leave with a bang."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def state(pid: int) -> State:
    """What the server *pid* has now."""
    workers = descendants(pid)
    counts = [found for worker in workers if (found := descriptors(worker))]
    return State(descriptors(pid) - len(workers), max(counts, default=0), psutil.Process(pid).memory_info().rss)


def descriptors(pid: int) -> int:
    """How many descriptors a process has; 0 when it is gone."""
    try:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except FileNotFoundError:
        return 0


def zombies(pid: int) -> list[int]:
    """The dead below *pid* whom nobody has buried."""
    return [child for child in descendants(pid) if is_zombie(child)]


def is_zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def good(server: Server | UnixServer, served: Served) -> bool:
    """Whether a good client is served."""
    return server.ask(say=served.said) == served.answer


@contextmanager
def unharmed(server: Server | UnixServer, served: Served, is_good: Callable[[], bool] | None = None) -> Iterator[None]:
    """What happens in the block does the server no harm.

    Args:
        is_good: whether a good client is served, if that cannot be seen from what *served* tells.
    """
    is_good = is_good or (lambda: good(server, served))
    assert is_good(), server.log()
    before = until(lambda: quiet(server) and state(server.process.pid))
    yield
    until(lambda: quiet(server), what=f"all connections have ended: {server.log()[-2000:]}")
    assert is_good(), server.log()
    until(lambda: quiet(server))
    until(lambda: not zombies(server.process.pid), what="the dead are buried")
    until(lambda: state(server.process.pid).descriptors <= before.descriptors, what="its descriptors are closed")
    until(lambda: state(server.process.pid).of_worker <= IDLE, what="its workers' descriptors are closed")
    assert state(server.process.pid).memory < before.memory * GROWTH
    assert server.process.poll() is None
    assert not SHAME.search(server.log()), server.log()


def quiet(server: Server | UnixServer) -> bool:
    """Whether nobody is served, as far as the log tells."""
    statuses = re.findall(r"status: (\d+)/", server.log())
    return not statuses or statuses[-1] == "0"


def processor_time(pid: int) -> float:
    """Seconds that a process has worked."""
    used = psutil.Process(pid).cpu_times()
    return used.user + used.system
