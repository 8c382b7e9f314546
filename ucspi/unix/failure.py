"""Failures in the words of the original, which are the system's own."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Result = TypeVar("Result")

CODE = 1  # how the commands exit then, and after wrong usage


class Failed(Exception):
    """A system call failed; *line* says which, and why.

    Args:
        call: its name.
        error: the system's error.
    """

    def __init__(self, call: bytes, error: OSError) -> None:
        super().__init__()
        self.line = call + b": " + os.strerror(error.errno or 0).encode()


def step(call: bytes, do: Callable[[], Result]) -> Result:
    """The result of *do*.

    Raises:
        Failed: the system call named *call* fails in it.
    """
    try:
        return do()
    except OSError as error:
        raise Failed(call, error) from None
