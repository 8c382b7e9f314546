"""elq - read mail in a Maildir with elm

Usage: elq [ arg ... ]

elq moves mail from the Maildir to an mbox, as maildir2mbox does, and runs elm, with these arguments.

Exit status:
    that of maildir2mbox, when it fails; else that of elm

Environment:
    MAILDIR, MAIL, MAILTMP  as for maildir2mbox

See also: maildir2mbox, qail, elq, pinq
"""

from mta.mailbox.readers import read_with
from supervise.command import Argv, command


@command(b"elq", b"[ arg ... ]")
def main(argv: Argv) -> int:
    return read_with(b"elm", argv[1:])
