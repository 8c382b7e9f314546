"""How the original cuts what it writes, which decides where a log ends.

A log with a size of N bytes is finished at the last line end before N, or at N within a
line that is too long.  Which line end it is, is the original's choice, so that old logs
have the sizes that they always had: it takes 1024 bytes of input at a time, collects 512
bytes for each log, and finishes a log when such a piece ends with a line within the last
2000 bytes.  This is followed for the pieces around the end of a log only; what comes
before is written as it comes.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = 1024  # bytes of input that the original takes at a time
BUFFER = 512  # bytes that it collects for a log
WHOLE = 1000  # bytes of a line that go into its buffer in one piece
MARGIN = 2000  # bytes before the size where a line end finishes a log


def pieces(text: bytes, inside: bool) -> Iterator[bytes]:
    """*text*, the output of one block of input, as the original would write it.

    Args:
        inside: *text* begins within a line.
    """
    start = at = 0  # what is between them is in the buffer
    while at < len(text):
        end = text.find(b"\n", at) + 1 or len(text)
        if not inside:
            head = min(end - text.endswith(b"\n", at, end), at + WHOLE)
            if head - start > BUFFER:
                if start < at:
                    yield text[start:at]
                    start = at
                if head - at > BUFFER:
                    yield text[at:head]
                    start = head
        while end - start > BUFFER:
            yield text[start : start + BUFFER]
            start += BUFFER
        at, inside = end, False
    if start < len(text):
        yield text[start:]
