"""Which messages get their numbers, and which must wait because somebody keeps theirs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tools.repair.found import Found, Message
from tools.repair.renumber import settle

FEW = st.integers(1, 12)


class Made(Found):
    """A queue with the messages *numbers*, and things called *barred*."""

    def __init__(self, numbers: set[int], barred: set[int]) -> None:
        self.messages = {number: Message(number) for number in numbers}
        self.barred = barred


def mover(number: int, inode: int, announcing: bytes = b"") -> Message:
    message = Message(number, announcing)
    message.inode = inode
    return message


def settled_simply(movers: list[Message], found: Found) -> tuple[list[Message], list[bytes]]:
    """What settle is to give: round by round, who wants a number that is kept or that others want stays."""
    lines: list[bytes] = []
    while True:
        kept = found.messages.keys() - {one.number for one in movers if not one.moving} | found.barred
        wanted = [one.inode for one in movers]
        stay = [one for one in movers if one.inode in kept or wanted.count(one.inode) > 1]
        if not stay:
            return movers, lines
        lines += [b"message %d stays: %d is taken" % (one.number, one.inode) for one in stay]
        movers = [one for one in movers if one not in stay]


@given(there=st.dictionaries(FEW, FEW), others=st.sets(FEW), away=st.lists(st.tuples(FEW, FEW)), barred=st.sets(FEW))
def test_who_can_move_is_what_the_simple_rule_says(
    there: dict[int, int], others: set[int], away: list[tuple[int, int]], barred: set[int]
) -> None:
    movers = [mover(*each, b"info") for each in away] + [mover(*each) for each in there.items()]
    found = Made({*there, *others}, barred)
    assert settle(movers, found) == settled_simply(movers, found)


class Counted(int):
    """A number that counts how often it is compared with another."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return int(self) == other

    __hash__ = int.__hash__


def test_the_work_grows_with_the_messages_and_no_faster() -> None:
    """In a chain, each waits for the next one's number, and the last one's is kept."""
    size = 2000
    Counted.compared = 0
    movers = [mover(Counted(at), Counted(at + 1)) for at in range(size)]
    found = Made({Counted(at) for at in range(size)}, {Counted(size)})
    left, lines = settle(movers, found)
    assert left == []
    assert lines == [b"message %d stays: %d is taken" % (at, at + 1) for at in reversed(range(size))]
    assert Counted.compared < 50 * size
