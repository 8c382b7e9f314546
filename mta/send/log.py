"""The lines that log analysers read, byte for byte as the original writes them.

They go to descriptor 0.  Lines are gathered for as long as the loop is busy, at most one
pipe's atomic write, so a busy loop spends one system call on many lines and lines of other
writers to the same pipe never fall into ours.

What comes from outside, addresses and reports, is made harmless: a line feed becomes `/`,
and `%`, blanks, control characters and bytes above 126 become `_`.
"""

from __future__ import annotations

from select import PIPE_BUF

from supervise.fd import write_all

SAFE = bytes(
    ord("/") if byte == ord("\n") else byte if 33 <= byte <= 126 and byte != ord("%") else ord("_")
    for byte in range(256)
)

VERDICTS = {b"K": b"success", b"D": b"failure", b"Z": b"deferral"}


class Log:
    """The record of what qmail-send does; write it out with `flush`."""

    def __init__(self, fd: int = 0) -> None:
        self.fd = fd
        self.gathered = bytearray()

    def line(self, text: bytes) -> None:
        """Add a line; nothing in *text* needs to be made harmless."""
        if len(self.gathered) + len(text) >= PIPE_BUF:
            self.flush()
        self.gathered += text + b"\n"

    def flush(self) -> None:
        """Write what is gathered; nobody left to read it is no error, mail goes on."""
        if not self.gathered:
            return
        lines, self.gathered = self.gathered, bytearray()
        try:
            write_all(self.fd, memoryview(lines))
        except OSError:
            pass

    # -- messages --------------------------------------------------------------------------
    def new(self, number: int) -> None:
        self.line(b"new msg %d" % number)

    def info(self, number: int, size: int, sender: bytes, qp: int, uid: int) -> None:
        self.line(b"info msg %d: bytes %d from <%s> qp %d uid %d" % (number, size, sender.translate(SAFE), qp, uid))

    def end(self, number: int) -> None:
        self.line(b"end msg %d" % number)

    def bounce(self, number: int, qp: int) -> None:
        self.line(b"bounce msg %d qp %d" % (number, qp))

    def triple_bounce(self, file: bytes) -> None:
        self.line(b"triple bounce: discarding " + file)

    # -- deliveries ------------------------------------------------------------------------
    def starting(self, delivery: int, number: int, channel: bytes, address: bytes) -> None:
        self.line(b"starting delivery %d: msg %d to %s %s" % (delivery, number, channel, address.translate(SAFE)))

    def verdict(self, delivery: int, letter: bytes, text: bytes) -> None:
        """The spawner's verdict on a delivery: K, D or Z; any other letter is not understood."""
        word = VERDICTS.get(letter)
        if word:
            self.line(b"delivery %d: %s: %s" % (delivery, word, text.translate(SAFE)))
        else:
            self.line(b"delivery %d: report mangled, will defer" % delivery)

    # -- the rest --------------------------------------------------------------------------
    def status(self, counts: list[tuple[bytes, int, int]], leaving: bool) -> None:
        """How many deliveries of each channel run, of how many that may: (channel, running, limit)."""
        channels = b"".join(b" %s %d/%d" % count for count in counts)
        self.line(b"status:" + channels + (b" exitasap" if leaving else b""))

    def exiting(self) -> None:
        self.line(b"status: exiting")

    def warning(self, text: bytes) -> None:
        self.line(b"warning: " + text)

    def alert(self, text: bytes) -> None:
        """Something that an administrator must know at once."""
        self.line(b"alert: " + text)
        self.flush()
