"""The header that goes out: fields looked at, completed, dropped, and made when they are missing."""

from __future__ import annotations

import os
import time

from mta.address import quote_local
from mta.date import header_date
from mta.header import name_of
from mta.inject import recipients
from mta.inject.recipients import Recipients
from mta.inject.rewriting import plain, rewrite, spell
from mta.tokens import AT, ATOM, COLON, COMMENT, LEFT, QUOTED, RIGHT, Unparsable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mta.inject.options import Wishes
    from mta.inject.rewriting import Hosts
    from mta.tokens import Token

RESENT = b"resent-"
SENDERS = (
    *(b"sender", b"from", b"reply-to", b"return-receipt-to", b"errors-to"),
    *(b"resent-sender", b"resent-from", b"resent-reply-to"),
)
DROPPED = (b"bcc", b"resent-bcc", b"return-path", b"content-length")
MAKE_RESENT = (b"sender", b"from", b"reply-to", b"to", b"cc", b"bcc", b"date", b"message-id")
VERP = b"-@[]"  # qmail-send puts recipient and host in place of this


class Header:
    """A header in the making.

    Attributes:
        sender: the envelope sender; None until one is known.
        recipients: who is named in the header.

    Args:
        sender: the envelope sender if it is known.
        now: seconds since 1970.
    """

    def __init__(self, wishes: Wishes, hosts: Hosts, sender: bytes | None, now: float) -> None:
        self.wishes, self.hosts, self.sender, self.now = wishes, hosts, sender, now
        self.recipients = Recipients()
        self.seen: set[bytes] = set()
        self.kept: list[bytes] = []

    def take(self, field: bytes) -> None:
        """Look at a field of the message.

        Raises:
            Unparsable: it names senders and is no list of addresses.
        """
        name = name_of(field)
        if name is None or name in self.wishes.deleted:
            return
        self.seen.add(name)
        if name in recipients.FIELDS:
            try:
                field = rewrite(field, lambda address: self.recipient(name, address))
            except Unparsable:
                pass  # it stays as it is; whoever was found in it gets the message
        elif name in SENDERS:
            field = rewrite(field, self.hosts.complete)
        elif name == b"return-path":
            rewrite(field, self.return_path)
        if name not in DROPPED:
            self.kept.append(field)

    def keep(self, name: bytes, field: bytes) -> None:
        """Have *field*, which is called *name*, in the header as it is."""
        self.seen.add(name)
        self.kept.append(field)

    def recipient(self, name: bytes, address: list[Token]) -> list[Token]:
        """A recipient's address, complete."""
        address = self.hosts.complete(address)
        self.recipients.add(name, address)
        return address

    def return_path(self, address: list[Token]) -> list[Token]:
        """The address of a Return-Path, complete; the first that we see is the envelope sender."""
        address = self.hosts.complete(address)
        if self.sender is None:
            self.sender = plain(address) + (VERP if self.wishes.per_recipient else b"")
        return address

    @property
    def resent(self) -> bool:
        """Whether the message was delivered before and is sent on."""
        return any(RESENT + name in self.seen for name in MAKE_RESENT)

    def finish(self) -> bytes:
        """The header as it goes out, without the empty line; the envelope sender is known then.

        Raises:
            Unparsable: the environment has a sender that is none.
        """
        if self.sender is None:
            rewrite(self.default_return_path(), self.return_path)
        if self.sender is None:  # as the original: a return path without an address is nobody's
            self.sender = b""
        return self.missing() + b"".join(self.kept)

    def missing(self) -> bytes:
        """The fields that a message must have (RFC 5322, section 3.6) and this one lacks."""
        prefix, mark = (RESENT, b"Resent-") if self.resent else (b"", b"")
        made = b""
        if prefix + b"date" not in self.seen:
            made += mark + b"Date: " + header_date(self.now) + b"\n"
        if prefix + b"message-id" not in self.seen:
            made += mark + b"Message-ID: <" + self.message_id() + b">\n"
        if prefix + b"from" not in self.seen:
            made += mark + rewrite(self.default_from(), self.hosts.complete)
        if prefix + b"to" not in self.seen and prefix + b"cc" not in self.seen:
            made += mark + b"Cc: recipient list not shown: ;\n"
        if not prefix and b"mail-followup-to" not in self.seen:
            made += self.recipients.follow_up(self.wishes.lists)
        return made

    def message_id(self) -> bytes:
        """An identifier that no other message has: moment, process, and the microseconds, because ids come again."""
        moment = time.gmtime(self.now)
        second = b"%d%02d%02d%02d%02d%02d" % moment[:6]
        return second + b".%d%06d.qmail@" % (os.getpid(), self.now % 1 * 1000000) + self.hosts.for_ids

    def default_from(self) -> bytes:
        """The From field that we make, to be parsed again: the host stands in one piece."""
        user, name = self.wishes.user, self.wishes.name
        address = at_host((ATOM if quote_local(user) == user else QUOTED, user), self.wishes.host)
        if name is not None and self.wishes.name_as_comment:
            address += [(COMMENT, name)]
        elif name is not None:
            address = [(QUOTED, name), LEFT, *address, RIGHT]
        return spell([(ATOM, b"From"), COLON, *address])

    def default_return_path(self) -> bytes:
        """The Return-Path field that we make for its address, to be parsed again."""
        user = self.wishes.bounce_user
        if self.wishes.per_message:
            user += b"-%d.%d" % (self.now, os.getpid())
        if self.wishes.per_recipient:
            user += b"-"
        return spell([(ATOM, b"Return-Path"), COLON, *at_host((QUOTED, user), self.wishes.bounce_host)])


def at_host(user: Token, host: bytes | None) -> list[Token]:
    """The address of *user* at *host*, which goes without saying when it is None."""
    return [user] if host is None else [user, AT, (ATOM, host)]
