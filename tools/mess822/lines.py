"""What comes after DATA from a program that people write mail with: any line end will do.

Lines end with LF or CR LF, and both become LF.  A dot that begins a line goes; a line of one dot is the end.
"""

from __future__ import annotations

from mta.smtp.data import Body

ENDS = b"\n.\n", b"\n.\r\n"
BEGINNINGS = tuple(end[:size] for end in (b"\r\n.\r\n", b"\n.\r\n") for size in range(1, len(end)))  # of a line end too


class Lines(Body):
    """Turn the text into the message, as `Body` does; hops are not counted."""

    __slots__ = ()

    def feed(self, chunk: bytes) -> bytes:
        """Take the next *chunk* of the text, and return what it adds to the message."""
        text = self.waiting + chunk
        found = [(at, at + len(end)) for end in ENDS if (at := text.find(end)) >= 0]
        self.ended = bool(found)
        if found:
            end, rest = min(found)
            size = end + 1  # the line end before the dot is the message's last
            self.rest = text[rest:]
        else:
            size = len(text) - max(len(end) for end in (b"", *BEGINNINGS) if text.endswith(end))
        self.waiting, text = text[size:], text[:size]
        message = text.replace(b"\n.", b"\n").replace(b"\r\n", b"\n")
        if not self.started and message:
            self.started = True
            return message[1:]  # without the line end of the DATA command
        return message
