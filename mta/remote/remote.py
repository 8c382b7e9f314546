"""qmail-remote - send a message to another host by SMTP

Usage: qmail-remote host sender recipient ...

qmail-remote reads a message from descriptor 0 and sends it to the mail exchangers of
host, for each recipient.  An exchanger is tried after another until one talks to us;
what that one says counts.

On descriptor 1 it writes reports, each ended by NUL.  First one for each recipient, as
far as it got: r, taken; h, refused for ever; s, refused for now; the letters h and s have
a text.  Then one for the message: K, the host has taken over the message for the
recipients with an r; Z, it has not, later it may; D, it never will.

A line that ends in CR, in LF or in both goes out with CR LF.  A message whose last line
does not end cannot be sent (D).  An address of sender or recipient with a line end in it
is refused.

Addresses that time out again and again are left alone for about an hour; see
queue/lock/tcpto.  Where mail for a host goes, and when it is refused as our own, stands
in qmail-routes.

Exit status:
    0  always; the reports say what happened

Environment:
    QMAILHOME    the home, /var/qmail
    DNSCACHEIP   whom to ask for names, instead of those in resolv.conf

Files, below control:
    helohost        our name for the other side; me
    outgoingip      the address of ours to call from, an IPv4 one, an IPv6 one, or a line for each; hosts of the
                    other family are called from whatever address the system takes, as is everybody without the file
    smtproutes      hosts whose mail takes another way; none
    timeoutconnect  seconds for one connection to be made; 60
    timeoutremote   seconds for each answer; 1200
    trace           if it is a number other than 0: the report names the addresses that were tried
                    in vain before, and why; qmail-send logs it, and a bounce has it; 0

See also: qmail-routes, qmail-rspawn, qmail-send, qmail-why
"""

from __future__ import annotations

import os

from mta import control, home
from mta.address import quote
from mta.remote import routes, timeouts
from mta.smtp import client
from supervise.command import Argv, command
from supervise.errors import Permanent, Temporary, reason
from supervise.fd import Closed, chunks, write_all
from ucspi.connect import connect
from ucspi.ip import family
from ucspi.own import THIS_HOST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from socket import AddressFamily

INVOKED_BADLY = b"I (qmail-remote) was invoked improperly. (#5.3.5)"
NO_HOME = b"Unable to switch to home directory. (#4.3.0)"
NO_CONTROLS = b"Unable to read control files. (#4.3.0)"
NO_MEMORY = b"Out of memory. (#4.3.0)"
NO_RESOURCES = b"System resources temporarily unavailable. (#4.3.0)"
NO_CONNECTION = b"Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)"
BAD_OUTGOING = b"There is a line in my control/outgoingip file that is no IP address: %s. (#4.3.5)"
NO_OUTGOING = b"I cannot call from the address in my control/outgoingip file: %s. (#4.3.5)"
NO_MESSAGE = b"Unable to read message. (#4.3.0)"
PARTIAL = b"SMTP cannot transfer messages with partial final lines. (#5.6.2)"
BAD_SENDER = b"I cannot send mail from an address with a line end in it. (#5.1.7)"
BAD_RECIPIENT = b"I cannot send mail to an address with a line end in it. (#5.1.3)"
BUG = b"I (qmail-remote) have a bug: %s. (#4.3.0)"

DIED = b"Connected to %s but connection died. %s(#4.4.2)"
CRITICAL = b"Possible duplicate! "
DISLIKED = b"%s does not like recipient.\n"
SAID = b"Remote host said: "
TRIED = b"Tried %s: %s.\n"
ACCEPTED = b"%s accepted message.\n"
STOPPED = {  # where a conversation stopped: whatever the code, if the letter does not hang on it; the text
    client.GREETING: (b"Z", b"Connected to %s but greeting failed.\n"),
    client.HELO: (b"Z", b"Connected to %s but my name was rejected.\n"),
    client.SENDER: (b"", b"Connected to %s but sender was rejected.\n"),
    client.RECIPIENTS: (b"D", b"Giving up on %s.\n"),
    client.DATA: (b"", b"%s failed on DATA command.\n"),
    client.MESSAGE: (b"", b"%s failed after I sent the message.\n"),
}


@command(b"qmail-remote", b"host sender recipient ...", again=True)
def main(argv: Argv) -> int:
    try:
        reports = send(argv)
    except Permanent as trouble:
        reports = never(trouble.line)
    except Temporary as trouble:
        reports = later(trouble.line)
    except MemoryError:
        reports = later(NO_MEMORY)
    except OSError:
        reports = later(NO_RESOURCES)
    except Exception as bug:
        if b"PYQMAIL_DEBUG" in os.environb:
            raise
        reports = later(BUG % repr(bug).encode().replace(b"\0", b"?"))
    write_all(1, reports)
    return 0


def send(argv: Argv) -> bytes:
    """Send the message to the first address that talks to us; the reports of what happened.

    Raises:
        Temporary: it is not sent and may be later.
        Permanent: it will never be sent.
    """
    if len(argv) < 4:
        raise Permanent(INVOKED_BADLY)
    settings = Settings()
    sender, *recipients = map(mailbox, argv[2:])
    if client.has_line_end(sender):
        raise Permanent(BAD_SENDER)
    relay = routes.find_relay(argv[1], settings.relays)
    port = relay.port if relay else routes.SMTP
    tried = b""
    for address in routes.addresses_of(relay.host) if relay else routes.exchangers_of(argv[1]):
        try:
            connection = reach(address, port, settings)
        except Unreached as failure:
            tried += TRIED % (address.encode(), failure.why) if settings.trace else b""
            continue
        with connection:
            conversation = client.Conversation(settings.name, sender, recipients)
            return deliver(connection, conversation, address.encode())[:-1] + tried + b"\0"
    raise Temporary((NO_CONNECTION + b"\n" + tried).rstrip(b"\n"))


