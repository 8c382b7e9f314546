"""What a program remembers from one message to the next: keys with a word and a time, in a small file.

A line for each key, the oldest first:

    SECONDS WORD KEY        the time in seconds since 1970; a line end in KEY is written `_`

The file is written anew each time and replaced in one step, so a crash leaves the old one or the new one.
Whoever uses it holds the lock on the file beside it, NAME.lock; the draft is NAME.tmp.  A NAME that has another form,
as one of the program that was here before, is left as it is, and NAME.known is used in its place.
"""

from __future__ import annotations

import os
import time

from supervise.command import say
from supervise.errors import Temporary
from supervise.fd import write_all
from supervise.files import announced, lock, slurp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


class Memory:
    """A file of things remembered; use it in a with statement, which holds the lock.

    Args:
        name: the program that remembers.
        path: the file; none is there in the beginning.
        lifetime: seconds after which a key is forgotten; None: never.

    Raises:
        Temporary: the file cannot be read or written.
    """

    def __init__(self, name: bytes, path: bytes, lifetime: int | None) -> None:
        self.name, self.path, self.lifetime = name, path, lifetime
        self.known: dict[bytes, tuple[int, bytes]] = {}

    def __enter__(self) -> Memory:
        try:
            self.lock = lock(self.path + b".lock")
        except OSError as error:
            raise Temporary(b"unable to lock %s.lock" % self.path, error) from None
        try:
            self.read()
        except BaseException:
            os.close(self.lock)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.lock)

    def read(self) -> None:
        """Read the file, but for what is too old."""
        try:
            self.known = self.parse(self.content())
        except ValueError as wrong:
            before, self.path = self.path, self.path + b".known"
            content = self.content()
            if not content:  # else it has been said
                words = b"%s: warning: %s: %s; starting anew in %s"
                say(words % (self.name, before, *wrong.args, self.path))
            try:
                self.known = self.parse(content)
            except ValueError:  # nobody else's: it is written anew
                self.known = {}

    def content(self) -> bytes:
        try:
            return slurp(self.path) or b""
        except OSError as error:
            raise Temporary(b"unable to read " + self.path, error) from None

    def parse(self, content: bytes) -> dict[bytes, tuple[int, bytes]]:
        """What *content* has for each key, but for what is too old.

        Raises:
            ValueError: it is of another form; where.
        """
        known = {}
        now = int(time.time())
        oldest = 0 if self.lifetime is None else now - self.lifetime
        for number, line in enumerate(content.splitlines(), 1):
            try:
                seconds, word, key = line.split(b" ", 2)
                moment = int(seconds)
            except ValueError:
                raise ValueError(b"line %d has no time, word and key" % number) from None
            if moment > oldest:
                known[key] = min(moment, now), word  # a clock may have been wrong
        return known

    def word(self, key: bytes) -> bytes | None:
        """The word remembered for *key*, or None."""
        found = self.known.get(name_of(key))
        return found[1] if found else None

    def remember(self, key: bytes, word: bytes) -> None:
        """Remember *word* for *key* from now on, on disk when this returns."""
        self.known.pop(name_of(key), None)
        self.known[name_of(key)] = int(time.time()), word
        self.write()

    def forget(self, key: bytes) -> None:
        """Remember nothing for *key*, on disk when this returns."""
        self.known.pop(name_of(key), None)
        self.write()

    def write(self) -> None:
        """Write the file anew."""
        content = b"".join(b"%d %b %b\n" % (moment, word, key) for key, (moment, word) in self.known.items())
        try:
            with announced(self.path, self.path + b".tmp", 0o600) as fd:
                write_all(fd, content)
        except OSError as error:
            raise Temporary(b"unable to write " + self.path, error) from None


def name_of(key: bytes) -> bytes:
    return key.replace(b"\n", b"_").replace(b"\r", b"_")
