"""maildirserial - have a program send the messages in a Maildir, as often as it takes

Usage: maildirserial [ -b ] [ -t seconds ] dir prefix client [ arg ... ]

maildirserial looks for messages in the Maildir dir whose recipient, as their Delivered-To line has it, begins with
prefix, and runs client, which gets their names, the oldest first, on descriptor 0, each with a NUL behind it. As soon
as client reports on descriptor 1 that a message is done, it is removed. When client ends, for whatever reason, and
there are more, or some were not reported of, client runs again; when that has led to no report for three times,
maildirserial gives up. A message that came in this very second waits for the next time. The original mixes the order
of three messages or more up, and runs for ever a client that reports of files that it did not get.

What client reports is the name of the file, a NUL, and a line that begins with K (done), Z (not now) or D (never). A
message that is not done stays in dir, but is not tried again by this run. What is no regular file is passed over with
a warning. Bytes of names and reports that cannot be printed are printed as `?`.

Options:
    -b          return a message that fails for good (D) to its sender, in a bounce, and remove it
    -t seconds  take a message that is not done and older than that for one that fails for good

Exit status:
    0    all is sent
    100  wrong usage, or client exits 100
    111  messages are left, or cannot be sent now

Files:
    control/bouncefrom, control/bouncehost, control/doublebounceto, control/doublebouncehost
                 for -b, as for qmail-send

See also: maildirsmtp, maildirqmtp, serialsmtp, serialqmtp, setlock
"""

from __future__ import annotations

import os
import stat
import time

from mta.child import begin
from mta.mailbox import listing
from mta.send.bounce import DOUBLE
from supervise.command import Argv, Become, command, say
from supervise.errors import PRINTABLE, TEMPORARY, Temporary, Usage, reason
from supervise.fd import CHUNK, Reader, write_all
from supervise.options import options
from supervise.program import ignore_broken_pipes
from tools.serialmail import waiting
from tools.serialmail.returned import Addresses, send_back
from ucspi.ip import leading_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = 3  # without a report
GIVE_UP = 100  # exit code of a client that will never do it
WARNING, INFO = b"maildirserial: warning: ", b"maildirserial: info: "


@command(b"maildirserial", b"[ -b ] [ -t lifetime ] dir prefix client [ arg ... ]")
def main(argv: Argv) -> int:
    chosen, words = options(argv, b"bt:")
    if len(words) < 3:
        raise Usage
    folder, prefix, *client = words
    given = dict(chosen)
    ignore_broken_pipes()
    addresses = Addresses() if b"b" in given else None
    try:
        os.chdir(folder)
    except OSError as error:
        raise Temporary(b"unable to chdir to " + folder, error) from None
    lifetime = leading_number(given[b"t"]) if b"t" in given else None
    return Sending(prefix, client, lifetime, addresses).all()


