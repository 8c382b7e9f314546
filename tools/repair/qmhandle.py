"""qmhandle - look at the messages in the queue, and delete some

Usage: qmhandle [ -lLRNcsaDV ] [ -mN ] [ -dN ] [ -fADDRESS ] [ -F RE ] [ -S RE ] [ -h RE ] [ -H RE ] [ -b RE ] [ -B RE ]
                [ -t RE ]

qmhandle does what its options say, in their order, and deletes at the end what was chosen.  An option may be given more
than once: -d123 -m456 -d567.  RE is a regular expression that is looked for; in headers and bodies it is looked for
line by line, in what was written, encoded words and all.

    -l      list the messages
    -L      list those with recipients on this machine
    -R      list those with recipients elsewhere
    -N      with -l, -L, -R: only their numbers
    -c      with colours
    -s      count messages; a list ends with this too
    -mN     show message N
    -dN     delete message N
    -fADDRESS  delete what has this envelope sender
    -F RE   delete what has such an envelope sender
    -S RE   delete what has such a subject
    -h RE   delete what has such a line in its header; -H: capital and small letters differ
    -b RE   delete what has such a line in its body; -B: capital and small letters differ
    -D      delete everything
    -t RE   let messages to such recipients, that wait, be as young as if they had just come: they are tried at shorter
            intervals, and stay in the queue for longer
    -a      have qmail-send try now whatever waits
    -V      print the version

A message in a list is its number and where its text lies, then lines that begin with two blanks: Return-path (the
envelope sender), From, To, Cc, Subject, Date as far as there are such, Size in bytes.  What a terminal might obey is a
question mark there; so it is with -m when descriptor 1 is a terminal.

To delete, and for -t, qmail-send must not run.  If it does, qmhandle stops its service (svc -d), which waits for the
deliveries under way, and starts it again in the end, also when something fails or a signal ends it; only a KILL leaves
the service down.  When there is no message to change, nothing is stopped.  A message is deleted file by file, and is
in a legal state in between.  What it does, and what it does not find, is told on descriptor 2.

What is deleted is neither delivered nor bounced, and qmail-send logs no end of it.  So for matchup, zstore and zplot it
is pending until another message gets its number.  The page of zstore tells how to end it there.

Differences from the original: numbers are listed in order.  -t needs qmail-send stopped, and looks at all recipients
that wait, those on this machine too.  -N prints the numbers.  qmail-send goes on when there is nothing to delete.

Exit status:
    0    done; that a message was not found, or that none was, is no failure
    100  wrong usage
    111  the queue cannot be read or changed, or qmail-send cannot be stopped; or a signal came

Environment:
    QMAILHOME  the home; /var/qmail by default
    SVDIR      where the service qmail-send is; by default service in the home

See also: qmail-qread, qmail-qstat, qmail-qsanity, queue-fix, svc, matchup, zstore
"""

from __future__ import annotations

import os

from mta.home import enter, step_down
from mta.queue.qread import visible
from supervise.command import Argv, command, say
from supervise.errors import Permanent, Temporary, Usage
from supervise.fd import write_all
from supervise.options import options
from tools.repair import listing
from tools.repair.rest import at_rest, service, tell

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterator, Sequence

LETTERS = b"alLRNcsDVm:d:f:F:S:h:H:b:B:t:"
USAGE = b"[ -lLRNcsaDV ] [ -mN ] [ -dN ] [ -fADDRESS ] [ -F RE ] [ -S RE ] [ -h RE ] [ -H RE ] [ -b RE ] [ -B RE ]"
USAGE += b" [ -t RE ]"
CHANGING = b"dfFShHbBDt"  # these need qmail-send stopped
PATTERNS = b"FShHbBt"  # these have a regular expression
CASELESS = b"hb"
MESSAGE, STATISTICS, PLAIN = b"\33[1;34m", b"\33[1;31m", b"\33[0m"


@command(b"qmhandle", USAGE)
def main(argv: Argv) -> int:
    return handle(argv)


def handle(argv: Argv) -> int:
    """Do what the options in *argv* say; the exit code."""
    found, words = options(argv, LETTERS)
    if words or not found:
        raise Usage
    handler = Handler(os.path.basename(argv[0]), found)
    step_down()
    where = service()
    enter(b"queue")
    if handler.finds():
        with at_rest(handler.name, where):
            handler.act(changing=True)
            handler.delete()
    else:
        handler.act(changing=False)
    if (b"a", b"") in found:
        hurry(handler.name, where)
    return 0


def hurry(name: bytes, where: bytes) -> None:
    """Have qmail-send try what waits."""
    try:
        tell(where, b"a")
    except Temporary as trouble:
        say(b"%s: warning: nothing is tried now: %s" % (name, trouble.line))


