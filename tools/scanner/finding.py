"""What a daemon says of a message."""

from __future__ import annotations

from supervise.errors import PRINTABLE

CLEAN, TAGGED, SPAM, VIRUS, LATER = b"clean", b"tagged", b"spam", b"virus", b"later"

LONGEST = 700  # bytes of a daemon's words that go into a field


class Finding:
    """A daemon's answer.

    Attributes:
        kind: CLEAN; TAGGED, a field says that it looks bad; SPAM; VIRUS; LATER, the daemon wants it sent again.
        fields: the lines that the message gets on top.
        said: the same in a few words, for the log and the notice.
    """

    __slots__ = ("fields", "kind", "said")

    def __init__(self, kind: bytes, fields: bytes, said: bytes) -> None:
        self.kind, self.fields, self.said = kind, fields, said


class Failed(Exception):
    """A daemon gives no answer; *why*, in a few words."""

    def __init__(self, why: bytes) -> None:
        super().__init__(why)
        self.why = why


class TooLarge(Failed):
    """A daemon does not look at a message of this size."""


def shown(text: bytes) -> bytes:
    """*text* as it may stand in a field or a line of log: printable, in one line, and not long."""
    return text.translate(PRINTABLE)[:LONGEST]


def virus_status(text: bytes) -> bytes:
    """The field about viruses."""
    return b"X-Virus-Status: " + shown(text) + b"\n"


def spam_status(text: bytes, spam: bool = False) -> bytes:
    """The field about spam, and the flag of what is spam."""
    return (b"X-Spam-Flag: YES\n" if spam else b"") + b"X-Spam-Status: " + shown(text) + b"\n"
