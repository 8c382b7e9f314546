"""What qmail-lspawn and qmail-rspawn share: requests in, deliveries by workers, reports out.

The two talk with qmail-send over pipes:

    first     -> how many deliveries we run at a time: 120, or what the variable SPAWNLIMIT says, which qmail-start sets
    request   <- NUMBER, `S/ID` NUL, sender NUL, recipient NUL
    report    -> NUMBER, letter and text, NUL

NUMBER, a byte or two (see `slots`), names a delivery from its request to its report; `S/ID` is the message's file
below queue/mess, where we stand.  The letter is K (done), Z (try again later) or D
(never).  What is wrong with a request, or with us, is reported at once and is a Z,
unless no later try could succeed.

How a delivery is made is a generator, written by the command:

    def deliver(request):
        done = yield Job([b"qmail-remote", ...])
        return b"K" + done.output

It yields the jobs that a worker is to do, one after another, is sent what came of each, and
returns the report.  Where several requests may share a delivery, it gets those that have come
at the same time for one message, from one sender to one host, and returns as many reports.  A
job's end is the worker's answer *and* the end of what was written to its descriptors 1 and 2,
so a program left in the background holds its delivery until it closes them.  Of that output
the first `KEEP` bytes are kept, the others are read and thrown away.

When qmail-send is gone (end of input) no new requests come; what runs is finished.
When nobody hears our reports they are lost; the deliveries go on.
"""

from __future__ import annotations

import marshal
import os
import select
import signal
import stat

from mta import control, home
from mta.slots import Slots
from supervise.command import say
from supervise.errors import TEMPORARY
from supervise.fd import CHUNK, write_all
from supervise.pool import Pool
from supervise.room import Room
from supervise.worker import run_again

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Hashable

    from supervise.command import Argv

LIMIT = 120  # deliveries at a time, unless we are told otherwise
KEEP = 32768  # bytes of a job's output
LONGEST = 99  # bytes of a message's file name
DIGITS = b"0123456789"


class Refused(Exception):
    """A request that is answered at once; *report* is the answer."""

    def __init__(self, report: bytes) -> None:
        self.report = report


class Request:
    """What qmail-send wants delivered: the open *message*, its *sender*, the recipient as *local* and *host*."""

    __slots__ = ("host", "local", "message", "sender")

    def __init__(self, message: int, sender: bytes, recipient: bytes) -> None:
        self.message, self.sender = message, sender
        self.local, _, self.host = recipient.rpartition(b"@")

    @property
    def recipient(self) -> bytes:
        return self.local + b"@" + self.host

    def likeness(self, file: bytes) -> tuple[bytes, bytes, bytes]:
        """What is the same in requests that may share a delivery; the message is *file*."""
        return file, self.sender, self.host.lower()


class Job:
    """A command line for a worker.

    Args:
        argv: the command line; it finds the message on 0.
        key: whom the worker serves; it is used again for the same key.
        outputs: the descriptors whose output is wanted; the others of 1 and 2 are the worker's.
    """

    __slots__ = ("argv", "key", "outputs")

    def __init__(self, argv: Argv, key: Hashable = None, outputs: tuple[int, ...] = (1, 2)) -> None:
        self.argv, self.key, self.outputs = argv, key, outputs


class Done:
    """What came of a job: the wait *status*, the *output* (at most `KEEP` bytes for each request)."""

    __slots__ = ("output", "status")

    def __init__(self, status: int, output: bytes) -> None:
        self.status, self.output = status, output

    @property
    def crashed(self) -> bool:
        return not os.WIFEXITED(self.status)

    @property
    def code(self) -> int:
        """The exit code, when it has not crashed."""
        return os.WEXITSTATUS(self.status)


if TYPE_CHECKING:
    Steps = Generator[Job, Done, bytes | list[bytes]]


class Delivery:
    """One delivery on its way, of all its *requests*, which are known by their numbers."""

    __slots__ = ("output", "pipe", "requests", "status", "steps")

    steps: Steps

    def __init__(self) -> None:
        self.requests: dict[int, Request] = {}
        self.forget()

    @property
    def message(self) -> int:
        """The open message."""
        return next(iter(self.requests.values())).message

    def forget(self) -> None:
        """Be ready for the next job."""
        self.output = bytearray()
        self.pipe: int | None = None  # None: all output is read
        self.status: int | None = None  # None: the worker is at work


