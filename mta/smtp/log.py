"""What qmail-smtpd logs where control/trace asks for it: lines that join a connection to qmail-send's log by `qp`.

    qmail-smtpd: pid 4713 client joe@192.0.2.7 qp 4720: bytes 812 from <sue@example.net> rcpts 2
    qmail-smtpd: pid 4713 client 192.0.2.7 refused: from <sue@example.net> to <bob@far.example>: 553_sorry,_...

`pid` is the process that tcpserver's lines name.  The client is written as in Received lines: its address, and in
front of it TCPREMOTEINFO, if it is set.  A sender that is refused itself has no `to`; of a whole message that is
refused the first recipient is named, with `rcpts` and their number behind.  What comes from outside is made
harmless as in the log of qmail-send.
"""

from __future__ import annotations

import os

from mta.send.log import SAFE
from mta.smtp.path import LONGEST
from supervise.command import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mta.received import Connection


class Log:
    """The log of one *connection*, on descriptor 2."""

    def __init__(self, connection: Connection) -> None:
        user = b"" if connection.remote_info is None else connection.remote_info + b"@"
        self.who = b"qmail-smtpd: pid %d client %s" % (os.getpid(), (user + connection.remote_ip).translate(SAFE))

    def accepted(self, qp: int, size: int, sender: bytes, recipients: int) -> None:
        """A message of *size* bytes is in the queue."""
        say(b"%s qp %d: bytes %d from %s rcpts %d" % (self.who, qp, size, bracketed(sender), recipients))

    def refused(self, sender: bytes, recipient: bytes | None, why: bytes, recipients: int = 0) -> None:
        """A sender, a recipient, or a message for so many *recipients* got the reply *why*."""
        to = b"" if recipient is None else b" to " + bracketed(recipient)
        count = b" rcpts %d" % recipients if recipients else b""
        reply = why.rstrip(b"\r\n").replace(b"\r", b"").translate(SAFE)
        say(b"%s refused: from %s%s%s: %s" % (self.who, bracketed(sender), to, count, reply))


def bracketed(address: bytes) -> bytes:
    """*address* as it is logged; none that we would take is cut."""
    return b"<" + address[:LONGEST].translate(SAFE) + b">"
