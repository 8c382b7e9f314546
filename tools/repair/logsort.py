"""qmLogsort - put the lines of a log together, message by message

Usage: qmLogsort [ service | dir ... ]

qmLogsort reads a log of qmail-send from descriptor 0, or those of the named services as svlog finds them, and prints
the lines of each message together, as they are, with an empty line behind each message.  The line in which a delivery
ends goes with the message of the line in which it started.  Stamps and dates in front of lines do not matter.

A message is printed when it ends; those that have not ended come last, in the order in which they began.  A line that
belongs to no message, such as those that begin with status, is left out, as is the end of a delivery whose start is
not in the log.

Exit status:
    0    it was printed
    111  a log could not be read; all else was printed

See also: svlog, qmail-why, qmail-send
"""

from __future__ import annotations

from supervise.command import Argv, command
from supervise.errors import Temporary
from supervise.fd import lines, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from supervise.history.complaints import Complaints

PATTERN = (
    rb"(?:^|(?<= ))(?:starting delivery (?P<start>\d+): msg (?P<of>\d+) to |delivery (?P<delivery>\d+): "
    rb"|(?P<word>new|info|bounce|end) msg (?P<number>\d+)|triple bounce: discarding bounce/(?P<triple>\d+)"
    rb"|(?P<exit>status: exiting))"
)


@command(b"qmLogsort", b"[ service | dir ... ]")
def main(argv: Argv) -> int:
    if not argv[1:]:
        return sort((0, line.rstrip(b"\n")) for line in given())
    from supervise.history.complaints import Complaints

    complain = Complaints(b"qmLogsort")
    sort(logged(argv[1:], complain))
    return complain.code


def given() -> Iterator[bytes]:
    """The lines on descriptor 0."""
    try:
        yield from lines(0)
    except OSError as error:
        raise Temporary(b"unable to read log", error) from None


def logged(words: list[bytes], complain: Complaints) -> Iterator[tuple[int, bytes]]:
    """The lines of the logs that *words* mean, each with the number of its log."""
    from supervise.history.directory import logs_in, unable
    from supervise.history.place import Places
    from supervise.history.svlog import merged

    histories = []
    for at, folder in Places(words, [], complain).new():
        try:
            histories.append((at, logs_in(folder, complain)))
        except OSError as error:
            complain(unable(folder, error))
    for _, at, line in merged(histories, complain):
        yield at, line


def sort(found: Iterator[tuple[int, bytes]]) -> int:
    """Print the lines that are *found* by message; each comes with the number of its log."""
    import re

    search = re.compile(PATTERN).search
    logs: dict[int, Log] = {}
    for at, line in found:
        told = search(line)
        if told:
            if at not in logs:
                logs[at] = Log()
            logs[at].take(line, told.groupdict())
    for log in logs.values():
        for group in log.messages.values():
            show(group)
    return 0


class Log:
    """The messages of one qmail-send that have not ended, each with its lines, and the deliveries under way."""

    def __init__(self) -> None:
        self.messages: dict[bytes, list[bytes]] = {}
        self.deliveries: dict[bytes, list[bytes]] = {}
        self.last = 0

    def take(self, line: bytes, told: dict[str, bytes | None]) -> None:
        """Put *line*, of which the pattern has *told*, where it belongs."""
        number = told["number"] or told["of"] or told["triple"]
        if told["exit"]:
            self.restart()
        elif delivery := told["delivery"]:
            if delivery in self.deliveries:
                self.deliveries.pop(delivery).append(line)
        elif number:
            if told["word"] == b"new" and number in self.messages:  # the end of the last of that number is not here
                show(self.messages.pop(number))
            group = self.messages.setdefault(number, [])
            group.append(line)
            if start := told["start"]:
                self.start(start, group)
            elif told["word"] == b"end":
                show(self.messages.pop(number))

    def start(self, delivery: bytes, group: list[bytes]) -> None:
        """The message of *group* is being delivered; numbers begin anew with each qmail-send."""
        if int(delivery[:20]) <= self.last:
            self.restart()
        self.last = int(delivery[:20])
        self.deliveries[delivery] = group

    def restart(self) -> None:
        """Another qmail-send begins."""
        self.deliveries.clear()
        self.last = 0


def show(group: list[bytes]) -> None:
    """Print the lines of a message."""
    write_all(1, b"\n".join([*group, b"", b""]))
