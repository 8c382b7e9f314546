"""Mail readers that know no Maildir: convert first, then run them."""

from mta.child import begin, wait
from mta.home import program
from supervise.command import Argv, Become


def read_with(reader: bytes, arguments: Argv) -> int:
    """Run maildir2mbox, then become *reader*; the exit code of maildir2mbox when it fails.

    Raises:
        Temporary: maildir2mbox crashed, or cannot be started now.
    """
    code = wait(begin(Become([program(b"maildir2mbox")])))
    if code:
        return code
    raise Become([reader, *arguments])
