"""qmail-smtpd - receive mail by SMTP

Usage: qmail-smtpd

qmail-smtpd speaks SMTP with a client on descriptors 0 and 1 and puts the messages that it
gets into the queue.  It is run for each connection by tcpserver, as the user qmaild:

    tcpserver -x /etc/tcp.smtp.cdb -u qmaild -g nofiles 0 smtp qmail-smtpd

It offers PIPELINING and 8BITMIME.  It says `250 ok` to a message only when the message is
in the queue and on disk; then it is answerable for it.  It refuses a line that ends with LF
and not CR LF inside a message, a message with 100 or more Received and Delivered-To fields,
and an address of 900 or more bytes.  A client that sends nothing for timeoutsmtpd seconds is left.

More is there for sites that ask for it:

    STARTTLS  is offered where the environment says how to start TLS: below tcpserver --starttls, or sslserver -n.
              After it all that the client said before is forgotten, and what it sent along with it is thrown away.
              Programs that QMAILQUEUE names find SSL_PROTOCOL and so on in their environment.  The Received line
              says `with ESMTPS`, if the client says EHLO.
    SIZE      is announced if control/smtpcapabilities has a line SIZE and there is a limit; a message that is said
              to be larger is refused at MAIL.  In SIZE the end of a line counts for two bytes, in databytes for one.
    RCPT      is answered 550 if control/recipients is 1 and the message would bounce here, for want of a user or a
              .qmail file.  What qmaild cannot see, such as .qmail files in a home that others may not enter, is taken
              for there, as is what cannot be known now.  Changes of locals and virtualdomains count at once, for
              qmail-send after a HUP.  Whoever tries many names learns which there are.

Exit status:
    0    the client said QUIT
    1    it did not: it is gone, too slow or cannot be served
    111  a bug of ours, which is described on descriptor 2

Environment:
    TCPREMOTEIP, TCPREMOTEHOST, TCPREMOTEINFO, TCPLOCALHOST, TCPLOCALIP
                 who is connected, for the Received line
    RELAYCLIENT  if it is set, the client may send to any host, and its value is put behind
                 each recipient
    DATABYTES    takes the place of control/databytes
    RECIPIENTS   takes the place of control/recipients
    MAXRCPT      takes the place of control/maxrcpt
    SSLCTLFD, SSLREADFD, SSLWRITEFD
                 descriptors to start TLS, to read and to write it, as UCSPI-TLS has them
    QMAILQUEUE   another program for qmail-queue
    QMAILHOME    the home, by default /var/qmail

Files:
    control/me             our name
    control/smtpgreeting   how we greet; by default me
    control/rcpthosts      hosts that we take mail for, one to a line, `.example` for all below
                           example; without the file, any
    control/morercpthosts.cdb
                           more of them
    control/badmailfrom    senders that are refused: addresses, or `@host`
    control/badrcptto      recipients that are refused, in the same form, to clients with RELAYCLIENT too
    control/badmailto      more of them
    control/maxrcpt        how many recipients a message may have, the others are put off; by default 0, any number
    control/recipients     1: refuse recipients whose mail would bounce here; by default 0
    control/smtpcapabilities
                           what EHLO is to announce besides the usual, one to a line: SIZE
    control/databytes      the size of the largest message in bytes; by default 0, no limit
    control/timeoutsmtpd   seconds to wait for the client; by default 1200
    control/localiphost    what replaces one of our IP addresses in `joe@[192.0.2.1]`; by default me
    control/trace          if it is a number other than 0: each message that is taken, with its `qp`, and each
                           sender, recipient and message that is refused get a line on descriptor 2,
                           for qmail-why

    control/locals, virtualdomains, percenthack, envnoathost; users/cdb
                           who is here, if recipients is 1; see qmail-send, qmail-lspawn and qmail-local

    They are read for each connection.

See also: tcpserver, qmail-queue, tcprules, qmail-showctl, qmail-why
"""

from __future__ import annotations

import time

from mta.control import Control, listed
from mta.queue.submit import Submission
from mta.received import Connection
from mta.smtp.policy import Policy
from mta.smtp.session import ASKED, GONE, INTERNAL, NEVER, NO_CONTROLS, OFFERED, TIMEOUT, Session
from supervise.command import Argv, command
from supervise.environment import VARIABLES, change
from supervise.errors import Temporary
from supervise.fd import Closed, Reader, TimedOut, Writer
from supervise.program import ignore_broken_pipes

