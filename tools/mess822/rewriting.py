"""Host names made complete by the instructions of control/rewrite.

    =post:new      the host name post becomes new
    *post:new      a host name that ends with post ends with new instead
    ?post:new      the same, if there is no dot and no bracket in front of post
    -post:new      a host name that ends with post becomes new altogether

Each instruction is followed once, in the order of the file; upper and lower case are the same.  What is no
instruction is passed over.  Without the file it is as if it were

    *.:
    =:defaulthost
    *+:.plusdomain
    ?:.defaultdomain

with what the control files of these names say.
"""

from __future__ import annotations

import os

from mta import control
from mta.control import significant
from mta.inject.rewriting import host
from supervise.errors import Temporary
from supervise.files import slurp
from tools.mess822.addresses import NOBODY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tools.mess822.addresses import Record

KINDS = b"=*?-"


class Rewriting:
    """The instructions.

    Args:
        lines: as in control/rewrite.
    """

    def __init__(self, lines: Iterable[bytes]) -> None:
        self.rules = [(line[:1], *line[1:].partition(b":")) for line in lines if line[:1] and line[:1] in KINDS]

    @classmethod
    def read(cls, own: list[bytes] | None = None) -> Rewriting:
        """Those of the control files, unless the user has his *own*.

        Raises:
            Temporary: a control file cannot be read.
        """
        lines = control.lines(b"rewrite") if own is None else own
        if lines is None:
            me = control.value(b"me")
            names = [host(name, me) for name in (b"defaulthost", b"plusdomain", b"defaultdomain")]
            lines = [b"*.:", b"=:" + names[0], b"*+:." + names[1], b"?:." + names[2]]
        return cls(lines)

    def host(self, name: bytes) -> bytes:
        """The host *name*, rewritten."""
        for kind, post, colon, new in self.rules:
            prefix = name[: len(name) - len(post)]
            if not colon or len(post) > len(name) or name[len(prefix) :].lower() != post.lower():
                continue
            if (kind == b"=" and prefix) or (kind == b"?" and prefix.translate(None, b"./[]") != prefix):
                continue
            name = new if kind == b"-" else prefix + new
        return name

    def address(self, address: bytes) -> bytes:
        """*address* with its host rewritten; without an `@` its host is the empty name.  Nobody stays nobody."""
        if address in NOBODY:
            return b""
        local, at, name = address.rpartition(b"@")
        return (local if at else name) + b"@" + self.host(name if at else b"")

    def records(self, records: Iterable[Record]) -> list[Record]:
        """A list with its addresses rewritten."""
        return [(is_address, self.address(text) if is_address else text) for is_address, text in records]


def users_own() -> list[bytes] | None:
    """The instructions in the file that QMAILREWRITEFILE names; None when there is no such file.

    Raises:
        Temporary: it cannot be read.
    """
    file = os.environb.get(b"QMAILREWRITEFILE")
    try:
        content = None if file is None else slurp(file)
    except OSError as error:
        raise Temporary(b"unable to read $QMAILREWRITEFILE", error) from None
    return None if content is None else significant(content)


def id_host(rewriting: Rewriting) -> bytes:
    """The host for Message-ID fields.

    Raises:
        Temporary: a control file cannot be read.
    """
    return rewriting.host(host(b"idhost", control.value(b"me")))
