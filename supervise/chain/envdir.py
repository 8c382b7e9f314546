"""envdir - run a program with variables from a folder

Usage: envdir dir child

envdir changes the environment as the files in dir say, and runs child, which is a
program and its arguments.  child is looked for along the PATH that envdir was given.

A file named v whose first line is t sets the variable v to t.  Spaces and tabs at the
end of t go away, and NULs in it become newlines.  A file named v that is empty removes v.
Names that start with a dot are skipped.  A link that leads nowhere counts as empty.

Exit status:
    111  wrong usage, dir or a file in it cannot be read, or child cannot be run
    otherwise that of child
"""

import os

from supervise.command import Argv, Become, command
from supervise.errors import Temporary, Usage
from supervise.files import slurp
from supervise.program import DEFAULT_PATH


@command(b"envdir", b"dir child", usage_code=Temporary.code)
def main(argv: Argv) -> int:
    if len(argv) < 3:
        raise Usage
    changes = read(argv[1])
    path = os.environb.get(b"PATH", DEFAULT_PATH)
    for change in changes:
        apply(change)
    raise Become(argv[2:], path)


def read(folder: bytes) -> list[bytes]:
    """What the files in *folder* say: `NAME=VALUE` to set a variable, `NAME` to remove one.

    Raises:
        Temporary: something cannot be read; the text says what.
    """
    here = os.open(b".", os.O_PATH | os.O_DIRECTORY)
    try:
        os.chdir(folder)
    except OSError as error:
        raise Temporary(b"unable to switch to directory " + folder, error) from None
    try:
        names = os.listdir(b".")
    except OSError as error:
        raise Temporary(b"unable to read directory " + folder, error) from None
    changes = []
    for name in names:
        if name.startswith(b"."):
            continue
        try:
            content = slurp(name)
        except OSError as error:
            raise Temporary(b"unable to read %s/%s" % (folder, name), error) from None
        changes.append(name + b"=" + value(content) if content else name)
    try:
        os.fchdir(here)
    except OSError as error:
        raise Temporary(b"unable to switch to starting directory", error) from None
    os.close(here)
    return changes


def value(content: bytes) -> bytes:
    """The value that a file with *content* gives."""
    line = content.partition(b"\n")[0]
    return line.rstrip(b" \t").replace(b"\0", b"\n")


def apply(change: bytes) -> None:
    """Make one change to the environment.

    As the original: the first `=` counts, even one in a file's name, so the file `K=x`
    sets K to `x` when it is empty, and to `x=c` when it contains `c`.

    Raises:
        Temporary: the name is empty, which no environment here can hold.
    """
    name, equals, text = change.partition(b"=")
    if not name:
        raise Temporary(b"unable to set a variable without a name: " + change)
    if equals:
        os.environb[name] = text
    else:
        os.environb.pop(name, None)
