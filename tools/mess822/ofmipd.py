"""ofmipd - take mail from the programs that people write it with

Usage: ofmipd [ name.cdb ]

ofmipd speaks SMTP with a client on descriptors 0 and 1, gives its messages a clean header as new-inject does, and puts
them into the queue. It relays to any host, so nobody else may reach it: it is run by tcpserver with rules, often on
port 26 or 587:

    echo '127.:allow
    :deny' | tcprules /etc/tcp.ofmip.cdb /etc/tcp.ofmip.tmp
    tcpserver -x /etc/tcp.ofmip.cdb -u qmaild -g nofiles 0 26 ofmipd

It completes the addresses of the envelope and those in From, Sender, Reply-To, Mail-Reply-To, Mail-Followup-To, To, Cc
and Notice-Requested-Upon-Delivery-To, each of which goes out once. It makes Date, Message-ID and From when they are
missing, drops Bcc, Apparently-To, Content-Length and Return-Path, and puts its own Received line, other fields of the
way and Resent fields first. With name.cdb, which ofmipname makes, it changes the sender and From of those who are
in it.

Lines of a message may end with LF or CR LF, and a dot on a line of its own ends it. Hops are not counted, and our own
IP addresses are no names of ours. It says `250 ok` to a message only when the message is in the queue and on disk; then
it is answerable for it. An address of 900 or more bytes and a header of more than 8 MiB are refused. A client that
sends nothing for 1200 seconds is told so and left.

STARTTLS is offered below tcpserver --starttls. The original knows none; and it makes the same Message-ID twice when a
process number comes again, against which ours has microseconds in it.

Exit status:
    0    the client said QUIT
    1    it did not: it is gone, too slow or cannot be served
    111  a bug of ours, which is described on descriptor 2

Environment:
    TCPREMOTEIP, TCPREMOTEINFO  who is connected, for the Received line
    QMAILDEFAULTDOMAIN, QMAILDEFAULTHOST, QMAILIDHOST, QMAILPLUSDOMAIN
                                instead of the control files
    SSLCTLFD, SSLREADFD, SSLWRITEFD
                                descriptors to start TLS, to read and to write it, as UCSPI-TLS has them
    QMAILQUEUE                  another program for qmail-queue
    QMAILHOME                   the home, by default /var/qmail

Files:
    control/rewrite        how hosts are rewritten; see new-inject
    control/me             the default of the others
    control/defaultdomain, control/defaulthost, control/plusdomain
                           what completes addresses, without control/rewrite
    control/idhost         the host in Message-ID

    They are read for each connection.

See also: new-inject, ofmipname, tcpserver, tcprules, qmail-smtpd
"""

from __future__ import annotations

import time

from mta.date import header_date
from mta.queue.submit import Submission
from mta.received import Connection
from mta.smtp.incoming import Incoming
from mta.smtp.policy import Policy, Rcpthosts
from mta.smtp.session import GONE, NEVER, OFFERED, OK, Session
from mta.smtp.smtpd import Wire, attend, tls_descriptors
from supervise.command import Argv, command
from supervise.environment import VARIABLES
from supervise.errors import Temporary
from supervise.program import ignore_broken_pipes
from tools.mess822.lines import Lines
from tools.mess822.outgoing import Outgoing, serial
from tools.mess822.rewriting import Rewriting, id_host
from tools.mess822.rewritten import Rewritten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ucspi.cdb import Cdb

NAME = b"ofmipd.local"
NO_CONFIGURATION = b"451 unable to read configuration (#4.3.0)\r\n"
NO_NAMES = b"451 unable to read cdb (#4.3.0)\r\n"
UNSAFE = b"()@\\"
SHOWN = bytes(byte if 33 <= byte <= 126 and byte not in UNSAFE else ord("?") for byte in range(256))


@command(b"ofmipd", b"[ name.cdb ]", again=True)
def main(argv: Argv) -> int:
    ignore_broken_pipes()
    wire = Wire()
    try:
        session = Writers(database(argv[1]) if argv[1:] else None)
    except Temporary:
        wire.say_goodbye(NO_CONFIGURATION)
        return GONE
    return attend(session, wire)


def database(path: bytes) -> Cdb:
    """The names and addresses in *path*.

    Raises:
        Temporary: there is no such file, or it cannot be read.
    """
    from ucspi.cdb import Cdb

    names: Cdb | None = Cdb.open(path)
    if names is None:
        raise Temporary(b"unable to read " + path)
    return names


class Anywhere(Policy):
    """A client that may send to any host, from any address; hosts are rewritten."""

    __slots__ = ("rewriting",)

    def __init__(self, rewriting: Rewriting) -> None:
        super().__init__(Rcpthosts(None, b""))
        self.rewriting = rewriting

    def named(self, address: bytes) -> bytes:
        """*address* with its host rewritten."""
        return self.rewriting.address(address)


class Writers(Session):
    """One client, who writes mail.

    Args:
        names: who has another name and address than they think, or None.

    Raises:
        Temporary: a control file cannot be read.
    """

    __slots__ = ("author", "count", "id_host", "names", "rewriting")
    manual = b"214 this is pyqmail; its manual page is ofmipd\r\n"

    def __init__(self, names: Cdb | None) -> None:
        self.rewriting = Rewriting.read()
        self.names, self.id_host = names, id_host(self.rewriting)
        self.author: tuple[bytes | None, bytes] = None, b""  # name and address for From
        self.count = 0
        tls = OFFERED if tls_descriptors() else NEVER
        policy, client = Anywhere(self.rewriting), Connection(VARIABLES)
        super().__init__(NAME, policy, client, self.rewritten, time.time, tls=tls)

    def begun(self) -> bytes:
        """The reply to MAIL; the sender may turn out to be somebody else."""
        sender, name = self.sender or b"", None
        try:
            found = self.names.get(sender) if self.names else None
        except Temporary:
            found = b""
        if found is not None:
            name, end, sender = found.partition(b"\0")
            if not end:
                self.sender = None
                return NO_NAMES
        self.sender, self.author = sender, (name, sender)
        return OK

    def rewritten(self) -> Submission:
        """The submission of a message, which rewrites its header."""
        return Rewritten(self.header)

    def message_of(self, submission: Submission, sender: bytes, recipients: bytearray) -> Incoming:
        """The message that is about to come."""
        return Incoming(submission, sender, recipients, self.policy.databytes, Lines())

    def header(self, fields: list[bytes]) -> bytes:
        """The header as it goes out, of the *fields* that came."""
        name, address = self.author
        now = self.now()
        outgoing = Outgoing(fields)
        if name is not None:
            outgoing.lists.pop(b"from", None)
        outgoing.rewrite(self.rewriting)
        self.count += 1
        return self.received(now) + outgoing.header(now, serial(now, b".%d" % self.count), self.id_host, address, name)

    def received(self, now: float) -> bytes:
        """The Received line."""
        user, ip = self.connection.remote_info, self.connection.remote_ip.translate(SHOWN)
        who = ip if user is None else user.translate(SHOWN) + b"@" + ip
        return b"Received: (ofmipd " + who + b"); " + header_date(now) + b"\n"

    def accepted(self, incoming: Incoming) -> bytes:
        """The reply when the queue has accepted the message."""
        return OK