class Settings:
    """What the control files say.

    Attributes:
        name: ours, for the other side.
        connecting, answering: how many seconds to wait for that.
        relays: see `routes.relays`.
        sources: where we call hosts of a family from.
        trace: whether to tell which addresses were tried in vain.

    Raises:
        Temporary: they cannot be read, or say no name.
    """

    def __init__(self) -> None:
        if not os.path.isdir(home.home()):
            raise Temporary(NO_HOME)
        try:
            me = control.value(b"me")
            name = control.value(b"helohost")
            self.connecting = control.number(b"timeoutconnect", 60)
            self.answering = control.number(b"timeoutremote", 1200)
            self.relays = routes.relays()
            outgoing = control.lines(b"outgoingip") or ()
            self.trace = control.number(b"trace", 0) != 0
        except Temporary:
            raise Temporary(NO_CONTROLS) from None
        if name is None:
            name = me
        if name is None:
            raise Temporary(NO_CONTROLS)
        self.name = name.replace(b"\r", b"")  # of a file made on another system
        self.sources = dict(map(source, outgoing))


def source(line: bytes) -> tuple[AddressFamily, str | None]:
    """The family of hosts that *line* of outgoingip is for, and the address to call them from; None: any.

    Raises:
        Temporary: it is no address.
    """
    address = routes.literal(line)
    if address is None:
        raise Temporary(BAD_OUTGOING % line)
    return family(address), None if address in THIS_HOST else address


class Unreached(Exception):
    """An address to which there is no connection; *why*."""

    def __init__(self, why: bytes) -> None:
        self.why = why


def reach(address: str, port: int, settings: Settings) -> client.Connection:
    """A connection to *address*.

    Raises:
        Unreached: it is known not to answer, or turns out not to.
        Temporary: we cannot call from where we are to.
    """
    known = timeouts.find(address)
    if known and known.unreachable():
        raise Unreached(b"left alone, it timed out lately")
    try:
        wire = connect(address, port, settings.connecting, settings.sources.get(family(address)))
    except Temporary as trouble:
        raise Temporary(NO_OUTGOING % trouble.line) from None
    except OSError as error:
        if isinstance(error, TimeoutError):
            timeouts.timed_out(address)
        elif known:
            timeouts.answered(address)
        raise Unreached(reason(error)) from None
    if known:
        timeouts.answered(address)
    return client.Connection(wire, settings.answering)


def mailbox(address: bytes) -> bytes:
    """*address* as a command has it; as the original, one without `@` stays as it is."""
    return quote(address) if b"@" in address else address


def deliver(connection: client.Connection, conversation: client.Conversation, host: bytes) -> bytes:
    """Hold the conversation; the reports of what came of it."""
    try:
        outcome = message_report(*client.converse(connection, conversation, message()), host)
    except Closed:
        outcome = later(DIED % (host, CRITICAL if conversation.critical else b""))
    except client.Partial:
        outcome = never(PARTIAL)
    except Temporary as trouble:
        outcome = later(trouble.line)
    else:
        farewell(connection)
    return b"".join(recipient_report(answer, host) for answer in conversation.answers) + outcome


def message() -> Iterator[bytes]:
    """The message, piece by piece.

    Raises:
        Temporary: it cannot be read.
    """
    try:
        yield from chunks(0)
    except OSError:
        raise Temporary(NO_MESSAGE) from None


def farewell(connection: client.Connection) -> None:
    """Say QUIT, and do not wait for an answer: all that matters has been said."""
    try:
        connection.send(b"QUIT\r\n")
    except Closed:
        pass


# -- reports -------------------------------------------------------------------------------


def later(line: bytes) -> bytes:
    """The report on a message that may be sent later."""
    return b"Z" + line + b"\n\0"


def never(line: bytes) -> bytes:
    """The report on a message that will never be sent."""
    return b"D" + line + b"\n\0"


def recipient_report(answer: client.Reply, host: bytes) -> bytes:
    """The report on one recipient."""
    if answer is client.REFUSED_HERE:
        return b"h" + BAD_RECIPIENT + b"\n\0"
    if answer.code < 400:
        return b"r\0"
    return (b"h" if answer.code >= 500 else b"s") + DISLIKED % host + said(answer) + b"\0"


def message_report(stage: bytes, reply: client.Reply, host: bytes) -> bytes:
    """The report on the message, from how far the conversation came and the *reply* that decided."""
    letter, text = STOPPED[stage]
    if stage == client.RECIPIENTS:  # what the host said is with each of them
        return letter + text % host + b"\0"
    if not letter:
        letter = b"D" if reply.code >= 500 else b"Z" if reply.code >= 400 else b"K"
    return letter + (ACCEPTED if letter == b"K" else text) % host + said(reply) + b"\0"


def said(reply: client.Reply) -> bytes:
    """What the host said, for a report."""
    return SAID + reply.text
