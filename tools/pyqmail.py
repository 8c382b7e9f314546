"""pyqmail - run any command of this distribution, or list them

Usage: pyqmail [command argument ...]
       pyqmail help command

pyqmail runs command with its arguments, as if it had been started by its own name: `pyqmail setuidgid joe id`.
Without arguments it lists all commands, one line each, with what they are for.  `pyqmail help svc` shows
the manual page of svc; so does `man svc` where the folder of commands is in PATH.  What people write into
files has pages too: dot-qmail, qmail-routes, qmail-users, tcp-rules.

Exit status:
    0    the list or the page was printed
    100  there is no such command
    otherwise that of the command
"""

from __future__ import annotations

import os
import sys

from supervise.command import Argv, command
from supervise.errors import Permanent
from supervise.fd import write_all
from supervise.program import find, follow, locate


@command(b"pyqmail", b"[command argument ... | help command]")
def main(argv: Argv) -> int:
    if argv[1:2] == [b"help"] and len(argv) == 3:
        target = targets().get(argv[2]) or format_of(argv[2])
        if target is None:
            raise unknown(argv[2])
        write_all(1, page(target))
        return 0
    if argv[1:] == [b"help"]:
        argv = argv[:1]
    if len(argv) > 1:
        found = find(os.path.join(folder(), argv[1]))
        if found is None:
            raise unknown(argv[1])
        return follow(found, argv[1:])
    lines = [b"%-16s %s\n" % (name, purpose(page(target))) for name, target in sorted(targets().items())]
    write_all(1, b"".join(lines))
    return 0


def unknown(name: bytes) -> Permanent:
    """What to say of a command that is not ours."""
    return Permanent(b"there is no command " + name + b"; pyqmail alone lists them")


def folder() -> bytes:
    """Where the commands are: beside us."""
    return os.fsencode(os.path.dirname(os.path.abspath(sys.argv[0])))


def targets() -> dict[bytes, str]:
    """Command -> module, as the scripts beside us say."""
    here = folder()
    places = ((name, locate(os.path.join(here, name))) for name in os.listdir(here))
    return {name: place[0] for name, place in places if place}


def format_of(name: bytes) -> str | None:
    """The module that tells what *name*, a file that people write, may hold."""
    from tools.manual import FORMATS

    return FORMATS.get(name.decode(errors="replace"))


def page(module: str) -> bytes:
    """The manual page of *module* as it is written."""
    from tools.manual import docstring

    return docstring(module).encode() + b"\n"


def purpose(page: bytes) -> bytes:
    """The first line of the manual page *page*, after the dash."""
    return page.partition(b"\n")[0].partition(b" - ")[2]
