"""An SMTP session, seen from the server: bytes in, bytes out (RFC 5321).

Whatever changes the state of a session is in this file, and nothing here knows a descriptor,
a file or a clock: policy, queue and time are handed in.  The states are few:

    no sender         MAIL begins a transaction; RCPT and DATA are out of turn
    sender            RCPT adds recipients; DATA is out of turn until there is one
    incoming          after DATA: everything is the message, up to its end
    over              `code` is set: the exit code of the server

HELO, EHLO and RSET forget the sender; so does DATA, whatever comes of the message.  As in the
original, MAIL needs no HELO, and a MAIL that is not understood changes nothing.

TLS goes from OFFERED, if it is, over ASKED to SPOKEN.  A client that asks for it by STARTTLS is not heard again before
it is spoken, and what was said before is forgotten: anybody between us may have said it (RFC 3207).

Memory is bounded whatever the client sends: a line is kept up to LONGEST_LINE and its rest
dropped, recipients are refused for now beyond LARGEST_ENVELOPE, and the message goes where
`submission` puts it.
"""

from __future__ import annotations

from mta.received import received
from mta.smtp.data import BareNewline
from mta.smtp.incoming import NO_QUEUE, TOO_LARGE, Incoming
from mta.smtp.path import LONGEST, address_in, declared_size
from supervise.errors import Temporary, Trouble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mta.queue.submit import Submission
    from mta.received import Connection
    from mta.smtp.log import Log
    from mta.smtp.policy import Policy

LONGEST_LINE = 65536  # bytes of a command that we keep; RFC 5321, section 4.5.3.1.4, wants 512
LARGEST_ENVELOPE = 16 << 20  # bytes of recipients in one message

OK = b"250 ok\r\n"
FLUSHED = b"250 flushed\r\n"
TRY = b"252 send some mail, i'll try my best\r\n"
HELP = b"214 this is pyqmail; its manual page is qmail-smtpd\r\n"
GO_AHEAD = b"354 go ahead\r\n"
READY = b"220 ready for TLS\r\n"
UNIMPLEMENTED = b"502 unimplemented (#5.5.1)\r\n"
SYNTAX = b"555 syntax error (#5.5.4)\r\n"
NO_PARAMETERS = b"501 STARTTLS takes no parameters (#5.5.4)\r\n"
MAIL_FIRST = b"503 MAIL first (#5.5.1)\r\n"
RCPT_FIRST = b"503 RCPT first (#5.5.1)\r\n"
BAD_SENDER = b"553 sorry, your envelope sender is in my badmailfrom list (#5.7.1)\r\n"
NO_GATEWAY = b"553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)\r\n"
BAD_RECIPIENT = b"553 sorry, that recipient is in my badrcptto list (#5.7.1)\r\n"
NO_MAILBOX = b"550 sorry, no mailbox here by that name (#5.1.1)\r\n"
TOO_MANY = b"452 too many recipients (#4.5.3)\r\n"
BARE_NEWLINE = b"451 See https://cr.yp.to/docs/smtplf.html.\r\n"
NO_CONTROLS = b"421 unable to read controls (#4.3.0)\r\n"
NO_ADDRESSES = b"421 unable to figure out my IP addresses (#4.3.0)\r\n"
NO_MEMORY = b"421 out of memory (#4.3.0)\r\n"
INTERNAL = b"421 internal bug (#4.3.0)\r\n"
TIMEOUT = b"451 timeout (#4.4.2)\r\n"
LOST = b"connection lost before the end of the message"  # nobody is there to hear it; for the log

QUIT, GONE = 0, 1  # exit codes: the client said so; anything else
NEVER, OFFERED, ASKED, SPOKEN = range(4)  # TLS


