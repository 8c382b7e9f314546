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
    zlevel    old logs of directories after this are compressed with Zstandard, at the level 1
              to 19 (3); z0 or !command ends that, as z ends !command
    dir       append selected lines to the log in dir, which begins with a dot or a slash

In a pattern, a star stands for all bytes up to the first one that is like the byte
after the star; a star at the end for the rest of the line. Other bytes stand for
themselves. Only the first 1000 bytes of a line, with its time, are looked at.

The newest lines are in dir/current. A log that is full becomes dir/@label.s, where label
is the moment; one that a crash has cut off becomes dir/@label.u. The oldest are removed.
`sh -c command` finds the full log on descriptor 0; its output is kept in place of the log.
What it writes to descriptor 5 the next one finds on descriptor 4. When it fails it is run
again; meanwhile no input is read. A compressed log is called dir/@label.s.zst; zstdcat and
svlog read it. When the disk is full, multilog says so and waits; nothing that it has read is
lost.

When multilog is killed, even with KILL, nothing of what comes through a pipe is lost, torn or
written twice: it is kept in the file inbox of the first directory until it is in the logs,
and the next multilog goes on where the killed one was. (Lines that e shows may be shown twice.)
After a crash of the machine all dir/@label.s are whole; the last lines of current may be
missing.

TERM ends multilog at the next line end; it reads nothing beyond that. ALRM makes an old
log of every current that is not empty.

When descriptor 0 cannot be read, or is closed, that is said on descriptor 2 and counts as the end
of input.

Exit status:
    0    end of input, or TERM
    111  a directory cannot be opened or is in use, or a file cannot be made; nothing was read

See also: tai64n, tai64nlocal, svlog, svscan
"""

from __future__ import annotations

import os
import select
import signal

from supervise.command import Argv, command
from supervise.errors import reason
from supervise.log.inbox import Inbox
from supervise.log.logger import Logger
from supervise.log.patience import warn
from supervise.log.script import Script
from supervise.loop import Signals
from supervise.stamp import label

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


@command(b"multilog", b"action...")
def main(argv: Argv) -> int:
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # nobody left to read descriptor 2 must not cost a line of the logs
    have_input()
    logger = Logger(Script(argv[1:]))
    signals = Signals(signal.SIGTERM, signal.SIGALRM)
    inbox = Inbox(logger)
    for text in arriving(signals, inbox, logger):
        inbox.take(text, label())
    inbox.finish()
    return 0


def have_input() -> None:
    """Keep what we open from becoming our input: a descriptor 0 that is closed stays one that cannot be read."""
    try:
        os.fstat(0)
    except OSError:
        os.open(os.devnull, os.O_WRONLY)  # it becomes descriptor 0, the lowest that is free


def arriving(signals: Signals, inbox: Inbox, logger: Logger) -> Iterator[bytes]:
    """What is read, until the input ends, or TERM has come and the line is at its end."""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(signals.fileno(), select.POLLIN)
    leaving = False
    while True:
        ready = [fd for fd, _ in poll.poll()]
        if signals.noted or signals.fileno() in ready:  # one that came before the input counts before it
            arrived = signals.arrived()
            if signal.SIGALRM in arrived:
                logger.rotate()
            leaving = leaving or signal.SIGTERM in arrived
        if leaving and not logger.inside:
            return
        if 0 in ready:
            try:
                text = inbox.read(1) if leaving else inbox.read()  # what follows the line is for the next multilog
            except BlockingIOError:  # somebody else has read it
                continue
            except OSError as error:
                warn(b"unable to read input: " + reason(error))
                return
            if not text:
                return
            yield text
