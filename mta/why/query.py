"""What is asked for: a number, or an address."""

from __future__ import annotations

from mta.send.log import SAFE
from mta.why.messages import Parent
from supervise.errors import Temporary, Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mta.why.messages import Delivery, Message, Refusal


class Query:
    """Messages of the number *word*, their own or their qp; or from or to the address *word*, or to all of `@host`.

    As the log has a recipient under the name that control files gave it, such as joe-info@virtual.example for
    info@virtual.example, that name is looked for, too.

    Raises:
        Usage: it is neither a number nor an address.
    """

    def __init__(self, word: bytes) -> None:
        self.number = int(word) if word.isdigit() and len(word) < 20 else None
        if self.number is None and b"@" not in word:
            raise Usage
        names = [word] if word.startswith(b"@") else [word, rewritten(word)]
        self.names = tuple({name.translate(SAFE).lower() for name in names})
        self.whole_host = word.startswith(b"@")

    def names_address(self, address: bytes | None) -> bool:
        """Whether *address*, as a log has it, is the one."""
        if self.number is not None or address is None:
            return False
        address = address.lower()
        return address.endswith(self.names) if self.whole_host else address in self.names

    def wants(self, message: Message) -> bool:
        """Whether *message* is asked for by what its `info` line tells."""
        if self.number is not None:
            return self.number in (message.number, message.qp)
        return self.names_address(message.sender)

    def wants_refusal(self, refusal: Refusal) -> bool:
        """Whether *refusal* is asked for."""
        return self.names_address(refusal.sender) or self.names_address(refusal.recipient)

    def part(self, message: Message) -> list[Delivery]:
        """Those deliveries of *message* that are asked for: all, if not only some recipients are."""
        chosen = [delivery for delivery in message.deliveries if self.names_address(delivery.recipient)]
        return message.deliveries if self.wants(message) or not chosen else chosen

    def children(self, message: Message) -> list[Message]:
        """What came of these deliveries."""
        part = self.part(message)
        if part is message.deliveries:
            return message.children
        return [child for child in message.children if isinstance(child.giver, Parent) and child.giver.of(part)]


def rewritten(address: bytes) -> bytes:
    """*address* as qmail-send would deliver to it; as it is when the control files do not tell."""
    from mta.send.controls import Controls
    from mta.send.rewrite import rewrite

    try:
        return rewrite(address, Controls())[1]
    except Temporary:
        return address
