"""qmail-pop3d - let a user fetch the mail in a Maildir by POP3

Usage: qmail-pop3d maildir

qmail-pop3d speaks POP3 with a client on descriptors 0 and 1, as the user whose Maildir it
is.  Who that is has been found out already, by qmail-popup and a program such as checkpassword:

    tcpserver 0 pop3 qmail-popup pop.example checkpassword qmail-pop3d Maildir

It knows QUIT, STAT, LIST, UIDL, DELE, RETR, RSET, LAST, TOP and NOOP.  Messages are numbered
from the oldest to the newest as they are at the beginning; what comes later waits for the next
time.  A message is known for good, in UIDL, by its name in the Maildir.

Nothing changes before QUIT.  Then messages that were deleted are removed, and the others move
from new to cur.  If the client leaves in another way, or we are killed, all of them stay.  At
the beginning files are removed from tmp that nobody has touched for 36 hours.

Lines end with CR LF on their way to the client.  The size of a message is that of its file, so
without the CRs, and a blank line is put behind each, because there is no way to say that a last
line has no end.

A client that says nothing for 1200 seconds is left.

Exit status:
    0    whatever happened; the client has been told
    1    we are root, who fetches no mail
    111  a bug of ours, which is described on descriptor 2

See also: qmail-popup, checkpassword, maildirmake, qmail-local
"""

from __future__ import annotations

import os

from mta.control import leading_number
from mta.mailbox import reading
from mta.pop3.client import Client, serve
from supervise.command import Argv, command, say
from supervise.fd import Closed, chunks
from supervise.program import ignore_broken_pipes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mta.mailbox.reading import Message

NO_MAILDIR = b"this user has no $HOME/Maildir"
NO_SCAN = b"unable to scan $HOME/Maildir"
SYNTAX = b"syntax error"
UNIMPLEMENTED = b"unimplemented"
DELETED = b"already deleted"
ZERO = b"messages are counted from 1"
TOO_BIG = b"not that many messages"
NO_OPEN = b"unable to open that message"
NO_UNLINK = b"unable to unlink all deleted messages"

END = b"\r\n.\r\n"
DIGITS = b"0123456789"


@command(b"qmail-pop3d", b"maildir")
def main(argv: Argv) -> int:
    ignore_broken_pipes()
    if os.getuid() == 0:
        say(b"qmail-pop3d invoked as uid 0, terminating")
        return 1
    serve(lambda client: converse(client, argv[1:2]))
    return 0


def converse(client: Client, maildirs: list[bytes]) -> None:
    """Let *client* have the mail in the only one of *maildirs*.

    Raises:
        Closed, TimedOut: the client is gone.
    """
    try:
        os.chdir(maildirs[0])
    except (IndexError, OSError):
        client.error(NO_MAILDIR)
        return
    reading.clean()
    try:
        messages = reading.messages()
    except OSError:
        client.error(NO_SCAN)
        return
    client.okay()
    Session(client, messages).run()


class Refused(Exception):
    """A command cannot be obeyed; its text says why."""

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.text = text


