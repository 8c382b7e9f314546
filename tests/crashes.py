"""Stop a process dead at every system call that it makes, one after another."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

CALLS = (
    "open", "close", "write", "pwrite", "fsync", "fdatasync", "sync", "link", "rename", "replace", "unlink", "mkdir",
    "rmdir", "ftruncate", "truncate", "utime", "chmod", "fchmod", "chown", "fchown", "symlink", "mkfifo", "sendfile",
    "copy_file_range",
)  # fmt: skip


def crashes_of(action: Callable[[], object], fresh: Callable[[], None], *, torn: bool = True) -> Iterator[int]:
    """Yield 0, 1, 2, ...: the world now stands as a kill before (or, for a write, within) that call left it.

    The last one yielded is the run that was not killed.

    Args:
        action: what is done, in a child; it uses `os.` for what it does to files.
        fresh: makes the world as it was before.
        torn: a killed write leaves the first half of its bytes.
    """
    for lethal in range(10_000):
        fresh()
        pid = os.fork()
        if pid == 0:
            try:
                left = lethal

                def dying(name: str) -> Callable[..., object]:
                    call = getattr(os, name)

                    def count(*args: object, **words: object) -> object:
                        nonlocal left
                        if left == 0:
                            if name == "write" and torn:
                                fd, data = args
                                call(fd, bytes(data)[: len(bytes(data)) // 2])  # type: ignore[call-overload]
                            os.kill(os.getpid(), signal.SIGKILL)
                        left -= 1
                        return call(*args, **words)

                    return count

                for name in CALLS:
                    setattr(os, name, dying(name))
                action()
                os._exit(0)
            finally:  # an exception must not wander into the test runner's copy
                os._exit(1)
        ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert ended in (0, -signal.SIGKILL), f"the action failed by itself (exit {ended})"
        yield lethal
        if ended == 0:
            return
    raise AssertionError("more than 10000 calls")
