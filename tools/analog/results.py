"""The lines that matchup writes, read."""

from __future__ import annotations

from supervise.command import say
from tools.analog.lines import all_lines
from tools.analog.matching import DIGITS, LATEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    Result = "Delivery | Message"


RESULTS = (b"k", b"d", b"z")


class Delivery:
    """One delivery attempt that has ended.

    Args:
        words: those of a `d` line.

    Attributes:
        result: `k`, `d` or `z`: success, failure, deferral.
        birth, start, done: seconds since 1970: when the message came, the attempt began, and ended.
        moment: the last of these as it was written.
        size: bytes of the message.
        sender: with angle brackets, or `?`.
        recipient: channel, dot and address.
        reason: with `_` for blanks.

    Raises:
        ValueError: they are those of no such line.
    """

    __slots__ = ("birth", "done", "moment", "qp", "reason", "recipient", "result", "sender", "size", "start", "uid")

    def __init__(self, words: list[bytes]) -> None:
        _, self.result, birth, start, self.moment, size, self.sender, self.recipient, self.qp, self.uid, *reason = words
        self.birth, self.start, self.done = seconds(birth), seconds(start), seconds(self.moment)
        self.size = number(size)
        self.reason = reason[0] if reason else b""
        if self.result not in RESULTS:
            raise ValueError

    @property
    def ddelay(self) -> float:
        """Seconds from the birth of the message to the end of the attempt."""
        return self.done - self.birth

    @property
    def xdelay(self) -> float:
        """Seconds that the attempt took."""
        return self.done - self.start

    @property
    def host(self) -> bytes:
        """What follows the last @ of the recipient; all of it if there is none."""
        return self.recipient.rpartition(b"@")[2]


class Message:
    """A message that has left the queue.

    Args:
        words: those of an `m` line.

    Attributes:
        birth, done: seconds since 1970: when it came, and left.
        moment: the latter as it was written.
        size: bytes.
        successes, failures, deferrals: how many attempts ended so.
        sender: with angle brackets.

    Raises:
        ValueError: they are those of no such line.
    """

    __slots__ = ("birth", "deferrals", "done", "failures", "moment", "qp", "sender", "size", "successes", "uid")

    def __init__(self, words: list[bytes]) -> None:
        _, birth, self.moment, size, successes, failures, deferrals, self.sender, self.qp, self.uid = words
        self.birth, self.done, self.size = seconds(birth), seconds(self.moment), number(size)
        self.successes, self.failures, self.deferrals = number(successes), number(failures), number(deferrals)

    @property
    def qtime(self) -> float:
        """Seconds in the queue."""
        return self.done - self.birth

    @property
    def recipients(self) -> int:
        """Recipients for whom it is decided."""
        return self.successes + self.failures

    @property
    def tries(self) -> int:
        """Delivery attempts."""
        return self.recipients + self.deferrals


def seconds(word: bytes) -> float:
    """The seconds since 1970 that *word* is; raises ValueError if it is no moment."""
    found = float(word)
    if not 0 <= found < LATEST:  # which nan is not, either
        raise ValueError
    return found


def number(word: bytes) -> int:
    """The number that *word* is; raises ValueError if it is none of so many digits."""
    if not word.isdigit() or len(word) > DIGITS:
        raise ValueError
    return int(word)


def results(name: bytes) -> Iterator[Delivery | Message]:
    """The deliveries and messages on descriptor 0; *name* is that of who complains about lines that are cut off."""
    return (result for result in all_results(name) if not isinstance(result, bytes))


def all_results(name: bytes) -> Iterator[Delivery | Message | bytes]:
    """As `results`, with all other lines as they are."""
    for number, line in enumerate(all_lines(), 1):
        try:
            if line.startswith(b"d "):
                yield Delivery(line.split())
            elif line.startswith(b"m "):
                yield Message(line.split())
            else:
                yield line
        except ValueError:
            say(b"%b: warning: input line %d is passed over: it is none of matchup's: %b" % (name, number, line))


def deliveries(name: bytes) -> Iterator[Delivery]:
    """The deliveries on descriptor 0."""
    return (result for result in results(name) if isinstance(result, Delivery))
