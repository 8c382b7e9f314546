"""Which mail may get an answer by a program: none that is a list's, a machine's, a bounce, or for others (RFC 3834)."""

from __future__ import annotations

from mta.address import split
from mta.header import name_of
from mta.local.environment import NOBODY
from mta.tokens import Unparsable, lex, parts, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MACHINES = (
    *(b"mailer-daemon", b"mailer", b"postmaster", b"uucp", b"listserv", b"majordomo"),
    *(b"noreply", b"no-reply", b"donotreply", b"do-not-reply", b"bounce", b"bounces"),
)
BEGINNINGS = (b"owner-", b"bounce-", b"bounces-", b"noreply-", b"no-reply-", b"donotreply-", b"do-not-reply-")
ENDS = (b"-request", b"-owner", b"-relay", b"-bounce", b"-bounces", b"-errors", b"-admin")
WITHIN = (b"-return-", b"-bounce-", b"-bounces-", b"-owner-")  # where a list puts its reader into its address
READERS = (b"to", b"cc", b"resent-to", b"resent-cc")
LISTS = (b"mailing-list", b"x-mailing-list", b"x-beenthere", b"x-mailman-version")  # before there was List-Id
SUPPRESSED = (b"all", b"oof", b"autoreply")  # in X-Auto-Response-Suppress


def is_persons(sender: bytes) -> bool:
    """Whether this is the address of somebody who may be waiting for an answer."""
    local = split(sender)[0].lower()
    name = local.partition(b"+")[0]
    machine = name in MACHINES or name.startswith(BEGINNINGS) or name.endswith(ENDS)
    return sender not in NOBODY and not machine and not any(part in local for part in WITHIN)


def is_automatic(fields: Iterable[bytes]) -> bool:
    """Whether a message says that it comes from a list, in bulk, or from a machine, or says nothing at all."""
    fields = list(fields)
    return not fields or any(map(tells_of_a_machine, fields))


def tells_of_a_machine(field: bytes) -> bool:
    """Whether one *field* says so."""
    name, value = name_of(field) or b"", value_of(field).lower()
    first = value.partition(b";")[0].rstrip()
    if name == b"precedence":
        return value in (b"bulk", b"junk", b"list")
    if name == b"auto-submitted":
        return first != b"no"
    if name == b"x-auto-response-suppress":
        return any(word.strip() in SUPPRESSED for word in value.split(b","))
    if name == b"content-type":
        return first == b"multipart/report"
    if name == b"x-spam-flag":  # whose sender is forged
        return value == b"yes"
    return name in LISTS or name.startswith(b"list-")


def names(fields: Iterable[bytes], own: Iterable[bytes]) -> bool:
    """Whether a message was sent To or Cc one of the *own* addresses; one without a host is meant at any."""
    wanted = {address.lower() for address in own}
    for field in fields:
        if name_of(field) not in READERS:
            continue
        try:
            for is_address, words in parts(lex(field.partition(b":")[2])):
                address = plain(words).lower() if is_address else b""
                if address and (address in wanted or split(address)[0] in wanted):
                    return True
        except Unparsable:  # what stands right of the error has been looked at
            pass
    return False


def value_of(field: bytes | None) -> bytes:
    """What a field says, in one line."""
    return b" ".join((field or b"").partition(b":")[2].split())