class Session:
    """One client with the *messages* that there are for it."""

    def __init__(self, client: Client, messages: list[Message]) -> None:
        self.client, self.messages = client, messages
        self.deleted: set[int] = set()  # places in the list
        self.last = 0  # the highest number that was deleted

    def run(self) -> None:
        """Obey the client up to its QUIT."""
        for verb, argument in self.client.commands():
            try:
                VERBS.get(verb, Session.unimplemented)(self, argument)
            except Refused as refused:
                self.client.error(refused.text)
            if verb == b"quit":
                return

    def place(self, argument: bytes) -> int:
        """The place in the list of the message whose number begins *argument*.

        Raises:
            Refused: there is none.
        """
        number = leading_number(argument, -1)
        if number < 0:
            raise Refused(SYNTAX)
        if not number:
            raise Refused(ZERO)
        if number > len(self.messages):
            raise Refused(TOO_BIG)
        if number - 1 in self.deleted:
            raise Refused(DELETED)
        return number - 1

    def left(self) -> Iterator[tuple[int, Message]]:
        """The messages that are not deleted, with their places."""
        return ((place, message) for place, message in enumerate(self.messages) if place not in self.deleted)

    # -- commands ------------------------------------------------------------------------
    def unimplemented(self, argument: bytes) -> None:
        raise Refused(UNIMPLEMENTED)

    def noop(self, argument: bytes) -> None:
        self.client.okay()

    def stat(self, argument: bytes) -> None:
        size = sum(message.size for _, message in self.left())
        self.client.okay(b"%d %d" % (len(self.messages), size))  # as the original: the number of all, the size of some

    def list(self, argument: bytes) -> None:
        self.tell(argument, lambda message: b"%d" % message.size)

    def uidl(self, argument: bytes) -> None:
        self.tell(argument, lambda message: message.unique)

    def tell(self, argument: bytes, fact: Callable[[Message], bytes]) -> None:
        """Tell a *fact* about the message that *argument* names, or about each."""
        if argument:
            place = self.place(argument)
            self.client.okay(b"%d %s" % (place + 1, fact(self.messages[place])))
        else:
            lines = (b"%d %s\r\n" % (place + 1, fact(message)) for place, message in self.left())
            self.client.say(b"+OK \r\n%s.\r\n" % b"".join(lines))

    def delete(self, argument: bytes) -> None:
        place = self.place(argument)
        self.deleted.add(place)
        self.last = max(self.last, place + 1)
        self.client.okay()

    def reset(self, argument: bytes) -> None:
        self.deleted.clear()
        self.last = 0
        self.client.okay()

    def tell_last(self, argument: bytes) -> None:
        self.client.okay(b"%d" % self.last)

    def retrieve(self, argument: bytes) -> None:
        """RETR and TOP: as the original, both take a number of lines of the body, and do not need it."""
        message = self.messages[self.place(argument)]
        lines = leading_number(argument.lstrip(DIGITS).lstrip(b" "), -1)
        try:
            fd = os.open(message.name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            raise Refused(NO_OPEN) from None
        try:
            self.client.okay()
            pieces = chunks(fd)
            for piece in transparent(pieces if lines < 0 else beginning(pieces, lines)):
                self.client.say(piece)
        except OSError:  # it cannot be read, and only an end tells the client that this was not all
            raise Closed from None
        finally:
            os.close(fd)

    def quit(self, argument: bytes) -> None:
        failures = 0
        for place, message in enumerate(self.messages):
            if place in self.deleted:
                try:
                    os.unlink(message.name)
                except OSError:
                    failures += 1
            elif message.name.startswith(b"new/"):
                reading.seen(message)
        for _ in range(failures):  # as the original: one reply for each, and one more
            self.client.error(NO_UNLINK)
        self.client.okay()


VERBS: dict[bytes, Callable[[Session, bytes], None]] = {
    b"quit": Session.quit,
    b"stat": Session.stat,
    b"list": Session.list,
    b"uidl": Session.uidl,
    b"dele": Session.delete,
    b"retr": Session.retrieve,
    b"rset": Session.reset,
    b"last": Session.tell_last,
    b"top": Session.retrieve,
    b"noop": Session.noop,
}


def transparent(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """A message as RETR carries it, with its end: each line ends with CR LF, and a dot that begins one is doubled."""
    fresh = True  # we are at the beginning of a line
    for piece in pieces:
        dot = b"." if fresh and piece.startswith(b".") else b""
        fresh = piece.endswith(b"\n")
        yield dot + piece.replace(b"\n.", b"\n..").replace(b"\n", b"\r\n")
    yield END if fresh else b"\r\n" + END


def beginning(pieces: Iterable[bytes], lines: int) -> Iterator[bytes]:
    """The header of a message, the blank line, and so many *lines* more."""
    header = fresh = True
    for piece in pieces:
        at = 0
        while at < len(piece):
            if fresh and not header:
                if not lines:
                    if at:
                        yield piece[:at]
                    return
                lines -= 1
            end = piece.find(b"\n", at)
            if fresh and end == at:
                header = False
            fresh = end >= 0
            at = end + 1 if fresh else len(piece)
        yield piece
