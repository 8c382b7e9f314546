"""Room for descriptors: more for us than for the programs that we start."""

from __future__ import annotations

import resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


class Room:
    """As many descriptors for this process as it may have; in a `with` block, as many as it was given.

    What is started in such a block has the limit that it would have had without us.

    Args:
        wide: false leaves the limit as it is.
    """

    def __init__(self, wide: bool) -> None:
        self.given = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = self.given[1]
        self.wide = (most, most) if wide else self.given
        self.set(self.wide)

    def __enter__(self) -> None:
        self.set(self.given)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.set(self.wide)

    def set(self, limits: tuple[int, int]) -> None:
        """Put *limits* into force, if that changes anything."""
        if self.wide != self.given:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
