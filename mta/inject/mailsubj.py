"""mailsubj - send a mail message with a subject

Usage: mailsubj subject [ recip ... ]

mailsubj gives qmail-inject what it reads from descriptor 0, under a header with that Subject and To:

    crontab -l | mailsubj 'what runs here' joe@heaven.example

A line feed in an argument becomes a blank, so that no argument can add fields of its own.

Exit status:
    100  wrong usage
    111  the text cannot be read; nothing is sent
    otherwise that of qmail-inject

See also: qmail-inject
"""

from mta.child import pass_on
from mta.home import program
from supervise.command import Argv, Become, command
from supervise.errors import Usage


@command(b"mailsubj", b"subject [ recip ... ]")
def main(argv: Argv) -> int:
    if len(argv) < 2:
        raise Usage
    subject, *recipients = (argument.replace(b"\n", b" ") for argument in argv[1:])
    header = b"Subject: %s\n%s\n\n" % (subject, b" ".join([b"To:", *recipients]))
    return pass_on(Become([program(b"qmail-inject")]), header)
