"""qmail-qmtpd - receive mail by QMTP

Usage: qmail-qmtpd

qmail-qmtpd speaks QMTP (https://cr.yp.to/proto/qmtp.txt) with a client on descriptors 0 and 1
and puts the messages that it gets into the queue.  It is run for each connection by tcpserver,
as the user qmaild:

    tcpserver -x /etc/tcp.qmtp.cdb -u qmaild -g nofiles 0 209 qmail-qmtpd

A message comes as three netstrings: the message, the sender, and the recipients, each of them a
netstring again.  The first byte of the message says how its lines end: LF, or CR for CR
LF.  Each recipient is answered: K, the message is in the queue and on disk; D, it will never
be; Z, not now.  The client need not wait for answers before it sends the next message.

A recipient is refused when its host is none of ours, when it has 1000 or more bytes or a NUL in
it; a message when it is too large or its sender is such an address.  Received fields are not
counted.

Exit status:
    0    the client is gone; there is no other way to end
    100  the client does not speak QMTP
    111  an hour is over, a length has too many digits, a control file cannot be read, or a bug of ours

Environment:
    TCPREMOTEIP, TCPREMOTEHOST, TCPREMOTEINFO, TCPLOCALHOST, TCPLOCALIP
                 who is connected, for the Received line
    RELAYCLIENT  if it is set, the client may send to any host, and its value is put behind
                 each recipient
    DATABYTES    takes the place of control/databytes
    QMAILQUEUE   another program for qmail-queue
    QMAILHOME    the home, by default /var/qmail

Files:
    control/rcpthosts      hosts that we take mail for, one to a line, `.example` for all below
                           example; without the file, any
    control/morercpthosts.cdb
                           more of them
    control/databytes      the size of the largest message in bytes; by default 0, no limit

See also: tcpserver, qmail-smtpd, qmail-qmqpd, qmail-queue
"""

from __future__ import annotations

from mta.control import listed
from mta.home import enter
from mta.qmtp.incoming import Incoming, Unwanted
from mta.qmtp.netstrings import LONGEST_ADDRESS, Malformed, Netstrings, Wire, netstring, serve
from mta.smtp.policy import Policy, Rcpthosts, number
from supervise.command import Argv, command
from supervise.environment import VARIABLES
from supervise.program import ignore_broken_pipes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

UNIX, DOS = b"\n", b"\r"  # the first byte of a message
TAKEN, NO_GATEWAY, UNFIT = range(3)  # what becomes of a recipient
ANSWERS = {
    NO_GATEWAY: netstring(b"Dsorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"),
    UNFIT: netstring(b"Dsorry, I can't handle that recipient (#5.1.3)"),
}
BAD_SENDER = b"Dunacceptable sender (#5.1.7)"
TOO_LARGE = b"Dsorry, that message size exceeds my databytes limit (#5.3.4)"


@command(b"qmail-qmtpd", again=True)
def main(argv: Argv) -> int:
    ignore_broken_pipes()
    enter()
    control = listed()
    policy = Policy(
        Rcpthosts.read(control),
        relayclient=VARIABLES.get(b"RELAYCLIENT"),
        databytes=number(control, VARIABLES, b"databytes"),
    )
    return serve(lambda wire: converse(wire, policy))


def converse(wire: Wire, policy: Policy) -> None:
    """Take one message after another; ends only by an exception."""
    while True:
        take(wire, policy)


def take(wire: Wire, policy: Policy) -> None:
    """Take one message and answer for each of its recipients.

    Raises:
        Malformed, TooLarge, Closed, TimedOut: the client cannot be served any longer.
        Temporary: the list of our hosts cannot be read.
    """
    strings = Netstrings(wire)
    size = strings.length()
    line_end = b"".join(strings.content(min(size, 1)))
    if line_end not in (UNIX, DOS):
        raise Malformed
    with Incoming(b"QMTP") as incoming:
        content = strings.content(size - 1)
        small = incoming.write(content if line_end == UNIX else unix_lines(content), policy.databytes)
        strings.end()
        sender = strings.address()
        if sender is None:
            incoming.refuse()
        fates = bytearray()
        verdict = incoming.submit(sender or b"", accepted(strings, policy, fates))
    if sender is None:
        verdict = BAD_SENDER
    if not small:
        verdict = TOO_LARGE
    answer = netstring(verdict)
    for fate in fates:
        wire.answer(ANSWERS.get(fate, answer))


def unix_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """*pieces* with LF for each CR LF; any other CR stays."""
    held = b""  # a CR that may be half of a line end
    for piece in pieces:
        piece = held + piece
        held = b"\r" if piece.endswith(b"\r") else b""
        yield piece[: len(piece) - len(held)].replace(b"\r\n", b"\n")
    yield held


def accepted(strings: Netstrings, policy: Policy, fates: bytearray) -> Iterator[bytes]:
    """The recipients that we take, as they come, to the end of their netstring; the fate of each goes to *fates*.

    Raises:
        Unwanted: there was none.
    """
    listing = Netstrings(strings.wire, strings.length())
    longest = LONGEST_ADDRESS - len(policy.relayclient or b"")
    while listing.left:
        recipient = listing.text(longest)
        goes_to = None if recipient is None else policy.relayed(recipient)
        if recipient is None or (goes_to is not None and b"\0" in recipient):
            fates.append(UNFIT)
        elif goes_to is None:
            fates.append(NO_GATEWAY)
        else:
            fates.append(TAKEN)
            yield goes_to
    strings.end()
    if TAKEN not in fates:
        raise Unwanted
