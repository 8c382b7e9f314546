"""datemail - send a mail message with a Date field in local time

Usage: datemail [ sendmail's arguments ]

datemail is predate in front of sendmail, for programs that run sendmail and people who like to see their own zone.

Exit status:
    that of predate

See also: predate, sendmail
"""

from mta.home import program
from supervise.command import Argv, Become, command


@command(b"datemail", b"[ sendmail's arguments ]")
def main(argv: Argv) -> int:
    raise Become([program(b"predate"), program(b"sendmail"), *argv[1:]])
