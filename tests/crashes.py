"""Stop a process dead at every system call that it makes, one after another."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence

CALLS = (
    "open", "close", "write", "pwrite", "fsync", "fdatasync", "sync", "link", "rename", "replace", "unlink", "mkdir",
    "rmdir", "ftruncate", "truncate", "utime", "chmod", "fchmod", "chown", "fchown", "symlink", "mkfifo", "sendfile",
    "copy_file_range", "splice",
)  # fmt: skip


def crashes_of(
    action: Callable[[], object], fresh: Callable[[], None], *, torn: bool = True, calls: Sequence[str] = CALLS
) -> Iterator[int]:
    """Yield 0, 1, 2, ...: the world now stands as a kill before (or, for a write, within) that call left it.

    The last one yielded is the run that was not killed.

    Args:
        action: what is done, in a child; it uses `os.` for what it does to files.
        fresh: makes the world as it was before.
        torn: a killed write leaves the first half of its bytes.
        calls: which calls count.
    """
    for lethal in range(10_000):
        fresh()
        ended = killed(action, lethal, torn=torn, calls=calls)
        assert ended in (0, -signal.SIGKILL), f"the action failed by itself (exit {ended})"
        yield lethal
        if ended == 0:
            return
    raise AssertionError("more than 10000 calls")


def killed(
    action: Callable[[], object], lethal: int, *, torn: bool = True, calls: Sequence[str] = CALLS, after: bool = False
) -> int:
    """Do *action* in a child that is killed at one call; its exit code, or a signal's number below 0.

    Args:
        lethal: before which of the calls, or after which, counted from 0.
        torn: a killed write leaves the first half of its bytes.
        calls: which calls count.
        after: the call is made.
    """
    pid = os.fork()
    if pid == 0:
        try:
            left = lethal

            def dying(name: str) -> Callable[..., object]:
                call = getattr(os, name)

                def count(*args: object, **words: object) -> object:
                    nonlocal left
                    left -= 1
                    if left >= 0:
                        return call(*args, **words)
                    if after:
                        call(*args, **words)
                    elif name in ("write", "pwrite") and torn:
                        fd, data, *more = args
                        call(fd, bytes(data)[: len(bytes(data)) // 2], *more)  # type: ignore[call-overload]
                    return os.kill(os.getpid(), signal.SIGKILL)

                return count

            for name in calls:
                setattr(os, name, dying(name))
            action()
            os._exit(0)
        finally:  # an exception must not wander into the test runner's copy
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
