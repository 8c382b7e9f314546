"""What multilog does with lines: the actions of its command line."""

from __future__ import annotations

import os
from binascii import crc32

from supervise.errors import Temporary
from supervise.fd import write_all
from supervise.log.compressor import compressor
from supervise.log.left import Left, left_in
from supervise.log.logdir import LogDir
from supervise.log.patience import insist
from supervise.log.selection import Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHOWN = 200  # bytes of a line that `e` shows
STATUS = 1001  # bytes of a status file
DEFAULT_SIZE, DEFAULT_KEEP = 99999, 10


class Script:
    """The actions in their order, each with what is selected for it.

    Args:
        words: the actions as given.

    Raises:
        Temporary: a directory or a file cannot be opened.
    """

    def __init__(self, words: list[bytes]) -> None:
        self.stamping = bool(words) and words[0].startswith(b"t")
        self.identity = b"%08x" % crc32(b"\0".join(words))
        self.left: Left | None = None  # of a multilog that was killed
        self.actions = list(self.parsed(words))
        self.logs = [action for _, action in self.actions if isinstance(action, LogDir)]
        others = [action for _, action in self.actions if not isinstance(action, LogDir)]
        # Two that write to descriptor 2, or to one file, take turns with every line.
        self.interleaved = others.count(show) > 1 or len(others) - others.count(show) > 1

    def parsed(self, words: list[bytes]) -> Iterator[tuple[Selection, LogDir | Callable[[bytes], object]]]:
        """What is done with lines, a directory or a function, and which lines those are."""
        try:
            here = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise Temporary(b"unable to switch to current directory", error) from None
        size, keep, processor, compress = DEFAULT_SIZE, DEFAULT_KEEP, None, None
        patterns: list[bytes] = []
        selection = Selection()
        is_first = True
        for word in words:
            letter, rest = word[:1], word[1:]
            if letter in (b"+", b"-"):
                patterns.append(word)
                selection = Selection(patterns)
            elif letter == b"s":
                size = number(rest)
            elif letter == b"n":
                keep = number(rest)
            elif letter == b"!":
                processor, compress = rest, None
            elif letter == b"z":
                processor, compress = None, compressor(rest)
            elif letter == b"e":
                yield selection, show
            elif letter == b"=":
                os.fchdir(here)
                yield selection, Status(rest)
            elif letter in (b".", b"/"):
                os.fchdir(here)
                yield selection, self.opened(LogDir(word, size, keep, processor, compress), is_first)
                is_first = False
        os.close(here)

    def opened(self, log: LogDir, is_first: bool) -> LogDir:
        """*log*, ready for writing, as a multilog that was killed has left it."""
        left = left_in(log, self.identity)
        if is_first:
            self.left = left
        log.start(self.left)
        if left and not is_first:  # that of another script, which this one does not go on with
            log.set_aside(left.text)
            log.folder.remove(b"inbox")
        return log

    def act(self, lines: bytes, ended: bool = True) -> list[LogDir]:
        """Do with *lines* what the actions say; the directories that take them.

        Args:
            ended: false for a single line of which more is to come.
        """
        takers = []
        chosen: Selection | None = None
        for selection, action in self.actions:
            if selection is not chosen:
                chosen, text = selection, selection.of(lines)
            if not text:
                continue
            if isinstance(action, LogDir):
                action.put(text if ended else text[:-1])
                takers.append(action)
            else:
                action(text)
        return takers


def one_by_one(lines: bytes) -> list[bytes]:
    """The lines in *lines*, each with its line end, which is nothing but a line feed."""
    return [line + b"\n" for line in lines[:-1].split(b"\n")]


def number(digits: bytes) -> int:
    """The number that *digits* begins with, 0 without any; as in the original, it wraps at 64 bits."""
    count = len(digits) - len(digits.lstrip(b"0123456789"))
    return int(digits[:count][-64:] or b"0") % (1 << 64)  # 10^64 wraps to 0


def show(text: bytes) -> None:
    """Write lines to descriptor 2, what there is to see of them."""
    if len(text) > SHOWN:
        text = b"".join(line if len(line) <= SHOWN + 1 else line[:SHOWN] + b"...\n" for line in one_by_one(text))
    try:
        write_all(2, text)
    except OSError:  # nobody left to hear it
        pass


class Status:
    """A file that holds the last line.

    Args:
        name: the file; made when it is missing.

    Raises:
        Temporary: it cannot be opened.
    """

    def __init__(self, name: bytes) -> None:
        self.name = name
        try:
            self.fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Temporary(b"unable to create " + name, error) from None

    def __call__(self, text: bytes) -> None:
        """Keep the last line of *text*."""
        line = text[text.rfind(b"\n", 0, -1) + 1 : -1][: STATUS - 1].ljust(STATUS, b"\n")
        insist(b"write " + self.name, os.pwrite, self.fd, line, 0)
