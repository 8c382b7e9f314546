"""multilog - write lines to rotated logs

Usage: multilog action...

multilog reads lines from descriptor 0 and does with every line what the actions say, in
their order. A line is selected at first. When the input ends without a line end, one is
added.

    t         only as first action: put the moment in front of each line, as tai64n does
    -pattern  deselect the lines that match
    +pattern  select the lines that match
    e         write selected lines to descriptor 2, at most 200 bytes of each
    =file     keep the first 1000 bytes of the last selected line in file, with line ends
              up to 1001 bytes
    ssize     logs of the directories after this are at most size bytes, 4096 to 16777215
              (99999 if it is not said)
    nnumber   directories after this hold at most number logs, 2 or more (10)
    !command  old logs of directories after this go through command
    dir       append selected lines to the log in dir, which begins with a dot or a slash

In a pattern, a star stands for all bytes up to the first one that is like the byte
after the star; a star at the end for the rest of the line. Other bytes stand for
themselves. Only the first 1000 bytes of a line, with its time, are looked at.

The newest lines are in dir/current. A log that is full becomes dir/@label.s, where label
is the moment; one that a crash has cut off becomes dir/@label.u. The oldest are removed.
`sh -c command` finds the full log on descriptor 0; its output is kept in place of the log.
What it writes to descriptor 5 the next one finds on descriptor 4. When it fails it is run
again; meanwhile no input is read. When the disk is full, multilog says so and waits;
nothing that it has read is lost.

TERM ends multilog at the next line end; it reads nothing beyond that. ALRM makes an old
log of every current that is not empty.

Exit status:
    0    end of input, or TERM
    111  a directory cannot be opened or is in use, or a file cannot be made; nothing was read

See also: tai64n, tai64nlocal, svscan
"""

from __future__ import annotations

import select
import signal

from supervise.command import Argv, command
from supervise.errors import reason
from supervise.log.logdir import BLOCK, LogDir, warn
from supervise.log.pipe import Pipe
from supervise.log.script import Script, one_by_one
from supervise.log.selection import SEEN
from supervise.loop import Signals
from supervise.stamp import SIZE, label

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

STAMP = SIZE + 1  # bytes that `t` adds to a line


@command(b"multilog", b"action...")
def main(argv: Argv) -> int:
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # nobody left to read descriptor 2 must not cost a line of the logs
    logger = Logger(Script(argv[1:]))
    signals = Signals(signal.SIGTERM, signal.SIGALRM)
    for text in arriving(signals, logger):
        logger.take(text)
    logger.end()
    return 0


def arriving(signals: Signals, logger: Logger) -> Iterator[bytes]:
    """What is read, until the input ends, or TERM has come and the line is at its end."""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(signals.fileno(), select.POLLIN)
    leaving = False
    pipe = Pipe()
    while True:
        ready = poll.poll()
        arrived = signals.arrived()  # whatever is ready: one that came before the input counts before it
        if signal.SIGALRM in arrived:
            logger.rotate()
        leaving = leaving or signal.SIGTERM in arrived
        if leaving and not logger.inside:
            return
        if any(fd == 0 for fd, _ in ready):
            try:
                text = pipe.read(1) if leaving else pipe.read()  # what follows the line is for the next multilog
            except OSError as error:
                warn(b"unable to read input: " + reason(error))
                return
            if not text:
                return
            yield text


class Logger:
    """Does what the script says, and keeps the line that is not yet complete.

    Args:
        script: the actions.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.stamping, self.logs = script.stamping, script.logs
        self.begun = b""  # of a line of which less than SEEN bytes have come
        self.followers: list[LogDir] | None = None  # where the rest of a longer one goes

    @property
    def inside(self) -> bool:
        """Whether the input stands within a line."""
        return bool(self.begun) or self.followers is not None

    def take(self, text: bytes) -> None:
        """Do with *text*, as it was read, what the actions say."""
        stamp = label() + b" " if self.stamping else b""
        at = 0
        while at < len(text):
            end = self.stretch(text, at)
            self.take_stretch(text[at:end], stamp)
            at = end

    def stretch(self, text: bytes, at: int) -> int:
        """How far *text* can be taken at once: as far as all logs have room for it surely, or a block."""
        size = len(text) - at
        room = min((log.room() for log in self.logs), default=size * STAMP) - len(self.begun) - STAMP
        if size > room:
            size = max(BLOCK, room // BLOCK * BLOCK)
        while size > BLOCK:
            need = size
            if self.stamping:  # bytes.count looks at one byte at a time, bytes.replace does not
                need += STAMP * (size - len(text[at : at + size].replace(b"\n", b"")))
            if need <= room:
                break
            size = max(BLOCK, size * room // need // BLOCK * BLOCK)
        return at + size

    def take_stretch(self, text: bytes, stamp: bytes) -> None:
        """Split *text* into lines, or what there is of them, and act on those."""
        if self.followers is not None:
            end = text.find(b"\n") + 1
            rest, text = (text[:end], text[end:]) if end else (text, b"")
            for log in self.followers:
                log.put(rest)
            if end:
                self.followers = None
        end = text.rfind(b"\n") + 1
        if end:
            lines = b"".join((self.begun or stamp, text[: end - 1].replace(b"\n", b"\n" + stamp), b"\n"))
            # Two that write to descriptor 2 take turns with every line.
            for some in one_by_one(lines) if self.script.interleaved else (lines,):
                self.script.act(some)
            self.begun = b""
        if end < len(text):
            self.begun = (self.begun or stamp) + text[end:]
            if len(self.begun) >= SEEN:
                self.followers = self.script.act(self.begun + b"\n", ended=False)
                self.begun = b""
        for log in self.logs:
            log.flush()

    def rotate(self) -> None:
        """Make an old log of every current that is not empty."""
        for log in self.logs:
            if log.length:
                log.rotate()

    def end(self) -> None:
        """Complete the last line, and end all logs cleanly."""
        if self.inside:
            self.take_stretch(b"\n", b"")
        for log in self.logs:
            log.end()
