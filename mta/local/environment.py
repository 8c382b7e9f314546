"""What a delivery knows about itself: its header lines, and the environment of its programs.

SENDER NEWSENDER          the envelope sender; the one that forwarded copies carry
RECIPIENT LOCAL HOST      the envelope recipient, whole, before and after the `@`
HOST2 HOST3 HOST4         HOST without its last 1, 2, 3 labels
USER HOME                 whose mail it is
EXT EXT2 EXT3 EXT4        what follows the user's name; from its 2nd, 3rd, 4th word on
DEFAULT                   what `default` in the name of the .qmail file stood for; else unset
DTLINE RPLINE UFLINE      the lines Delivered-To, Return-Path and `From `, with their line ends
"""

from __future__ import annotations

from mta.address import quote
from mta.date import mbox_date

NOBODY = (b"", b"#@[]")  # senders of bounces and of double bounces


class Envelope:
    """Whose mail this is and who sent it: the arguments of qmail-local."""

    __slots__ = ("dash", "ext", "home", "host", "local", "sender", "user")

    def __init__(
        self, user: bytes, home: bytes, local: bytes, dash: bytes, ext: bytes, host: bytes, sender: bytes
    ) -> None:
        self.user, self.home, self.local, self.dash, self.ext = user, home, local, dash, ext
        self.host, self.sender = host, sender

    @property
    def recipient(self) -> bytes:
        return self.local + b"@" + self.host

    @property
    def delivered_to(self) -> bytes:
        """The line by which a loop is noticed; a line feed in the address is written `_`."""
        return b"Delivered-To: %s\n" % one_line(self.recipient)

    @property
    def return_path(self) -> bytes:
        return b"Return-Path: <%s>\n" % one_line(quote(self.sender))

    @property
    def from_line(self) -> bytes:
        """The line that begins the message in an mbox, dated now; blanks in the sender are written `-`."""
        sender = self.sender.translate(DASHES) or b"MAILER-DAEMON"
        return b"From %s %s\n" % (sender, mbox_date())

    def variables(self, newsender: bytes, default: bytes | None) -> dict[bytes, bytes]:
        """The environment; *newsender* and *default* as above."""
        found = {
            b"SENDER": self.sender,
            b"NEWSENDER": newsender,
            b"RECIPIENT": self.recipient,
            b"LOCAL": self.local,
            b"HOST": self.host,
            b"USER": self.user,
            b"HOME": self.home,
            b"EXT": self.ext,
            b"DTLINE": self.delivered_to,
            b"RPLINE": self.return_path,
            b"UFLINE": self.from_line,
        }
        if default is not None:
            found[b"DEFAULT"] = default
        ext, host = self.ext, self.host
        for number in (b"2", b"3", b"4"):
            ext = ext.partition(b"-")[2]
            host = host.rpartition(b".")[0] if b"." in host else host
            found[b"EXT" + number], found[b"HOST" + number] = ext, host
        return found


DASHES = bytes.maketrans(b" \t\n", b"---")


def one_line(address: bytes) -> bytes:
    return address.replace(b"\n", b"_")
