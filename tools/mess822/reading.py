"""Read the message on descriptor 0."""

from __future__ import annotations

from mta.header import name_of, split
from supervise.errors import Temporary
from supervise.fd import Reader
from tools.mess822.addresses import value_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def header(reader: Reader | None = None) -> tuple[list[bytes], bytes]:
    """The fields of the message, and what the body begins with, as `mta.header.split` gives them.

    A `From ` line is no part of a message.

    Raises:
        Temporary: it cannot be read.
    """
    try:
        return split(reader or Reader(0), mbox=False)
    except OSError as error:
        raise Temporary(b"unable to read input", error) from None


def values(fields: Iterable[bytes], *names: bytes) -> list[bytes]:
    """What those of the *fields* say that have one of the *names* (in small letters), each in one line."""
    return [value_of(field) for field in fields if name_of(field) in names]
