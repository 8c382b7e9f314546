"""argv0 - run a program under another name

Usage: argv0 realname zero [arguments]

argv0 runs the program realname, looked for along PATH if it has no slash, and tells it zero as
the name that it was called by.  A shell takes itself for a login shell when that name begins
with a hyphen:

    argv0 sh -sh

A script does not learn the name; its interpreter is told the script's file.

Exit status:
    111  realname cannot be run
    100  wrong usage
    otherwise that of the program

See also: envdir, setuidgid
"""

from supervise.command import Argv, Become, command
from supervise.errors import Temporary, Usage
from supervise.program import execute, locate


@command(b"argv0", b"realname program [ arg ... ]")
def main(argv: Argv) -> int:
    if len(argv) < 3:
        raise Usage
    _, realname, zero, *arguments = argv
    if locate(realname):  # a script, though one that we need no interpreter for
        raise Become([realname, *arguments])
    try:
        execute([zero, *arguments], program=realname)
    except OSError as error:
        raise Temporary(b"unable to run " + realname, error) from None
