"""The header of a message that goes out: addresses completed, lists merged, what is missing made.

    Received, Delivered-To, Errors-To, Return-Receipt-To and the Resent fields come first, as they are;
    Date, Message-ID, From, Sender, Reply-To, Mail-Reply-To, Mail-Followup-To, To, Cc and
    Notice-Requested-Upon-Delivery-To follow, once each, in our own spelling;
    then all others, as they are.

Bcc, Apparently-To, Return-Path and Content-Length do not go out.
"""

from __future__ import annotations

import os

from mta.header import name_of
from tools.mess822.addresses import addresses, field, spelled, value_of
from tools.mess822.dates import Date, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tools.mess822.addresses import Record
    from tools.mess822.rewriting import Rewriting

TOP = (
    *(b"received", b"delivered-to", b"errors-to", b"return-receipt-to"),
    *(b"resent-sender", b"resent-from", b"resent-reply-to", b"resent-to", b"resent-cc", b"resent-bcc"),
    *(b"resent-date", b"resent-message-id"),
)
SENDERS = (b"From", b"Sender", b"Reply-To", b"Mail-Reply-To", b"Mail-Followup-To")
READERS = (b"To", b"Cc", b"Notice-Requested-Upon-Delivery-To")
DROPPED = (b"bcc", b"apparently-to", b"return-path")
LISTS = (*(name.lower() for name in (*SENDERS, *READERS)), *DROPPED)
NOT_SHOWN = b"Cc: recipient list not shown: ;\n"


class Outgoing:
    """The fields of a message, sorted.

    Args:
        fields: the header.
        envelope: names of fields, in small letters, that are for us alone; they are lists too.

    Attributes:
        lists: the records of each list that there is, by the field's name in small letters.
        date: what the last field Date that is one says, or None.
        ids: the fields Message-ID.
    """

    def __init__(self, fields: Iterable[bytes], envelope: tuple[bytes, ...] = ()) -> None:
        self.lists: dict[bytes, list[Record]] = {}
        self.date: Date | None = None
        self.ids: list[bytes] = []
        self.top: list[bytes] = []
        self.bottom: list[bytes] = []
        for text in fields:
            name = name_of(text) or b""
            if name in LISTS or name in envelope:
                self.lists.setdefault(name, []).extend(addresses(value_of(text)))
            elif name == b"date":
                self.date = parse(value_of(text)) or self.date
            elif name == b"message-id":
                self.ids.append(text)
            elif name in TOP:
                self.top.append(text)
            elif name != b"content-length":
                self.bottom.append(text)

    def rewrite(self, rewriting: Rewriting) -> None:
        """Complete all addresses."""
        self.lists = {name: rewriting.records(records) for name, records in self.lists.items()}

    def among(self, *names: bytes) -> list[bytes]:
        """The addresses in the lists *names*, in their order."""
        return [text for name in names for is_address, text in self.lists.get(name, ()) if is_address]

    def header(self, now: float, serial: bytes, id_host: bytes, sender: bytes, name: bytes | None) -> bytes:
        """The header as it goes out, without the empty line.

        Args:
            now: seconds since 1970, for Date.
            serial: makes Message-ID unique, with the date.
            id_host: the host in Message-ID.
            sender: the address in From, if there is none.
            name: the name with it, or None.
        """
        date = self.date or Date.at(now)
        return b"".join(
            (
                *self.top,
                b"Date: " + date.header() + b"\n",
                *(self.ids or [b"Message-ID: <%s%s.qmail@%s>\n" % (date.digits(), serial, id_host)]),
                self.list(b"From") or b"From: " + spelled(name, sender) + b"\n",
                *map(self.list, SENDERS[1:]),
                b"" if self.lists.get(b"to") or self.lists.get(b"cc") else NOT_SHOWN,
                *map(self.list, READERS),
                *self.bottom,
            )
        )

    def list(self, name: bytes) -> bytes:
        """The field *name*, or nothing when its list is empty."""
        return field(name, self.lists.get(name.lower(), ()))


def serial(now: float, count: bytes = b"") -> bytes:
    """What no other message of this machine has in its Message-ID: *count*, process and microseconds.

    The microseconds stand there because processes take their numbers again, and workers serve many.
    """
    return b"%s.%d%06d" % (count, os.getpid(), now % 1 * 1000000)
