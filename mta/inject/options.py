"""What the user of qmail-inject wants: environment and options."""

from __future__ import annotations

import os

from mta.address import quote
from mta.inject.rewriting import Hosts
from mta.tokens import lex, plain
from supervise.errors import Temporary
from supervise.files import slurp
from supervise.options import each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.command import Argv

DELETED = ((b"s", b"return-path"), (b"f", b"from"), (b"i", b"message-id"))  # letters of QMAILINJECT
ARGUMENTS, HEADER, BOTH, EITHER = b"ahHA"  # where recipients come from; EITHER: the header if there is no argument


class Wishes:
    """The environment, read before the home is entered.

    Attributes:
        user, host, name: of the From field; host and name may be None.
        bounce_user, bounce_host: of the envelope sender.
        deleted: names of fields that are not looked at and go.
        name_as_comment: `joe (Joe)` instead of `Joe <joe>`.
        per_message, per_recipient: the envelope sender is one that only this message, each recipient has.
        lists: addresses of mailing lists in small letters.
    """

    def __init__(self) -> None:
        letters = os.environb.get(b"QMAILINJECT", b"")
        self.deleted = [name for letter, name in DELETED if letter in letters]
        self.name_as_comment = b"c" in letters
        self.per_message, self.per_recipient = b"m" in letters, b"r" in letters
        self.host = first(b"QMAILHOST", b"MAILHOST")
        self.bounce_host = first(b"QMAILSHOST", b"QMAILHOST", b"MAILHOST")
        user = first(b"QMAILUSER", b"MAILUSER", b"USER", b"LOGNAME")
        self.user = b"anonymous" if user is None else user
        bounce_user = first(b"QMAILSUSER")
        self.bounce_user = self.user if bounce_user is None else bounce_user
        self.name = first(b"QMAILNAME", b"MAILNAME", b"NAME")
        self.lists = mailing_lists()


class Options:
    """The command line.

    Attributes:
        queue: whether to queue the message or to print it.
        sender: the envelope sender that `-f` gives, or None.
        arguments: recipients, none if those are not wanted.
        header: whether recipients in the header count.

    Raises:
        Usage: it is wrong.
        Unparsable: the sender is no address.
    """

    def __init__(self, argv: Argv, hosts: Hosts) -> None:
        self.queue = True
        self.sender: bytes | None = None
        source = EITHER
        rest = argv[1:]
        for letter, value in each(os.path.basename(argv[0]), rest, b"aAhHnNf:"):
            if letter == b"f":
                self.sender = plain(hosts.complete(lex(quote(value))))
            elif letter in b"nN":
                self.queue = letter == b"N"
            else:
                source = ord(letter)
        if source == EITHER:
            source = ARGUMENTS if rest else HEADER
        self.arguments = [] if source == HEADER else rest
        self.header = source != ARGUMENTS


def first(*names: bytes) -> bytes | None:
    """The first of these variables that is set, or None; a line end, which would end the field, is a blank."""
    for name in names:
        if name in os.environb:
            return os.environb[name].replace(b"\n", b" ")
    return None


def mailing_lists() -> set[bytes]:
    """The addresses in the file that QMAILMFTFILE names, in small letters; none when there is no such file."""
    file = os.environb.get(b"QMAILMFTFILE")
    try:
        content = None if file is None else slurp(file)
    except OSError:
        raise Temporary(b"read error") from None
    lines = (line.rstrip(b" \t") for line in (content or b"").split(b"\n"))
    return {line.lower() for line in lines if line and not line.startswith(b"#")}
