"""A pool of workers for tests, whose jobs are functions of the tests."""

from __future__ import annotations

import marshal
import os
import select
import time
from collections.abc import Callable

from until import until

from supervise.errors import Temporary
from supervise.pool import Ended, Pool

JOBS: dict[str, Callable[..., int | None]] = {}


def job(function: Callable[..., int | None]) -> Callable[..., int | None]:
    """Make *function* known to the workers by its name."""
    JOBS[function.__name__] = function
    return function


def work(payload: bytes) -> int:
    name, arguments = marshal.loads(payload)
    return JOBS[name](*arguments) or 0


def prepare(key: object) -> None:
    """What a new worker does for its key: stand in a folder, or fail."""
    if isinstance(key, tuple):
        os.chdir(key[1])
    elif key == "not today":
        raise Temporary(b"not today")


class Bench:
    """A pool and what a test does with it."""

    def __init__(self, **settings: float) -> None:
        self.pool = Pool(work, prepare, **settings)  # type: ignore[arg-type]
        self.ends: list[Ended] = []

    def begin(self, name: str, *arguments: object, fds: dict[int, int] | None = None, **more: object) -> int:
        return self.pool.begin(marshal.dumps((name, arguments)), fds or {}, name, **more)  # type: ignore[arg-type]

    def wait(self, count: int = 1) -> list[Ended]:
        """The next *count* ends."""
        ends: list[Ended] = []
        deadline = time.monotonic() + 20
        while len(ends) < count:
            assert select.select([self.pool], [], [], deadline - time.monotonic())[0], "no end"
            ends += self.pool.ended()
        assert len(ends) == count
        return ends

    def run(self, name: str, *arguments: object, fds: dict[int, int] | None = None, **more: object) -> Ended:
        """Do one job to its end."""
        self.begin(name, *arguments, fds=fds, **more)
        return self.wait()[0]

    def ask(self, name: str, *arguments: object, **more: object) -> tuple[bytes, Ended]:
        """Do a job that writes its answer to descriptor 1."""
        reading, writing = os.pipe()
        self.begin(name, *arguments, fds={1: writing}, **more)
        os.close(writing)
        answer = b""
        while data := os.read(reading, 65536):
            answer += data
        os.close(reading)
        return answer, self.wait()[0]

    def gone(self) -> bool:
        """Whether no worker is left, after asking for it."""
        self.pool.ended()
        return self.pool.count == 0


def dismiss(bench: Bench) -> None:
    bench.pool.dismiss()
    until(bench.gone, what="the workers end")


def code(end: Ended) -> int:
    return os.waitstatus_to_exitcode(end.status)


@job
def leave_with(number: int) -> int:
    return number
