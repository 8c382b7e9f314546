"""Which domains exist, as far as mail is concerned."""

from __future__ import annotations

from supervise.errors import Temporary
from ucspi import dns, ip
from ucspi.rbl.questions import Questions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def exists(domain: bytes) -> bool:
    """Whether mail can be sent to *domain*: it has a mail exchanger or an address, and does not say that it takes none.

    All is asked at once, so it takes as long as one question.

    Raises:
        Temporary: we cannot know.
    """
    if dns.find_name(domain) is None:
        return False
    with Questions() as questions:
        exchangers, *addresses = (questions.ask(domain, kind) for kind in ("MX", "A", "AAAA"))
        uncertain = None
        try:
            if found := exchangers():
                return any(dns.text(record.exchange) for record in found)  # RFC 7505: a name that is empty
        except Temporary as trouble:
            uncertain = trouble
        return any_of(addresses, uncertain)


def any_of(answers: list[Callable[[], list[Any]]], uncertain: Temporary | None) -> bool:
    """Whether one of *answers* has a record; *uncertain* is what another question has ended with.

    Raises:
        Temporary: none has, but we cannot know of all.
    """
    for answer in answers:
        try:
            if answer():
                return True
        except Temporary as trouble:
            uncertain = trouble
    if uncertain:
        raise uncertain
    return False


def client_exists(address: bytes, name: bytes) -> bool:
    """Whether the client at *address* has a name, and that one an address; *name* is empty if it is not known.

    Where *address* is no IP address, there is nothing to be said against the client.

    Raises:
        Temporary: we cannot know.
    """
    parsed = ip.parse(address)
    if parsed is None:
        return True
    found = name or dns.name_of(ip.plain(parsed.partition("%")[0]))
    return found is not None and bool(dns.addresses(found))
