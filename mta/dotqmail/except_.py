"""except - turn a program's answer around

Usage: except program [ arg ... ]

except runs program with the message on descriptor 0, and exits 100 when it exits 0, and 0 when it does not:

    |bouncesaying 'Members only' except grep -q '^X-Member:'

Exit status:
    100  program exits 0; wrong usage too
    111  program exits 111, or crashed
    0    program exits otherwise, or is not there

See also: bouncesaying, condredirect, qmail-local
"""

from mta.child import holds
from supervise.command import Argv, command
from supervise.errors import PERMANENT, Usage


@command(b"except", b"program [ arg ... ]")
def main(argv: Argv) -> int:
    if len(argv) < 2:
        raise Usage
    return PERMANENT if holds(argv[1:]) else 0
