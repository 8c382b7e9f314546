"""Let every system call of a command fail, one after another, each in every way that a machine in trouble has."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from supervise.command import Become, Command

CALLS = (
    "open", "read", "pread", "write", "close", "stat", "lstat", "fstat", "access", "listdir", "scandir", "chdir",
    "dup", "dup2", "pipe", "pipe2", "fork", "posix_spawn", "waitpid", "lseek", "fsync", "fdatasync", "link", "rename",
    "unlink", "mkdir", "ftruncate", "utime", "chmod", "fchmod", "readlink", "getcwd", "set_blocking",
)  # fmt: skip
TROUBLE = (errno.ENOMEM, errno.EMFILE, errno.ENOSPC, errno.EIO)
LIMIT = 20  # seconds that a command has


class Outcome(NamedTuple):
    """What came of one run: *call* failed with *error*; the exit *code*; what was written to 1 and 2."""

    call: str
    error: int
    code: int
    out: bytes
    err: bytes


def faults_of(
    command: Command,
    argv: list[bytes],
    *,
    fresh: Callable[[], None] = lambda: None,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    folder: str = "/",
) -> Iterator[Outcome]:
    """Yield what comes of each run of *command* in which one system call fails; last, of the run in which none does.

    Args:
        fresh: makes the world as it was before.
        stdin: what is in the file on descriptor 0.
        env: the variables, and no others but PATH.
        folder: where it stands.
    """
    for at in range(10_000):
        outcomes = []
        for error in TROUBLE:
            fresh()
            outcomes.append(run(command, argv, at, error, stdin, env or {}, folder))
            if not outcomes[-1].call:
                yield outcomes[-1]
                return
        yield from outcomes
    raise AssertionError("more than 10000 calls")


def run(
    command: Command, argv: list[bytes], at: int, error: int, stdin: bytes, env: Mapping[str, str], folder: str
) -> Outcome:
    """One run, in a child; call *at*, counted from 0, fails with *error*."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin)
        given.seek(0)
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            code = 250
            try:
                for fd, file in enumerate((given, out, err)):
                    os.dup2(file.fileno(), fd)
                os.environ.clear()
                os.environ.update({"PATH": "/usr/bin:/bin", **env})
                os.chdir(folder)
                break_calls(at, error, writing)
                code = command(argv)
            except Become:
                code = 0
            finally:  # nothing may wander into the test runner's copy
                os._exit(code)
        os.close(writing)
        call = os.read(reading, 100).decode()
        os.close(reading)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        out.seek(0)
        err.seek(0)
        return Outcome(call, error, code, out.read(), err.read())


def break_calls(at: int, error: int, telling: int) -> None:
    """Have call *at* fail, once, and its name written to *telling*."""
    left = at
    write = os.write

    def breaking(name: str) -> Callable[..., object]:
        call = getattr(os, name)

        def count(*args: object, **words: object) -> object:
            nonlocal left
            left -= 1
            if left != -1:
                return call(*args, **words)
            write(telling, name.encode())
            raise OSError(error, os.strerror(error))

        return count

    for name in CALLS:
        setattr(os, name, breaking(name))
