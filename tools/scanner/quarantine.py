"""Put a message away where only an officer finds it, and tell the officer."""

from __future__ import annotations

import os

from mta.home import program
from mta.mailbox.maildir import deliver
from supervise.command import say
from supervise.fd import write_all
from supervise.program import ignore_broken_pipes, spawn
from tools.scanner.finding import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tools.scanner.parcel import Parcel


def put_away(parcel: Parcel, maildir: bytes) -> None:
    """Deliver the message to *maildir*, its envelope in fields on top of its own.

    Raises:
        Temporary: it could not be done, or may not survive a crash.
    """
    deliver(maildir, envelope(parcel), parcel.rewind())


def envelope(parcel: Parcel) -> bytes:
    """The envelope as fields."""
    lines = [b"Return-Path: <%s>\n" % shown(parcel.sender)]
    lines += [b"X-Envelope-To: %s\n" % shown(recipient) for recipient in parcel.recipients]
    if parcel.more:
        lines.append(b"X-Envelope-To-More: %d\n" % parcel.more)
    return b"".join(lines)


def tell(officer: bytes, parcel: Parcel, found: bytes, maildir: bytes) -> None:
    """Tell *officer* what has been put away; a notice that cannot be sent is a line of log, for the message is safe."""
    text = (
        b"From: MAILER-DAEMON\nSubject: quarantined: %s\nTo: %s\nAuto-Submitted: auto-generated\n\n"
        b"A message is in the quarantine %s\nand has not been delivered.\n\nFound: %s\n\n"
    ) % (shown(found), shown(officer), maildir, shown(found))
    try:
        sent = send(officer, text + envelope(parcel))
    except OSError:
        sent = False
    if not sent:
        say(b"qmail-scanner: warning: unable to tell " + shown(officer))


def send(officer: bytes, text: bytes) -> bool:
    """Have qmail-inject send *text* to *officer*, in nobody's name; whether it did.

    Raises:
        OSError: it cannot be run.
    """
    reading, writing = os.pipe()
    ignore_broken_pipes()
    pid = spawn([program(b"qmail-inject"), b"-a", b"-f", b"", b"--", officer], {0: reading})
    os.close(reading)
    try:
        write_all(writing, text)
    except BrokenPipeError:  # its exit code tells
        pass
    os.close(writing)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) == 0
