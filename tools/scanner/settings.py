"""control/scanner: lines `WORD:VALUE`; an empty line or one that begins with `#` says nothing."""

from __future__ import annotations

from mta.control import BLANKS, read
from mta.home import path
from supervise.errors import Permanent
from tools.scanner import clamd, rspamd, spamd
from tools.scanner.wire import tcp_place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tools.scanner.finding import Finding
    from tools.scanner.parcel import Parcel
    from tools.scanner.wire import Wire

FILE = b"scanner"
DAEMONS = {b"clamd": clamd.ask, b"spamd": spamd.ask, b"rspamd": rspamd.ask}
MOST = 8  # daemons
REJECT, DEFER, QUARANTINE, PASS = b"reject", b"defer", b"quarantine", b"pass"
CHOICES = {
    b"failure": (DEFER, PASS),
    b"virus": (REJECT, QUARANTINE, DEFER, PASS),
    b"spam": (PASS, REJECT, QUARANTINE, DEFER),
}  # the first one is the default
NUMBERS = {b"timeout": 60, b"virussize": 25 << 20, b"spamsize": 512 << 10}
TEXTS = (b"quarantine", b"officer")


class Daemon:
    """A daemon: its *name*, its *place*, and how it is asked."""

    __slots__ = ("ask", "name", "place")

    def __init__(self, name: bytes, place: bytes, ask: Callable[[Wire, Parcel], Finding]) -> None:
        self.name, self.place, self.ask = name, place, ask


class Settings:
    """What control/scanner says.

    Attributes:
        daemons: who is asked, in this order.
        choices: what is done, by `failure`, `virus` and `spam`.
        numbers: `timeout` in seconds; `virussize` and `spamsize` in bytes.
        texts: `quarantine`, a Maildir with a slash at its end, and `officer`, as far as they are set.

    Those that a new one has are the defaults, with no daemon.
    """

    def __init__(self) -> None:
        self.daemons: list[Daemon] = []
        self.choices = {word: choices[0] for word, choices in CHOICES.items()}
        self.numbers = dict(NUMBERS)
        self.texts: dict[bytes, bytes] = {}

    @classmethod
    def read(cls) -> Settings:
        """Those of the file.

        Raises:
            Permanent: it is not there, or something in it is wrong.
            Temporary: it cannot be read.
        """
        content = read(FILE)
        if content is None:
            raise Permanent(b"there is no control/scanner")
        settings = cls()
        for number, wrong in settings.take_all(content):
            raise Permanent(b"control/scanner: line %d: %s" % (number, wrong))
        for lack in settings.lacks():
            raise Permanent(b"control/scanner " + lack)
        return settings

    def take_all(self, content: bytes) -> Iterator[tuple[int, bytes]]:
        """Take what the lines of *content* say; the number of each that is wrong, and what is wrong with it."""
        for number, line in enumerate(content.split(b"\n"), 1):
            line = line.strip(BLANKS)
            if line and not line.startswith(b"#"):
                word, _, value = line.partition(b":")
                wrong = self.take(word, value.strip(BLANKS))
                if wrong:
                    yield number, wrong

    def lacks(self) -> Iterator[bytes]:
        """What no line says and one should."""
        if not self.daemons:
            yield b"names no daemon"
        if QUARANTINE in self.choices.values() and b"quarantine" not in self.texts:
            yield b"says to quarantine, and not where"

    def take(self, word: bytes, value: bytes) -> bytes:
        """Take one setting; what is wrong with it, or nothing."""
        if word in DAEMONS:
            if not is_place(value):
                return b"%s is neither a path nor IP:PORT" % value
            self.daemons.append(Daemon(word, value, DAEMONS[word]))
            return b"more than %d daemons" % MOST if len(self.daemons) > MOST else b""
        if word in CHOICES:
            self.choices[word] = value
            return b"" if value in CHOICES[word] else b"%s is none of %s" % (value, b", ".join(CHOICES[word]))
        if word in NUMBERS:
            if not value.isdigit() or len(value) > 15 or not int(value):
                return b"%s is no number above 0" % value
            self.numbers[word] = int(value)
            return b""
        if word in TEXTS and value:
            self.texts[word] = maildir(value) if word == b"quarantine" else value
            return b""
        return b"%s has no value" % word if word in TEXTS else b"there is no setting %s" % word


def is_place(value: bytes) -> bool:
    if value.startswith(b"/"):
        return True
    try:
        tcp_place(value)
    except ValueError:
        return False
    return True


def maildir(value: bytes) -> bytes:
    """A path, below the home unless it is absolute, with a slash at its end."""
    whole = value if value.startswith(b"/") else path(value)
    return whole.rstrip(b"/") + b"/"
