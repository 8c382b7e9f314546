"""Trying until it succeeds: a log must not lose lines because a disk is full for a while."""

from __future__ import annotations

import time

from supervise.command import say
from supervise.errors import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Result = TypeVar("Result")

PAUSE = 5  # seconds before what has failed is tried again


def warn(what: bytes) -> None:
    """Say *what*."""
    say(b"multilog: warning: " + what)


def pause(what: bytes) -> None:
    """Say *what* has failed, and wait before it is tried again."""
    warn(what)
    time.sleep(PAUSE)


def insist(what: bytes, call: Callable[..., Result], *args: object) -> Result:
    """The result of *call*, which is tried until it succeeds; *what* is said each time it does not."""
    while True:
        try:
            return call(*args)
        except OSError as error:
            pause(b"unable to %b, pausing: %b" % (what, reason(error)))
