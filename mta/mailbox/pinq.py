"""pinq - read mail in a Maildir with pine

Usage: pinq [ arg ... ]

pinq moves mail from the Maildir to an mbox, as maildir2mbox does, and runs pine, with these arguments.

Exit status:
    that of maildir2mbox, when it fails; else that of pine

Environment:
    MAILDIR, MAIL, MAILTMP  as for maildir2mbox

See also: maildir2mbox, qail, elq, pinq
"""

from mta.mailbox.readers import read_with
from supervise.command import Argv, command


@command(b"pinq", b"[ arg ... ]")
def main(argv: Argv) -> int:
    return read_with(b"pine", argv[1:])