class Sending:
    """Messages on their way.

    Args:
        prefix: what recipients begin with.
        client: the command line of who sends.
        lifetime: seconds after which a message that is not done has failed; None: never.
        addresses: for bounces; None: there are none.
    """

    def __init__(self, prefix: bytes, client: Argv, lifetime: int | None, addresses: Addresses | None) -> None:
        self.prefix, self.client, self.lifetime, self.addresses = prefix, client, lifetime, addresses
        self.left: set[bytes] = set()  # files that are not to be tried again

    def all(self) -> int:
        """Send all that can be; an exit code."""
        patience = ROUNDS
        while names := self.usable():
            reports, code = self.round(names)
            if code == GIVE_UP:
                return GIVE_UP
            patience = ROUNDS if reports else patience - 1
            if not patience:
                raise Temporary(b"making no progress, giving up")
        return TEMPORARY if self.left else 0

    def usable(self) -> list[bytes]:
        """The files of the messages that are to be sent, the oldest first."""
        names = [message.name for message in listing.messages() if message.name not in self.left]
        names = list(filter(is_regular, names))
        return [name for name in names if self.is_ours(name)] if self.prefix else names

    def is_ours(self, name: bytes) -> bool:
        """Whether the message in the file *name* is for those with our prefix."""
        try:
            fd = waiting.open_file(name)
            try:
                return waiting.is_for(fd, self.prefix)
            finally:
                os.close(fd)
        except OSError as error:
            warn(b"unable to read " + name + b": " + reason(error))
            return False

    def round(self, names: list[bytes]) -> tuple[int, int]:
        """Have the client send the files *names*; how many reports of them came, and its exit code.

        Raises:
            Temporary: it crashed, or cannot be started now.
        """
        try:
            list_of_names = os.memfd_create("names", os.MFD_CLOEXEC)
            write_all(list_of_names, b"".join(name + b"\0" for name in names))
            os.lseek(list_of_names, 0, os.SEEK_SET)
            reading, writing = os.pipe()
        except OSError as error:
            raise Temporary(b"unable to create pipe", error) from None
        os.set_inheritable(reading, False)
        pid = begin(Become(self.client, name=b"maildirserial"), {0: list_of_names, 1: writing})
        os.close(writing)
        os.close(list_of_names)
        given, count = set(names), 0
        for name, letter, text in reports_on(reading):
            if name in given:
                count += 1
                self.settle(name, letter, text)
            else:
                warn(b"client reports of a file that it did not get: " + name)
        os.close(reading)
        _, status = os.waitpid(pid, 0)
        if not os.WIFEXITED(status):
            raise Temporary(b"client crashed")
        return count, os.WEXITSTATUS(status)

    def settle(self, name: bytes, letter: bytes, text: bytes) -> None:
        """Do with the message in the file *name* what its report says."""
        if letter == b"K":
            inform(name + b" succeeded: " + text)
            if not self.remove(name, b"message will be delivered twice! unable to unlink "):
                self.left.add(name)
            return
        too_old = letter != b"D" and self.is_too_old(name)
        if self.addresses and (letter == b"D" or too_old):
            inform(name + b" bounced: " + text)
            removed = self.bounce(name, text, too_old) and self.remove(
                name, b"message has been bounced but not removed! unable to unlink "
            )
            if not removed:
                self.left.add(name)
            return
        inform(name + (b" failed: " if letter == b"D" or too_old else b" failed temporarily: ") + text)
        self.left.add(name)

    def is_too_old(self, name: bytes) -> bool:
        """Whether the lifetime of the message in the file *name* is over."""
        if self.lifetime is None:
            return False
        try:
            return time.time() > os.stat(name).st_mtime + self.lifetime
        except OSError as error:
            warn(b"assuming message is still alive; unable to stat " + name + b": " + reason(error))
            return False

    def bounce(self, name: bytes, text: bytes, too_old: bool) -> bool:
        """Return the message in the file *name*; whether it may go now, which is said."""
        assert self.addresses
        try:
            fd = waiting.open_file(name)
            try:
                message = waiting.read(fd, b"")
                if message is None:
                    warn(b"unable to bounce " + name + b": bad file format")
                    return False
                if message.sender == DOUBLE:
                    inform(b"discarding " + name + b": triple bounce")
                    return True
                message.recipient = message.recipient.removeprefix(self.prefix)
                qp = send_back(message, text + b"\n", too_old, self.addresses)
            finally:
                os.close(fd)
        except OSError as error:
            warn(b"unable to bounce " + name + b": " + reason(error))
            return False
        except Temporary as trouble:
            warn(b"unable to bounce " + name + b": qq failed: " + trouble.line)
            return False
        inform(b"returned %s: qp %d" % (name, qp))
        return True

    def remove(self, name: bytes, otherwise: bytes) -> bool:
        """Remove the file *name*; whether that could be done, else it is said."""
        try:
            os.unlink(name)
        except OSError as error:
            warn(otherwise + name + b": " + reason(error))
            return False
        return True


def is_regular(name: bytes) -> bool:
    """Whether *name* is a file, which may be opened or not, and no pipe, folder or device, which is said."""
    try:
        regular = stat.S_ISREG(os.stat(name).st_mode)
    except OSError:  # whoever opens it says so
        return True
    if not regular:
        warn(b"passing over " + name + b": not a regular file")
    return regular


def warn(text: bytes) -> None:
    """Print a warning, in one line whatever the *text* has."""
    say(WARNING + text.translate(PRINTABLE))


def inform(text: bytes) -> None:
    """Print what has been done, likewise."""
    say(INFO + text.translate(PRINTABLE))


def reports_on(fd: int) -> Iterator[tuple[bytes, bytes, bytes]]:
    """The reports that come over the pipe *fd*: name, letter, text; one that is cut off or has no letter is the end.

    Raises:
        Temporary: they cannot be read.
    """
    reader = Reader(fd)
    try:
        while (name := reader.line(CHUNK, end=b"\0")) and name.endswith(b"\0"):
            line = reader.line(CHUNK)
            if not line or not line.endswith(b"\n") or line == b"\n":
                return
            yield name[:-1], line[:1], line[1:-1]
    except OSError as error:
        raise Temporary(b"unable to read from client", error) from None