class Spawner:
    """The loop of both: requests on descriptor 0, reports on 1.

    Args:
        deliver: the steps of one delivery, and its report; or those of several that share it, and a report for each.
        prepare: what a new worker does first, given the key of its jobs, to become somebody else.
        share: how many requests may share a delivery.
    """

    def __init__(
        self, deliver: Callable[..., Steps], prepare: Callable[[Hashable], object] = lambda key: None, share: int = 1
    ) -> None:
        self.deliver, self.share = deliver, share
        self.owner = home.account(b"qmailq").uid
        self.slots = Slots(control.leading_number(os.environb.pop(b"SPAWNLIMIT", b""), LIMIT))
        self.room = Room(wide=self.slots.limit > LIMIT)
        self.pool = Pool(work, self.settle, limit=self.slots.limit)
        self.prepare = prepare
        self.poll = select.poll()
        self.heard = b""  # the beginning of a request
        self.hearing = self.speaking = True
        self.deliveries: dict[int, Delivery] = {}  # by number
        self.pipes: dict[int, Delivery] = {}

    def serve(self) -> int:
        """Serve until qmail-send is gone and the last delivery has ended; 0."""
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        home.enter(b"queue", b"mess")
        self.speak(bytes(self.slots))
        self.poll.register(0, select.POLLIN)
        self.poll.register(self.pool.fileno(), select.POLLIN)
        while self.hearing or self.deliveries:
            idle = self.pool.rest()
            for fd, _ in self.poll.poll(None if idle is None else idle * 1000):
                if fd == 0:
                    self.hear()
                elif fd in self.pipes:
                    self.collect(fd)
                else:
                    for end in self.pool.ended():
                        assert isinstance(end.job, Delivery)
                        end.job.status = end.status
                        self.go_on(end.job)
        return 0

    # -- requests ------------------------------------------------------------------------
    def hear(self) -> None:
        """Read requests, and begin what they ask for."""
        try:
            data = os.read(0, CHUNK)
        except OSError:
            data = b""
        if not data:
            self.hearing = False
            self.poll.unregister(0)
        self.heard += data
        waiting: dict[object, Delivery] = {}
        while len(parts := self.heard[self.slots.width :].split(b"\0", 3)) == 4:
            number = self.slots.unpack(self.heard)
            file, sender, recipient, self.heard = parts
            try:
                request = self.request(number, file, sender, recipient)
            except Refused as refused:
                self.report(number, refused.report)
                continue
            likeness = request.likeness(file)
            delivery = self.deliveries[number] = waiting.setdefault(likeness, Delivery())
            delivery.requests[number] = request
            if len(delivery.requests) >= self.share:
                self.start(waiting.pop(likeness))
        for delivery in waiting.values():
            self.start(delivery)

    def request(self, number: int, file: bytes, sender: bytes, recipient: bytes) -> Request:
        """The request, with its message open.

        Raises:
            Refused: there is something wrong with it.
        """
        if number >= self.slots.limit:
            raise Refused(b"ZInternal error: delnum too big. (#4.3.5)\n")
        if number in self.deliveries:
            raise Refused(b"ZInternal error: delnum in use. (#4.3.5)\n")
        if file.startswith(b"/") or file.strip(DIGITS + b"/"):
            raise Refused(b"DInternal error: messid has nonnumerics. (#5.3.5)\n")
        if len(file) > LONGEST:
            raise Refused(b"DInternal error: messid too long. (#5.3.5)\n")
        if not file:
            raise Refused(b"DInternal error: messid too short. (#5.3.5)\n")
        if b"@" not in recipient:
            raise Refused(b"DSorry, address must include host name. (#5.1.3)\n")
        return Request(self.open(file), sender, recipient)

    def open(self, file: bytes) -> int:
        """A descriptor of the message *file*, which must be the queue's own."""
        try:
            message = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            raise Refused(b"Zqmail-spawn unable to open message. (#4.3.0)\n") from None
        found = os.fstat(message)
        if not stat.S_ISREG(found.st_mode):
            os.close(message)
            raise Refused(b"ZSorry, message has wrong type. (#4.3.5)\n")
        if found.st_uid != self.owner:
            os.close(message)
            raise Refused(b"ZSorry, message has wrong owner. (#4.3.5)\n")
        return message

    # -- deliveries ----------------------------------------------------------------------
    def start(self, delivery: Delivery) -> None:
        """Take the first step of *delivery*, whose requests are complete."""
        delivery.steps = self.deliver(*delivery.requests.values())
        self.step(delivery, None)

    def step(self, delivery: Delivery, done: Done | None) -> None:
        """Begin the next job of *delivery*, *done* being what came of the last, or report."""
        try:
            job = delivery.steps.send(done)  # type: ignore[arg-type]  # None begins
        except StopIteration as end:
            report = end.value
        except Exception as bug:  # ours; it must neither bounce mail nor end the daemon
            say(b"qmail-spawn: bug: " + repr(bug).encode())
            report = b"Zqmail-spawn has a bug. (#4.3.5)\n"
        else:
            try:
                return self.begin(delivery, job)
            except Refused as refused:
                report = refused.report
        reports = report if isinstance(report, list) else [report] * len(delivery.requests)
        for (number, request), text in zip(delivery.requests.items(), reports, strict=True):
            os.close(request.message)
            del self.deliveries[number]
            self.report(number, text)

    def begin(self, delivery: Delivery, job: Job) -> None:
        """Give *job* to a worker.

        Raises:
            Refused: we cannot now.
        """
        try:
            reading, writing = os.pipe2(os.O_CLOEXEC)
        except OSError:
            raise Refused(b"Zqmail-spawn unable to create pipe. (#4.3.0)\n") from None
        fds = {0: delivery.message, **dict.fromkeys(job.outputs, writing)}
        try:
            self.pool.begin(marshal.dumps(job.argv), fds, delivery, job.key)
        except OSError:
            os.close(reading)
            raise Refused(b"Zqmail-spawn unable to fork. (#4.3.0)\n") from None
        finally:
            os.close(writing)
        delivery.forget()
        delivery.pipe = reading
        self.pipes[reading] = delivery
        self.poll.register(reading, select.POLLIN)

    def collect(self, pipe: int) -> None:
        """Read what the job of *pipe* has to say."""
        delivery = self.pipes[pipe]
        data = os.read(pipe, CHUNK)
        delivery.output += data[: KEEP * len(delivery.requests) - len(delivery.output)]
        if not data:
            self.poll.unregister(pipe)
            os.close(pipe)
            del self.pipes[pipe]
            delivery.pipe = None
            self.go_on(delivery)

    def go_on(self, delivery: Delivery) -> None:
        """Take the next step when the job has ended and its output too."""
        if delivery.pipe is None and delivery.status is not None:
            self.step(delivery, Done(delivery.status, bytes(delivery.output)))

    # -- reports -------------------------------------------------------------------------
    def report(self, number: int, text: bytes) -> None:
        """Report the end of delivery *number*; *text* begins with its letter and counts up to a NUL."""
        self.speak(b"%s%s\0" % (self.slots.pack(number), text.partition(b"\0")[0]))

    def speak(self, data: bytes) -> None:
        if self.speaking:
            try:
                write_all(1, data)
            except OSError:
                self.speaking = False

    # -- the worker's side -----------------------------------------------------------------
    def settle(self, key: Hashable) -> None:
        """What a new worker does first: let go of qmail-send's pipes, then prepare for *key*."""
        nothing = os.open(b"/dev/null", os.O_RDWR | os.O_CLOEXEC)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        os.close(nothing)
        self.room.leave()
        self.prepare(key)


def work(payload: bytes) -> int:
    """Do one job, in the home's folder, as the originals did."""
    try:
        os.chdir(home.home())
    except OSError:
        return TEMPORARY
    return run_again(marshal.loads(payload))
