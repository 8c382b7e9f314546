"""Programs that a command starts and waits for: one that decides something, one that gets a message in another form."""

from __future__ import annotations

import os
import signal

from supervise.command import Become
from supervise.errors import PERMANENT, TEMPORARY, Temporary, passing
from supervise.fd import chunks, write_all
from supervise.program import become, handed_on, ignore_broken_pipes, spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

PIECE = 8192  # bytes that are written at once


class Silent(Become):
    """A program that may be missing without a word: 111 when trying again may help, else 100."""

    def refuse(self, error: OSError) -> int:
        return failure(error)


class Told(Become):
    """A program that is missed with a line, and the same two codes."""

    def refuse(self, error: OSError) -> int:
        super().refuse(error)
        return failure(error)


def failure(error: OSError) -> int:
    """The exit code for a program that *error* keeps from being run; no error of the system's is in doubt."""
    return TEMPORARY if passing(error) or not error.errno else PERMANENT


def holds(condition: list[bytes]) -> bool:
    """Whether the program *condition*, which gets our descriptors, exits 0.

    Raises:
        Temporary: it exits 111, or crashes, or cannot be started now.
    """
    code = wait(begin(Silent(condition)))
    if code == TEMPORARY:
        raise Temporary(b"temporary child error")
    return code == 0


def begin(program: Become, fds: Mapping[int, int] | None = None) -> int:
    """Start *program* as a child with the descriptors that exec would give it, but for *fds*; its pid.

    Raises:
        Temporary: there can be no process.
    """
    given = {fd: fd for fd in handed_on()} | dict(fds or {})
    try:
        return spawn(lambda: become(program), given)
    except OSError as error:
        raise Temporary(b"unable to fork", error) from None


def wait(pid: int) -> int:
    """The exit code of the child *pid*.

    Raises:
        Temporary: it crashed.
    """
    _, status = os.waitpid(pid, 0)
    if not os.WIFEXITED(status):
        raise Temporary(b"child crashed")
    return os.WEXITSTATUS(status)


class Fed:
    """A child whose input comes from us.

    Args:
        program: what it is.

    Raises:
        Temporary: it cannot be started now.
    """

    def __init__(self, program: Become) -> None:
        ignore_broken_pipes()
        try:
            reading, self.writing = os.pipe()
        except OSError as error:
            raise Temporary(b"unable to create pipe", error) from None
        self.pid = begin(program, {0: reading})
        os.close(reading)
        self.waiting = b""

    def copy(self, head: bytes) -> None:
        """Give it *head* and then what our descriptor 0 has.

        Raises:
            BrokenPipeError: it reads no more, though there is.  As in the original, it need not read the last piece.
            OSError: descriptor 0 cannot be read; the child is killed, since it must not take a part for the whole.
        """
        self.waiting = head
        try:
            for data in chunks(0, PIECE):
                if len(self.waiting) + len(data) > PIECE:
                    write_all(self.writing, self.waiting)
                    self.waiting = b""
                self.waiting += data
        except BrokenPipeError:
            raise
        except OSError:
            os.kill(self.pid, signal.SIGKILL)
            raise

    def end(self) -> int:
        """Say that this was all, and wait; its exit code.

        Raises:
            Temporary: it crashed.
        """
        try:
            write_all(self.writing, self.waiting)
        except OSError:
            pass
        os.close(self.writing)
        return wait(self.pid)


def pass_on(program: Become, head: bytes) -> int:
    """Give *program* *head* and what our descriptor 0 has, of which it may read as much as it likes; its exit code.

    Raises:
        Temporary: it crashed, or cannot be started now.
        OSError: descriptor 0 cannot be read.
    """
    child = Fed(program)
    try:
        child.copy(head)
    except BrokenPipeError:
        pass
    return child.end()
