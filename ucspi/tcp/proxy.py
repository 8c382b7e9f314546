"""The PROXY protocol, by which a proxy in front of us tells on whose behalf it connects.

Both versions of https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt: a line of text, or a binary header.  It
comes first on the connection, and all behind it is the client's.
"""

from __future__ import annotations

import socket
import struct

from ucspi.environ import End

LINE = b"PROXY "  # what version 1 begins with
LONGEST_LINE = 107  # bytes, with the line end
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"  # what version 2 begins with
FIXED = struct.Struct("!12sBBH")  # signature, version and command, family, bytes that follow
LONGEST = 4096  # bytes of a header that we take; the protocol allows 65,551
LOCAL, PROXY = 0x20, 0x21
FAMILIES = {b"TCP4": socket.AF_INET, b"TCP6": socket.AF_INET6}
ADDRESSES = {
    0x11: (socket.AF_INET, struct.Struct("!4s4sHH")),
    0x21: (socket.AF_INET6, struct.Struct("!16s16sHH")),
}


class Header:
    """A header of *size* bytes; *remote* and *local* are the ends that it names, None when it names none."""

    __slots__ = ("local", "remote", "size")

    def __init__(self, size: int, remote: End | None = None, local: End | None = None) -> None:
        self.size, self.remote, self.local = size, remote, local


def parse(data: bytes) -> Header | None:
    """The header that *data* begins with; None when more of it is still to come.

    Raises:
        ValueError: this is no header.
    """
    if data.startswith(LINE[: len(data)]):
        return parse_line(data)
    if data.startswith(SIGNATURE[: len(data)]):
        return parse_binary(data)
    raise ValueError


def parse_line(data: bytes) -> Header | None:
    """A header of version 1, as `parse`."""
    end = data.find(b"\r\n", 0, LONGEST_LINE)
    if end < 0:
        if len(data) >= LONGEST_LINE:
            raise ValueError
        return None
    words = data[:end].split(b" ")
    if words[1] == b"UNKNOWN":
        return Header(end + 2)
    family = FAMILIES.get(words[1])
    if family is None or len(words) != 6:
        raise ValueError
    remote, local = (End(address(family, words[at]), port(words[at + 2])) for at in (2, 3))
    return Header(end + 2, remote, local)


def address(family: int, word: bytes) -> str:
    """The address that *word* is.

    Raises:
        ValueError: it is none of this family.
    """
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, word.decode("ascii")))
    except OSError:
        raise ValueError from None


def port(word: bytes) -> int:
    """The port that *word* is.

    Raises:
        ValueError: it is none.
    """
    if not word.isdigit() or len(word) > 5 or int(word) > 65535:
        raise ValueError
    return int(word)


def parse_binary(data: bytes) -> Header | None:
    """A header of version 2, as `parse`."""
    if len(data) < FIXED.size:
        return None
    _, command, family, length = FIXED.unpack_from(data)
    size = FIXED.size + length
    if command not in (LOCAL, PROXY) or size > LONGEST:
        raise ValueError
    if len(data) < size:
        return None
    if command == LOCAL or family not in ADDRESSES:  # the proxy speaks for itself, or for what is not TCP
        return Header(size)
    number, layout = ADDRESSES[family]
    if length < layout.size:
        raise ValueError
    source, destination, source_port, destination_port = layout.unpack_from(data, FIXED.size)
    remote = End(socket.inet_ntop(number, source), source_port)
    return Header(size, remote, End(socket.inet_ntop(number, destination), destination_port))
