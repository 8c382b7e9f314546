"""Who must be ready before whom, as the files `after` of services say."""

from __future__ import annotations

from supervise.errors import reason
from supervise.files import slurp
from supervise.tree import settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from supervise.tree.supervised import Service


class Order:
    """The order at one moment; each file is read once.

    Args:
        there: all services by name.
        complain: is told, in a line, what cannot be read.
    """

    def __init__(self, there: Mapping[bytes, Service], complain: Callable[[bytes], object]) -> None:
        self.there, self.complain = there, complain
        self.named: dict[bytes, list[bytes]] = {}

    def before(self, name: bytes) -> list[bytes]:
        """The services that are named in the file `after` of the service *name*, there or not."""
        if name not in self.named:
            self.named[name] = self.read(name)
        return self.named[name]

    def read(self, name: bytes) -> list[bytes]:
        """The names in a file `after`."""
        try:
            content = slurp(name + b"/" + settings.AFTER) or b""
        except OSError as error:
            self.complain(b"unable to read %s/%s: %s" % (name, settings.AFTER, reason(error)))
            return []
        return settings.names(content)

    def waits_for(self, name: bytes, other: bytes) -> bool:
        """Whether *name* waits for *other*, or for one that does."""
        found: set[bytes] = set()
        unseen = [name]
        while unseen:
            each = unseen.pop()
            new = [before for before in self.before(each) if before not in found] if each in self.there else []
            found.update(new)
            unseen += new
        return other in found
