"""predate - put a Date field with the local time on top of a message

Usage: predate child

predate runs child, which is a program and its arguments, and gives it the message on descriptor 0 with a Date field on
top.  qmail-inject makes Date fields in UTC; this one is in the zone that TZ or the machine says:

    predate qmail-inject bill@heaven.example < message

Exit status:
    100  wrong usage
    111  child cannot be run, or crashed; or the message cannot be read
    otherwise that of child

See also: datemail, qmail-inject
"""

from mta.child import pass_on
from mta.date import zoned_date
from supervise.command import Argv, Become, command
from supervise.errors import Usage


@command(b"predate", b"child")
def main(argv: Argv) -> int:
    if len(argv) < 2:
        raise Usage
    return pass_on(Become(argv[1:], name=b"predate"), b"Date: " + zoned_date() + b"\n")
