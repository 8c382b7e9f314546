"""bouncesaying - bounce a message, perhaps only if a program says so

Usage: bouncesaying error [ program [ arg ... ] ]

bouncesaying prints error and exits 100, so that qmail-local bounces the message with that text:

    |bouncesaying 'This address is no longer in use.'

With a program it runs that first, with the message on descriptor 0, and bounces only when it exits 0.

Exit status:
    100  bounce; wrong usage too
    111  program exits 111, or crashed
    0    program exits otherwise, or is not there: go on

See also: qmail-local, except, condredirect
"""

from mta.child import holds
from supervise.command import Argv, command, say
from supervise.errors import PERMANENT, Usage


@command(b"bouncesaying", b"error [ program [ arg ... ] ]")
def main(argv: Argv) -> int:
    if len(argv) < 2:
        raise Usage
    if len(argv) > 2 and not holds(argv[2:]):
        return 0
    say(argv[1])
    return PERMANENT
