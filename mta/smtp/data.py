"""What comes after DATA: the text on the wire, and the message in it (RFC 5321, section 4.5.2).

Lines end with CR LF on the wire and with LF in a message.  The client doubles a dot that
begins a line; a line of one dot ends the message, and nothing but CR LF . CR LF is that line.
A LF without its CR is refused, because those who disagree about it can be made to disagree
about where a message ends.  A CR without LF belongs to the message, like any other byte.

The text comes in chunks that may be cut anywhere.  Whole chunks are searched and replaced;
only a possible beginning of the end, four bytes at most, waits for the next chunk.
"""

END = b"\r\n.\r\n"
BLANK = b"\r\n\r\n"
RECEIVED, DELIVERED = b"\nreceived", b"\ndelivered"


class BareNewline(Exception):
    """There is a LF without CR."""


class Body:
    """Turn the text into the message.

    Attributes:
        ended: the end has been seen.
        rest: what came after it.
        hops: header fields that begin with Received or Delivered so far: how often the message has
            been handed on.  As the original: no colon is asked for.
    """

    __slots__ = ("ended", "header", "hops", "rest", "started", "tail", "waiting")

    def __init__(self) -> None:
        self.waiting = b"\r\n"  # the line end of the DATA command: the text begins at the start of a line
        self.started = False
        self.ended = False
        self.rest = b""
        self.hops = 0
        self.header = True
        self.tail = b""  # the last bytes of the header so far, in lower case

    def feed(self, chunk: bytes) -> bytes:
        """Take the next *chunk* of the text, and return what it adds to the message.

        Raises:
            BareNewline: there is a LF without CR before the end.
        """
        text = self.waiting + chunk
        size = text.find(END)
        self.ended = size >= 0
        if self.ended:
            size += 2  # the line end before the dot is the message's last
            self.rest = text[size + 3 :]
        else:
            size = len(text) - beginning_of_end(text)
        self.waiting, text = text[size:], text[:size]
        if text.count(b"\n") != text.count(b"\r\n"):
            raise BareNewline
        if self.header:
            self.count_hops(text)
        message = undotted(text).replace(b"\r\n", b"\n")
        if not self.started and message:
            self.started = True
            return message[1:]  # without the line end of the DATA command
        return message

    def count_hops(self, text: bytes) -> None:
        """Count in *text*, the next part of the header and perhaps the beginning of what follows it."""
        text = self.tail + text.lower()
        end = text.find(BLANK)
        if end >= 0:
            self.header = False
            text = text[: end + 2]
        self.hops += text.count(RECEIVED) + text.count(DELIVERED) - self.tail.count(RECEIVED)
        self.tail = text[1 - len(DELIVERED) :]  # no room for a whole DELIVERED, which so is never counted twice


def beginning_of_end(text: bytes) -> int:
    """How many bytes at the end of *text* may be the beginning of the end of the message."""
    for size in range(len(END) - 1, 0, -1):
        if text.endswith(END[:size]):
            return size
    return 0


def undotted(text: bytes) -> bytes:
    """*text* without the dots that the client has put before lines."""
    if b"\r\n." not in text:
        return text
    # as the original: a dot before a CR is no doubled dot, and stays
    return text.replace(b"\r\n.\r", b"\r\n..\r").replace(b"\r\n.", b"\r\n")
