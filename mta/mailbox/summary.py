"""The first words of a message, for a look in passing: its subjects, and what the body begins with."""

from __future__ import annotations

from mta import header

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.fd import Reader


class Summary:
    """What is to be seen of a message.

    Args:
        reader: the message.
        size: bytes of *text* that are wanted.

    Attributes:
        fields: the header.
        text: the values of its Subject fields, and the body.

    Raises:
        OSError: the message cannot be read.
        Permanent: its header is too long for us.
    """

    def __init__(self, reader: Reader, size: int) -> None:
        self.fields, body = header.split(reader)
        body += reader.take(size)
        if body and not body.endswith(b"\n"):
            body += b"\n"
        self.text = (b"".join(self.values(b"subject")) + body)[:size]

    def values(self, name: bytes) -> list[bytes]:
        """The values of all fields that are called *name* (in small letters), with their line ends."""
        return [header.value_of(field) for field in self.fields if header.name_of(field) == name]


def shown(text: bytes, instead: bytes) -> bytes:
    """*text* with the byte *instead* for each that a terminal might act on."""
    return bytes(byte if 32 <= byte <= 126 else instead[0] for byte in text)
