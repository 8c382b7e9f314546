"""Put a message away where only an officer finds it, and tell the officer."""

from __future__ import annotations

from mta.mailbox.maildir import deliver
from supervise.command import say
from supervise.errors import Temporary
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
    from tools.user.vacation import send

    text = (
        b"From: MAILER-DAEMON\nSubject: quarantined: %s\nTo: %s\nAuto-Submitted: auto-generated\n\n"
        b"A message is in the quarantine %s\nand has not been delivered.\n\nFound: %s\n\n"
    ) % (shown(found), shown(officer), maildir, shown(found))
    try:
        send(officer, text + envelope(parcel))
    except (Temporary, OSError):
        say(b"qmail-scanner: warning: unable to tell " + shown(officer))
