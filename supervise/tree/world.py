"""What a service acts on: a service directory and processes (`folder`), or a test's paper."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from supervise.tree.service import Service
    from supervise.tree.settings import Settings

    class World(Protocol):
        """What a service does to the world."""

        def settings(self) -> Settings:
            """What the service directory says now."""

        def start(self, settings: Settings) -> int:
            """Have ./run ready to go when that has been announced.

            Returns:
                its pid, NO_PROCESS when none can be made, or NO_PROGRAM when it cannot be run.
            """

        def finish(self, ended: tuple[int, int]) -> int:
            """Have ./finish ready to go, with the exit code and the signal of ./run; its pid, or 0: it cannot."""

        def unread(self) -> bool:
            """Whether there is something for ./run to read in the pipe from its service."""

        def kill(self, pid: int, number: int) -> None:
            """Send a signal to ./run or ./finish."""

        def sweep(self, number: int) -> bool:
            """Send a signal to whatever ./run has left behind; whether there is anything."""

        def announce(self, service: Service) -> None:
            """Tell everybody how the service is, then let go what is ready to."""


NO_PROCESS, NO_PROGRAM = 0, -1  # instead of a pid
