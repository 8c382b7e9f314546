"""pyqmail - run any command of this distribution, or list them

Usage: pyqmail [command argument ...]

pyqmail runs command with its arguments, as if it had been started by its own name: `pyqmail setuidgid joe id`.
Without arguments it lists all commands, one line each, with what they are for.

Exit status:
    0    the list was printed
    100  there is no such command
    otherwise that of the command

See also: the manual page of each command
"""

from __future__ import annotations

import ast
import os
import sys

from supervise.command import Argv, command
from supervise.errors import Permanent
from supervise.fd import write_all
from supervise.program import find, follow


@command(b"pyqmail", b"[command argument ...]")
def main(argv: Argv) -> int:
    if len(argv) > 1:
        found = find(os.path.join(folder(), argv[1]))
        if found is None:
            raise Permanent(b"there is no command " + argv[1])
        return follow(found, argv[1:])
    write_all(1, b"".join(b"%-16s %s\n" % (name, purpose(target)) for name, target in sorted(targets().items())))
    return 0


def folder() -> bytes:
    """Where the commands are: beside us."""
    return os.fsencode(os.path.dirname(os.path.abspath(sys.argv[0])))


def targets() -> dict[bytes, str]:
    """Command -> module, as installed."""
    from importlib.metadata import distribution  # 44 ms, and no other command needs it

    scripts = distribution("pyqmail").entry_points.select(group="console_scripts")
    return {script.name.encode(): script.module for script in scripts}


def purpose(module: str) -> bytes:
    """The first line of the manual page of *module*, after the dash; its source is read and not run."""
    source = os.path.join(os.path.dirname(os.path.dirname(__file__)), *module.split(".")) + ".py"
    with open(source, "rb") as file:
        page = ast.get_docstring(ast.parse(file.read())) or ""
    return page.partition("\n")[0].partition(" - ")[2].encode()
