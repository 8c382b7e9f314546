"""qmail-send at rest: it does not run for a while, and runs again after that if it did before."""

from __future__ import annotations

import os
import signal
import time

from mta.home import path
from mta.queue import layout
from mta.setup.adopt import held
from mta.setup.inspect import claim
from supervise.command import say
from supervise.errors import TEMPORARY, Temporary, Trouble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, TracebackType

ENDING = (  # what ends a process, but for KILL and for the signals of its own faults
    *(signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGABRT, signal.SIGUSR1, signal.SIGUSR2),
    *(signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGXCPU, signal.SIGIO, signal.SIGPWR),
)
UNWRITTEN = (signal.SIGPIPE, signal.SIGXFSZ)  # with these ignored, the write that fails tells of it
PATIENCE = 10.0  # seconds for the lock of a qmail-send that has ended
AGAIN = 0.02  # seconds between two looks at it


class Interrupted(Trouble):
    """A signal came; whoever waits for something must not take this for trouble with that."""

    code = TEMPORARY


class at_rest:
    """qmail-send does not run for the block, and cannot start; we stand in the queue.

    A service that was up is stopped, and started again at the end of the block however that ends; a signal that would
    end us ends the block, and so does a write that nobody reads any more: it is an error like others.

    Args:
        name: who says on descriptor 2 what happens.
        service: the service directory.

    Raises:
        Temporary: it runs and cannot be stopped.
        Interrupted: a signal came.
    """

    def __init__(self, name: bytes, service: bytes) -> None:
        self.name, self.service = name, service
        self.stopped = self.signalled = False
        self.mutex = -1

    def __enter__(self) -> None:
        self.before = {number: signal.signal(number, self.interrupt) for number in ENDING}
        self.before.update({number: signal.signal(number, signal.SIG_IGN) for number in UNWRITTEN})
        try:
            try:
                self.mutex = hold_mutex()
            except BlockingIOError:
                self.stop()
        except BaseException:
            self.end()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """End the block, once: what comes later must not keep qmail-send from being started again."""
        if not self.signalled:
            self.signalled = True
            raise Interrupted(b"interrupted")

    def stop(self) -> None:
        """Stop the service, wait for its end, take the lock."""
        from supervise.tree.svc import watch

        services = watch([self.service], b"d")
        snapshot = services.services[0].snapshot
        if snapshot is None or not snapshot.up:
            raise Temporary(b"qmail-send is running, and not as %s: stop it first" % self.service)
        say(b"%s: stopping %s, which may wait for its deliveries" % (self.name, self.service))
        self.stopped = True
        tell(self.service, b"d")
        if services.wait(None):
            raise Temporary(b"unable to stop " + self.service)
        end = time.monotonic() + PATIENCE
        while self.mutex < 0:
            try:
                self.mutex = hold_mutex()
            except BlockingIOError:
                if time.monotonic() > end:
                    raise Temporary(
                        b"qmail-send is running, and not only as %s: stop it first" % self.service
                    ) from None
                time.sleep(AGAIN)

    def end(self) -> None:
        """Let go of the lock and start the service again if we have stopped it."""
        try:
            self.signalled = True  # from here on, no signal comes between
        finally:
            if self.mutex >= 0:
                os.close(self.mutex)
            if self.stopped:
                say(b"%s: starting %s again" % (self.name, self.service))
                tell(self.service, b"u")
            for number, action in self.before.items():
                signal.signal(number, action)


def service() -> bytes:
    """The service directory of qmail-send."""
    from supervise.tree.servicedir import scanned

    return os.path.abspath((scanned() or path(b"service")) + b"/qmail-send")


def hold_mutex() -> int:
    """The lock of qmail-send.

    Raises:
        BlockingIOError: it runs.
    """
    with held(b"lock") as parent:
        return claim(parent + layout.SENDMUTEX.removeprefix(b"lock"))


def tell(service: bytes, commands: bytes) -> None:
    """Write *commands* to the supervise of *service*.

    Raises:
        Temporary: that cannot be done.
    """
    from supervise.tree.svc import control

    here = os.open(b".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        control(service, commands)
    finally:
        os.fchdir(here)
        os.close(here)
