"""qmail-qmqpd - receive mail by QMQP

Usage: qmail-qmqpd

qmail-qmqpd speaks QMQP (https://cr.yp.to/proto/qmqp.html) with a client on descriptors 0 and 1,
which has one message for it, and puts that into the queue.  It is run for each connection by
tcpserver, as the user qmaild:

    tcpserver -x /etc/tcp.qmqp.cdb -u qmaild -g nofiles 0 628 qmail-qmqpd

It takes every message for every recipient.  So the rules of tcpserver must let in nobody but
the null clients that it works for; see qmail-qmqpc.

The message, the sender and each of the recipients come as netstrings, and all of them together
as a netstring again.  There is one answer: K, the message is in the queue and on disk; D, it
will never be; Z, not now.  A message is refused when an address in its envelope has 1000 or
more bytes or a NUL in it.

Exit status:
    0    the message was answered, or the client is gone
    100  the client does not speak QMQP
    111  an hour is over, a length has too many digits, or a bug of ours

Environment:
    TCPREMOTEIP, TCPREMOTEHOST, TCPREMOTEINFO, TCPLOCALHOST, TCPLOCALIP
                 who is connected, for the Received line
    QMAILQUEUE   another program for qmail-queue
    QMAILHOME    the home, by default /var/qmail

See also: tcpserver, qmail-qmqpc, qmail-qmtpd, qmail-queue
"""

from __future__ import annotations

from mta.home import enter
from mta.qmtp.incoming import Incoming, Unwanted
from mta.qmtp.netstrings import Netstrings, Wire, netstring, serve
from supervise.command import Argv, command
from supervise.program import ignore_broken_pipes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_LENGTH = 100  # bytes that the length of everything may take
BAD_ADDRESS = b"Dsorry, I can't accept addresses like that (#5.1.3)"


@command(b"qmail-qmqpd", again=True)
def main(argv: Argv) -> int:
    ignore_broken_pipes()
    enter()
    return serve(converse)


def converse(wire: Wire) -> None:
    """Take one message and answer it.

    Raises:
        Malformed, TooLarge, Closed, TimedOut: the client cannot be served.
    """
    strings = Netstrings(wire, Netstrings(wire, LONGEST_LENGTH).length())
    size = strings.length()
    with Incoming(b"QMQP") as incoming:
        incoming.write(strings.content(size))
        strings.end()
        sender = strings.address()
        if sender is None:
            incoming.refuse()
        verdict = incoming.submit(sender or b"", recipients(strings))
    wire.answer(netstring(verdict or BAD_ADDRESS))


def recipients(strings: Netstrings) -> Iterator[bytes]:
    """The recipients, as they come, to the end of everything.

    Raises:
        Unwanted: one of them is no fit address.
    """
    fit = True
    while strings.left:
        recipient = strings.address()
        if recipient is None:
            fit = False
        else:
            yield recipient
    Netstrings(strings.wire, 1).end()
    if not fit:
        raise Unwanted
