"""The contract of a command.

A command is `main(argv) -> exit code`.  It reads and writes descriptors, takes its
settings from `os.environb`, keeps nothing at module level, and reports failure by
the exceptions of `supervise.errors`.  The decorator below gives it its name and
synopsis, and turns failures into one line on descriptor 2 and an exit code, so the
same function serves a console script, a link of a chain, a forked child and a
worker that is used again.
"""

from __future__ import annotations

import os

from supervise.errors import PERMANENT, TEMPORARY, Trouble, Usage, reason

TYPE_CHECKING = False  # typing costs 11 ms to import
if TYPE_CHECKING:
    from collections.abc import Callable

Argv = list[bytes]


class Become(BaseException):
    """Leave this command and continue as another one (what exec does).

    It is no `Exception`, so that nothing on the way up swallows it.

    Args:
        argv: the program and its arguments.
        path: where to look for the program, when the command has changed `PATH`
            and the original still looked in the old one.
        code: the exit code when the program cannot be run.
        name: who wants it run, for the message then.

    Attributes:
        foreign: somebody has looked already: the program is none of ours.
    """

    foreign = False

    def __init__(self, argv: Argv, path: bytes | None = None, code: int = TEMPORARY, name: bytes = b"") -> None:
        self.argv, self.path, self.code, self.name = argv, path, code, name

    def refuse(self, error: OSError) -> int:
        """Say that *error* keeps the program from being run; the exit code."""
        name = self.name or self.argv[0]
        say(b"%s: fatal: unable to run %s: %s" % (name, self.argv[0], reason(error)))
        return self.code


class Command:
    """A command under its name.  Call it with argv, or, from a console script, with nothing."""

    def __init__(self, main: Callable[[Argv], int], name: bytes, usage: bytes, again: bool, usage_code: int) -> None:
        self.main, self.name, self.usage, self.again, self.usage_code = main, name, usage, again, usage_code
        self.__doc__ = main.__doc__

    def __call__(self, argv: Argv | None = None) -> int:
        if argv is None:
            from supervise.program import console

            return console(self)
        try:
            return self.main(argv)
        except Usage:
            say(b"%s: usage: %s %s" % (self.name, self.name, self.usage))
            return self.usage_code
        except Trouble as trouble:
            if trouble.line:  # else somebody has said it already
                say(self.name + b": fatal: " + trouble.line)
            return trouble.code
        except MemoryError:
            say(self.name + b": fatal: out of memory")
            return TEMPORARY
        except OSError as error:
            where = b" %s" % os.fsencode(error.filename) if isinstance(error.filename, (str, bytes)) else b""
            say(self.name + b": fatal: system call failed" + where + b": " + reason(error))
            return TEMPORARY
        except Exception as bug:  # ours, and still one line
            if b"PYQMAIL_DEBUG" in os.environb:
                raise
            say(self.name + b": bug: " + repr(bug).encode())
            return TEMPORARY


def command(
    name: bytes, usage: bytes = b"", *, again: bool = False, usage_code: int = PERMANENT
) -> Callable[[Callable[[Argv], int]], Command]:
    """Make a function a command.

    Args:
        name: as users type it.
        usage: its arguments, for the usage line.
        again: it leaves the process as it found it, but for what a worker puts back
            (descriptors, environment, folder, umask, signals, timers), so one process
            may run it for one job after another.
        usage_code: the exit code of wrong usage.
    """

    def decorate(main: Callable[[Argv], int]) -> Command:
        return Command(main, name, usage, again, usage_code)

    return decorate


def say(line: bytes) -> None:
    """Write *line* to descriptor 2 in one piece; nobody left to hear it is no error."""
    try:
        os.write(2, line + b"\n")
    except OSError:
        pass
