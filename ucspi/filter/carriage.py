"""Carriage returns at the ends of lines: put in, take out.

Lines may come in pieces of any size; what was last in one piece and matters for the next is kept.
"""

from __future__ import annotations


def add_cr(data: bytes) -> bytes:
    """*data* with a carriage return before each line feed, whether there is one already or not."""
    return data.replace(b"\n", b"\r\n")


class FixCr:
    """Called with one piece after the other: the piece with a carriage return before each line feed that has none."""

    __slots__ = ("after_cr",)

    def __init__(self) -> None:
        self.after_cr = False  # whether the last byte was one

    def __call__(self, data: bytes) -> bytes:
        first = data[:1] if self.after_cr and data.startswith(b"\n") else b""
        self.after_cr = data.endswith(b"\r") if data else self.after_cr
        return first + add_cr(data[len(first) :].replace(b"\r\n", b"\n"))


class DeleteCr:
    """Called with one piece after the other: the piece without the carriage return before each line feed.

    A carriage return at the end of a piece is kept back in *held*, until it is known what follows.
    """

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held = b""

    def __call__(self, data: bytes) -> bytes:
        data = self.held + data
        self.held = b"\r" if data.endswith(b"\r") else b""
        return data[: len(data) - len(self.held)].replace(b"\r\n", b"\n")