class Session:
    """One client.

    Args:
        name: how we call ourselves: the greeting.
        policy: what the client may do.
        connection: who the client is.
        submission: begins the submission of a message to the queue.
        now: seconds since 1970.
        log: is told what becomes of messages; None: nobody wants to know.
        tls: NEVER, or OFFERED to the client.

    Another server of the same language has a subclass, with its own answers to what it does otherwise: `begun`,
    `message_of`, `accepted`.

    Attributes:
        code: the exit code, once the session is over.
        tls: how far it is with TLS; when it is ASKED for, the caller has it spoken and says so by `secure`.
    """

    __slots__ = (
        "code", "connection", "extended", "helo", "incoming", "log", "name", "now", "over_long", "pending", "policy",
        "recipients", "refused", "sender", "submission", "tls",
    )  # fmt: skip
    manual = HELP

    def __init__(
        self,
        name: bytes,
        policy: Policy,
        connection: Connection,
        submission: Callable[[], Submission],
        now: Callable[[], float],
        log: Log | None = None,
        tls: int = NEVER,
    ) -> None:
        self.name, self.policy, self.connection, self.submission, self.now = name, policy, connection, submission, now
        self.log, self.tls = log, tls
        self.code: int | None = None
        self.pending = b""  # the beginning of a line
        self.over_long = False  # the line has lost something after what is pending
        self.helo: bytes | None = None  # what the client calls itself, where that is not its host's name
        self.extended = False  # it said EHLO
        self.sender: bytes | None = None
        self.refused = False  # the sender is in badmailfrom
        self.recipients = bytearray()  # each with a NUL behind it
        self.incoming: Incoming | None = None

    def greeting(self) -> bytes:
        """What the server says first."""
        return b"220 " + self.name + b" ESMTP\r\n"

    def feed(self, text: bytes) -> Iterator[bytes]:
        """Take what the client sent, and yield the replies, each to be written before the next is asked for.

        Replies to pipelined commands come together (RFC 2920), but the answer to a message comes at once.
        """
        replies: list[bytes] = []
        try:
            while text and self.code is None:
                if self.incoming:
                    text = self.message(self.incoming, text, replies)
                    if replies and text:
                        yield b"".join(replies)
                        replies.clear()
                else:
                    text = self.commands(text, replies)
        except MemoryError:
            self.end(replies, NO_MEMORY)
        if replies:
            yield b"".join(replies)

    def secure(self) -> None:
        """TLS is spoken from here on; begin anew, without a greeting."""
        self.tls = SPOKEN
        self.helo, self.extended = None, False
        self.sender, self.refused = None, False
        self.recipients.clear()

    def close(self) -> None:
        """Forget a message whose end has not come."""
        incoming, self.incoming = self.incoming, None
        if incoming:
            incoming.abandon()
            if self.code is None:
                self.log_message(incoming, LOST)

    def end(self, replies: list[bytes], reply: bytes, code: int = GONE) -> None:
        """Say *reply* as the last one."""
        replies.append(reply)
        self.code = code

    # -- commands ------------------------------------------------------------------------
    def commands(self, text: bytes, replies: list[bytes]) -> bytes:
        """Obey the lines of *text* up to a DATA, a STARTTLS or the end; what is left of *text* after a DATA."""
        at = 0
        while (end := text.find(b"\n", at)) >= 0:
            self.keep(text[at:end])
            at = end + 1
            self.command(self.pending, replies)
            self.pending, self.over_long = b"", False
            if self.tls == ASKED:
                return b""
            if self.incoming or self.code is not None:
                return text[at:]
        self.keep(text[at:])
        return b""

    def keep(self, more: bytes) -> None:
        """Add *more* to the line that has begun, as far as we keep it."""
        self.pending += more
        if len(self.pending) > LONGEST_LINE:
            self.pending, self.over_long = self.pending[:LONGEST_LINE], True

    def command(self, line: bytes, replies: list[bytes]) -> None:
        """Obey one *line*, which is without its LF."""
        verb, argument = command_in(line)
        obey = VERBS.get(verb)
        try:
            replies.append(obey(self, argument) if obey else UNIMPLEMENTED)
        except Leave as leaving:
            self.end(replies, leaving.reply, leaving.code)
        if self.log and not replies[-1].startswith(b"2"):
            self.log_refusal(self.log, verb, argument, replies[-1])

    def greet(self, argument: bytes) -> bytes:
        self.sender = None
        self.helo = None if argument.lower() == self.connection.remote_host.lower() else argument
        self.extended = False
        return b"250 " + self.name + b"\r\n"

    def greet_extended(self, argument: bytes) -> bytes:
        self.greet(argument)
        self.extended = True
        lines = [self.name, b"PIPELINING"]
        if self.tls == OFFERED:
            lines.append(b"STARTTLS")
        if self.policy.largest_declared:
            lines.append(b"SIZE %d" % self.policy.largest_declared)
        return b"".join(b"250-%s\r\n" % line for line in lines) + b"250 8BITMIME\r\n"

    def start_tls(self, argument: bytes) -> bytes:
        if self.tls != OFFERED:
            return UNIMPLEMENTED
        if argument:
            return NO_PARAMETERS
        self.tls = ASKED
        return READY

    def mail(self, argument: bytes) -> bytes:
        sender = self.address(argument)
        if sender is None:
            return SYNTAX
        if 0 < self.policy.largest_declared < declared_size(argument):
            self.sender = None
            return TOO_LARGE
        self.sender = sender
        self.refused = self.policy.refuses(sender)
        self.recipients.clear()
        return self.begun()

    def begun(self) -> bytes:
        """The reply to a MAIL that has been understood."""
        return OK

    def rcpt(self, argument: bytes) -> bytes:
        if self.sender is None:
            return MAIL_FIRST
        recipient = self.address(argument)
        if recipient is None:
            return SYNTAX
        if self.refused:
            return BAD_SENDER
        if self.policy.badrcptto.have(recipient):
            return BAD_RECIPIENT
        try:
            recipient = self.policy.relayed(recipient)
        except Temporary:
            raise Leave(NO_CONTROLS) from None
        if recipient is None:
            return NO_GATEWAY
        if self.policy.recipients and self.policy.recipients.lack(recipient):
            return NO_MAILBOX
        most = self.policy.maxrcpt
        if len(self.recipients) > LARGEST_ENVELOPE or 0 < most <= self.recipients.count(b"\0"):
            return TOO_MANY
        self.recipients += recipient + b"\0"
        return OK

    def address(self, argument: bytes) -> bytes | None:
        """The address in *argument*, or None when it is too long."""
        if self.over_long:
            return None
        try:
            address = self.policy.named(address_in(argument))
        except Temporary:
            raise Leave(NO_ADDRESSES) from None
        return address if len(address) <= LONGEST else None

    def reset(self, argument: bytes) -> bytes:
        self.sender = None
        return FLUSHED

    def quit(self, argument: bytes) -> bytes:
        raise Leave(b"221 " + self.name + b"\r\n", QUIT)

    def data(self, argument: bytes) -> bytes:
        if self.sender is None:
            return MAIL_FIRST
        if not self.recipients:
            return RCPT_FIRST
        sender, self.sender = self.sender, None
        try:
            submission = self.submission()
        except (Trouble, OSError):
            return NO_QUEUE
        recipients, self.recipients = self.recipients, bytearray()
        self.incoming = self.message_of(submission, sender, recipients)
        return GO_AHEAD

    def message_of(self, submission: Submission, sender: bytes, recipients: bytearray) -> Incoming:
        """The message that is about to come, with what we put in front of it."""
        incoming = Incoming(submission, sender, recipients, self.policy.databytes)
        protocol = b"ESMTPS" if self.extended and self.tls == SPOKEN else b"SMTP"  # RFC 3848; else as the original
        incoming.write(received(self.connection, protocol, self.now(), self.helo))
        return incoming

    def accepted(self, incoming: Incoming) -> bytes:
        """The reply when the queue has accepted the message."""
        return b"250 ok %d qp %d\r\n" % (self.now(), incoming.submission.pid)

    # -- the message ---------------------------------------------------------------------
    def message(self, incoming: Incoming, text: bytes, replies: list[bytes]) -> bytes:
        """Take *text* as the next part of the message; what is left of it after the end."""
        try:
            incoming.take(text)
        except BareNewline:
            self.end(replies, BARE_NEWLINE)
            self.log_message(incoming, BARE_NEWLINE)
            return b""
        if not incoming.body.ended:
            return b""
        refusal = incoming.submit()
        replies.append(refusal or self.accepted(incoming))
        self.log_message(incoming, refusal)
        self.incoming = None
        return incoming.body.rest

    # -- the log -------------------------------------------------------------------------
    def log_refusal(self, log: Log, verb: bytes, argument: bytes, reply: bytes) -> None:
        """Log that a sender or a recipient got *reply*."""
        if verb == b"mail":
            log.refused(address_in(argument), None, reply)
        elif verb == b"rcpt":
            log.refused(self.sender or b"", address_in(argument), reply)

    def log_message(self, incoming: Incoming, refusal: bytes) -> None:
        """Log what became of a message."""
        if not self.log:
            return
        count = incoming.recipients.count(0)
        if refusal:
            first = bytes(incoming.recipients.partition(b"\0")[0])
            self.log.refused(incoming.sender, first, refusal, count)
        else:
            self.log.accepted(incoming.submission.pid, incoming.size, incoming.sender, count)


def command_in(line: bytes) -> tuple[bytes, bytes]:
    """The verb in *line*, which is without its LF, in lower case, and what follows it."""
    line = line.removesuffix(b"\r").partition(b"\0")[0]  # as the original: a NUL ends the line
    verb, _, argument = line.partition(b" ")
    return verb.lower(), argument.lstrip(b" ")


class Leave(Exception):
    """A command ends the session: the last *reply*, and the exit *code*."""

    def __init__(self, reply: bytes, code: int = GONE) -> None:
        self.reply, self.code = reply, code


VERBS: dict[bytes, Callable[[Session, bytes], bytes]] = {
    b"mail": Session.mail,
    b"rcpt": Session.rcpt,
    b"data": Session.data,
    b"helo": Session.greet,
    b"ehlo": Session.greet_extended,
    b"rset": Session.reset,
    b"quit": Session.quit,
    b"starttls": Session.start_tls,
    b"noop": lambda session, argument: OK,
    b"vrfy": lambda session, argument: TRY,
    b"help": lambda session, argument: session.manual,
}
