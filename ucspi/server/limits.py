"""How many connections are served at once, in all and for each address."""

from __future__ import annotations


class Limits:
    """Counts of connections and how high they may grow.

    Args:
        most: in all.
        most_per_address: from one address; 0 sets no limit.
    """

    def __init__(self, most: int, most_per_address: int = 0) -> None:
        self.most, self.most_per_address = most, most_per_address
        self.count = 0
        self.by_address: dict[str, int] = {}

    @property
    def full(self) -> bool:
        """Whether no more connection may be accepted at all."""
        return self.count >= self.most

    def full_for(self, ip: str) -> bool:
        """Whether *ip* has as many connections as one address may have."""
        return 0 < self.most_per_address <= self.by_address.get(ip, 0)

    def enter(self, ip: str) -> None:
        """Count a connection from *ip*."""
        self.count += 1
        if self.most_per_address:
            self.by_address[ip] = self.by_address.get(ip, 0) + 1

    def leave(self, ip: str) -> None:
        """A connection from *ip* has ended."""
        self.count -= 1
        if self.most_per_address:
            left = self.by_address.pop(ip) - 1
            if left:
                self.by_address[ip] = left