CLIENT_IN, CLIENT_OUT = 0, 1
PATIENCE = 1200  # seconds
TLS_DESCRIPTORS = (b"SSLCTLFD", b"SSLREADFD", b"SSLWRITEFD")
LONGEST_PATIENCE = 2_000_000  # seconds; poll counts milliseconds in 31 bits


@command(b"qmail-smtpd", again=True)
def main(argv: Argv) -> int:
    ignore_broken_pipes()
    return serve(listed())


def serve(control: Control) -> int:
    """Serve one client; the exit code."""
    wire = Wire()
    try:
        wire.wait(min(max(control.number(b"timeoutsmtpd", PATIENCE), 1), LONGEST_PATIENCE))
        session = begin(control)
    except Temporary:
        wire.say_goodbye(NO_CONTROLS)
        return GONE
    return attend(session, wire)


def attend(session: Session, wire: Wire) -> int:
    """Serve one client to the end; the exit code."""
    try:
        return converse(session, wire)
    except (Closed, TimedOut):  # it does not take our replies
        return GONE
    except Exception:  # a bug of ours is no reason to return mail
        wire.say_goodbye(INTERNAL)
        raise
    finally:
        session.close()


def begin(control: Control) -> Session:
    """A session as the control files and the environment want it.

    Raises:
        Temporary: a control file cannot be read, or we have no name.
    """
    me, greeting = control.value(b"me"), control.value(b"smtpgreeting")
    name = me if greeting is None else greeting
    if name is None:
        raise Temporary(b"control/me is missing")
    policy = Policy.read(control, VARIABLES, me)
    client, log = Connection(VARIABLES), None
    if control.number(b"trace", 0):
        from mta.smtp.log import Log

        log = Log(client)
    tls = OFFERED if tls_descriptors() else NEVER
    return Session(name, policy, client, Submission, time.time, log, tls)


def converse(session: Session, wire: Wire) -> int:
    """Move bytes between the client and the session until it is over; the exit code."""
    wire.writer.write(session.greeting())
    while session.code is None:
        try:
            text = wire.read()
        except TimedOut:
            wire.writer.write(TIMEOUT)
            return GONE
        if not text:
            return GONE
        for replies in session.feed(text):
            wire.writer.write(replies)
        if session.tls == ASKED:
            wire.secure()
            session.secure()
    return session.code


class Wire:
    """What leads to the client."""

    def __init__(self) -> None:
        self.reader, self.writer = Reader(CLIENT_IN), Writer(CLIENT_OUT)
        self.wait(PATIENCE)

    def wait(self, seconds: float) -> None:
        """From now on a read or write may be stuck for *seconds*."""
        self.reader.timeout = self.writer.timeout = seconds

    def read(self) -> bytes:
        """The next bytes from the client; none when it is gone.

        Raises:
            TimedOut: it says nothing.
        """
        try:
            self.reader.fill()
        except OSError:  # reset by the client
            return b""
        text, self.reader.buffer = self.reader.buffer, b""
        return text

    def secure(self) -> None:
        """Have TLS spoken with the client.

        Raises:
            Closed: it could not be; on the connection there is nothing more to say.
        """
        from ucspi.tls.speakers import start

        found = tls_descriptors()
        assert found
        control, reading, writing = found
        try:
            told = start(control)
        except OSError:  # whoever has started us closed what it told us of
            told = None
        if told is None:
            raise Closed
        change(told)
        patience = self.reader.timeout
        self.reader, self.writer = Reader(reading, patience), Writer(writing, patience)

    def say_goodbye(self, reply: bytes) -> None:
        """Give *reply* to the client, if it is still there."""
        try:
            self.writer.write(reply)
        except (Closed, TimedOut, OSError):
            pass


def tls_descriptors() -> tuple[int, int, int] | None:
    """The descriptors to start TLS, to read it and to write it; None where nobody speaks it for us."""
    control, reading, writing = (VARIABLES.get(name, b"") for name in TLS_DESCRIPTORS)
    if not (control.isdigit() and reading.isdigit() and writing.isdigit()):
        return None
    return int(control), int(reading), int(writing)
