"""qmail-smtpd - receive mail by SMTP

Usage: qmail-smtpd

qmail-smtpd speaks SMTP with a client on descriptors 0 and 1 and puts the messages that it
gets into the queue.  It is run for each connection by tcpserver, as the user qmaild:

    tcpserver -x /etc/tcp.smtp.cdb -u qmaild -g nofiles 0 smtp qmail-smtpd

It offers PIPELINING and 8BITMIME.  It says `250 ok` to a message only when the message is
in the queue and on disk; then it is answerable for it.  It refuses a line that ends with LF
and not CR LF inside a message, a message with 100 or more Received and Delivered-To fields,
and an address of 900 or more bytes.  A client that sends nothing for timeoutsmtpd seconds is left.

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
    control/databytes      the size of the largest message in bytes; by default 0, no limit
    control/timeoutsmtpd   seconds to wait for the client; by default 1200
    control/localiphost    what replaces one of our IP addresses in `joe@[192.0.2.1]`; by default me
    control/trace          if it is a number other than 0: each message that is taken, with its `qp`, and each
                           sender, recipient and message that is refused get a line on descriptor 2,
                           for qmail-why

    They are read for each connection.

See also: tcpserver, qmail-queue, tcprules, qmail-showctl, qmail-why
"""

from __future__ import annotations

import time

from mta.control import Control, listed
from mta.queue.submit import Submission
from mta.received import Connection
from mta.smtp.policy import Policy
from mta.smtp.session import GONE, INTERNAL, NO_CONTROLS, TIMEOUT, Session
from supervise.command import Argv, command
from supervise.environment import VARIABLES
from supervise.errors import Temporary
from supervise.fd import Closed, Reader, TimedOut, Writer
from supervise.program import ignore_broken_pipes

CLIENT_IN, CLIENT_OUT = 0, 1
PATIENCE = 1200  # seconds
LONGEST_PATIENCE = 2_000_000  # seconds; poll counts milliseconds in 31 bits


@command(b"qmail-smtpd", again=True)
def main(argv: Argv) -> int:
    ignore_broken_pipes()
    return serve(listed())


def serve(control: Control) -> int:
    """Serve one client; the exit code."""
    patience = PATIENCE
    try:
        patience = min(max(control.number(b"timeoutsmtpd", PATIENCE), 1), LONGEST_PATIENCE)
        session = begin(control)
    except Temporary:
        say_goodbye(Writer(CLIENT_OUT, patience), NO_CONTROLS)
        return GONE
    try:
        return converse(session, patience)
    except (Closed, TimedOut):  # it does not take our replies
        return GONE
    except Exception:  # a bug of ours is no reason to return mail
        say_goodbye(Writer(CLIENT_OUT, patience), INTERNAL)
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
    return Session(name, policy, client, Submission, time.time, log)


def converse(session: Session, patience: float) -> int:
    """Move bytes between the client and the session until it is over; the exit code."""
    reader, writer = Reader(CLIENT_IN, patience), Writer(CLIENT_OUT, patience)
    writer.write(session.greeting())
    while session.code is None:
        try:
            if not reader.fill():
                return GONE
        except TimedOut:
            writer.write(TIMEOUT)
            return GONE
        except OSError:  # reset by the client
            return GONE
        text, reader.buffer = reader.buffer, b""
        for replies in session.feed(text):
            writer.write(replies)
    return session.code


def say_goodbye(writer: Writer, reply: bytes) -> None:
    """Give *reply* to the client, if it is still there."""
    try:
        writer.write(reply)
    except (Closed, TimedOut, OSError):
        pass
