"""From when to when, as --since and --until say."""

from __future__ import annotations

from supervise.history.moment import moment
from supervise.stamp import EPOCH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

WORDS = {b"since": b"since:", b"until": b"until:", b"utc": b"u"}
ALWAYS = 1 << 62  # seconds


class Period:
    """The seconds since 1970 from `since` to before `until`.

    Args:
        options: the values of `since` and `until`; `u` says that dates are UTC.

    Raises:
        Permanent: a value is no time.
    """

    def __init__(self, options: Mapping[bytes, bytes]) -> None:
        self.utc = b"u" in options
        self.since = self.second(options[b"since"]) if b"since" in options else 0
        self.until = self.second(options[b"until"]) if b"until" in options else ALWAYS

    def second(self, when: bytes) -> int:
        """The second since 1970 that *when* means."""
        return int(moment(when, self.utc)[1:17], 16) - EPOCH

    @property
    def everything(self) -> bool:
        """Whether it has neither begin nor end."""
        return self.since == 0 and self.until == ALWAYS

    def has(self, second: int | None) -> bool:
        """Whether *second* is in it; what has none is."""
        return second is None or self.since <= second < self.until