class Handler:
    """The options *found* of one run of *name*, and what came of them.

    Attributes:
        doomed: the messages that are to be deleted.

    Raises:
        Permanent: a number is none, or a regular expression is none.
    """

    def __init__(self, name: bytes, found: list[tuple[bytes, bytes]]) -> None:
        self.name, self.found = name, found
        letters = {letter for letter, _ in found}
        self.brief = b"N" in letters
        self.colours = (MESSAGE, STATISTICS, PLAIN) if b"c" in letters else (b"", b"", b"")
        self.doomed: set[int] = set()
        self.patterns = {(letter, value): pattern(letter, value) for letter, value in found if letter in PATTERNS}
        for letter, value in found:
            if letter in b"md" and not value.isdigit():
                raise Permanent(visible(value) + b" is no number of a message")

    def finds(self) -> bool:
        """Whether there is a message now that an option is to change."""
        self.messages = listing.Listing()
        changes = [(letter, value) for letter, value in self.found if letter in CHANGING]
        return any(True for letter, value in changes for _ in self.chosen(letter, value))

    def act(self, changing: bool) -> None:
        """Do what the options say, but for deleting; unless *changing*, none has found a message to change."""
        self.messages = listing.Listing()
        for letter, value in self.found:
            if letter in b"lLR":
                self.list(letter)
            elif letter == b"s":
                self.count()
            elif letter == b"m":
                self.show(int(value))
            elif letter == b"V":
                write_all(1, b"%s %s\n" % (self.name, version()))
            elif letter in CHANGING:
                self.change(letter, value, [*self.chosen(letter, value)] if changing else [])

    # -- looking -----------------------------------------------------------------------------
    def list(self, letter: bytes) -> None:
        """List the messages, and count them."""
        bold, _, plain = self.colours
        among = {b"l": {*self.messages.all}, b"L": self.messages.local, b"R": self.messages.remote}[letter]
        for number in self.messages.all:
            if number in among:
                write_all(1, b"%d\n" % number if self.brief else listing.block(number, bold, plain))
        self.count()

    def count(self) -> None:
        """Print how many messages there are."""
        _, bold, plain = self.colours
        lines = [b"%s%s%s: %d\n" % (bold, what, plain, number) for what, number in self.messages.counts()]
        write_all(1, b"".join(lines))

    def show(self, number: int) -> None:
        """Print a message."""
        if number not in self.messages.all:
            self.missing(number)
            return
        write_all(1, b"\n --------------\nMESSAGE NUMBER %d \n --------------\n" % number)
        for piece in listing.text(number, os.isatty(1)):
            write_all(1, piece)

    def missing(self, number: int) -> None:
        say(b"%s: there is no message %d" % (self.name, number))

    # -- changing ----------------------------------------------------------------------------
    def change(self, letter: bytes, value: bytes, chosen: Sequence[int]) -> None:
        """Doom the messages that an option means, or let them be young again."""
        if not chosen and letter == b"d":
            self.missing(int(value))
        elif not chosen:
            say(b"%s: -%s%s: there is no such message" % (self.name, letter, visible(value)))
        elif letter == b"t":
            for number in chosen:
                listing.rejuvenate(number)
                say(b"%s: message %d is as if it had just come" % (self.name, number))
        else:
            self.doomed.update(chosen)

    def chosen(self, letter: bytes, value: bytes) -> Iterator[int]:
        """The messages that an option means."""
        wanted = self.meaning(letter, value)
        among = sorted(self.messages.info - self.messages.todo) if letter == b"t" else self.messages.all
        return (number for number in among if wanted(number))

    def meaning(self, letter: bytes, value: bytes) -> Callable[[int], bool]:
        """Whether an option means a message."""
        if letter == b"D":
            return lambda number: True
        if letter == b"d":
            return lambda number: number == int(value)
        if letter == b"f":
            return lambda number: listing.sender(number) == value
        search = self.patterns[letter, value]
        if letter == b"t":
            return lambda number: any(search.search(address) for address in listing.recipients(number))
        if letter == b"F":
            return lambda number: (found := listing.sender(number)) is not None and bool(search.search(found))
        if letter == b"S":
            return lambda number: bool(search.search(listing.field(number, b"subject")))
        return lambda number: listing.matching(number, search, letter in b"bB")

    def delete(self) -> None:
        """Delete the messages that are doomed."""
        for number in sorted(self.doomed):
            listing.delete(number)
            say(b"%s: message %d is deleted" % (self.name, number))
        if self.doomed:
            os.sync()


def pattern(letter: bytes, value: bytes) -> re.Pattern[bytes]:
    """The regular expression of an option.

    Raises:
        Permanent: it is none.
    """
    import re

    try:
        return re.compile(value, re.IGNORECASE if letter in CASELESS else 0)
    except (re.error, OverflowError, RecursionError) as wrong:
        told = str(wrong).encode("ascii", "replace")
        raise Permanent(b"-%s: %s is no regular expression: %s" % (letter, visible(value), told)) from None


def version() -> bytes:
    """The version of this installation."""
    from importlib.metadata import version

    return version("pyqmail").encode()
