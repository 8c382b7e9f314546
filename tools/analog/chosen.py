"""Picks lines by one of their words, which the filters have in common."""

from __future__ import annotations

from tools.analog.lines import all_lines, put

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def put_chosen(wanted: bytes, delivery: int, message: int | None = None) -> None:
    """Copy those lines of matchup that have the word *wanted*.

    Args:
        delivery: where it stands in lines of deliveries, from 0.
        message: where it stands in lines of messages; without it these are left out.
    """
    put(chosen(wanted, {b"d": delivery, b"m": message}))


def chosen(wanted: bytes, places: dict[bytes, int | None]) -> Iterator[bytes]:
    """Those lines that have *wanted* where *places* say for lines that begin so."""
    for line in all_lines():
        words = line.split()
        place = places.get(words[0]) if words else None
        if place is not None and words[place : place + 1] == [wanted]:
            yield line
