"""A home with a queue, and qmail-send in it between spawners and a cleaner of our own.

The spawners answer by the recipient's box: `hard...` fails, `soft...` is deferred, `bad...` gets a
report that is none, `hold...` waits until the test releases it; everybody else succeeds.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from commands import BIN, environment
from queues import Queue
from until import until

from mta.queue import layout
from mta.slots import Slots
from supervise.program import execute, spawn

NOBODY = 65534
CONTROLS = {"me": "mail.example.org", "locals": "example.org\nlocalhost"}


class Home(Queue):
    """A scratch home of a plain user, which root may make for nobody; the test removes it."""

    def __init__(self) -> None:
        home = Path(tempfile.mkdtemp(prefix="pyqmail-"))  # not pytest's, into which nobody cannot go
        home.chmod(0o755)
        super().__init__(home)
        (home / "control").mkdir()
        for name, text in CONTROLS.items():
            self.control(name, text)

    def give_away(self) -> None:
        """Let all of it belong to the plain user whom qmail-send runs as."""
        if os.geteuid() == 0:
            for folder, _, files in os.walk(self.home):
                for file in (folder, *(os.path.join(folder, name) for name in files)):
                    os.chown(file, NOBODY, NOBODY)

    def remove(self) -> None:
        shutil.rmtree(self.home)

    def control(self, name: str, text: str) -> None:
        (self.home / "control" / name).write_text(text + "\n")

    def file(self, name: bytes) -> Path:
        """The file of the queue that `mta.queue.layout` calls *name*."""
        return self.path / os.fsdecode(name)

    def put(self, name: bytes, content: bytes, changed: float | None = None) -> None:
        """Make a file of the queue, by default *changed* now."""
        file = self.file(name)
        file.write_bytes(content)
        file.chmod(0o644)
        if changed is not None:
            os.utime(file, (changed, changed))

    def submit(
        self, *recipients: bytes, sender: bytes = b"sue@example.net", text: bytes = b"Subject: hi\n\nHello.\n"
    ) -> int:
        """Queue a message as qmail-queue does, but for the trigger; its number."""
        draft = self.path / "pid" / "draft"
        draft.write_bytes(text)
        number = draft.stat().st_ino
        draft.rename(self.file(layout.mess(number)))
        records = [b"u500", b"p77", b"F" + sender, *(b"T" + recipient for recipient in recipients), b""]
        self.put(layout.intd(number), b"\0".join(records))
        os.link(self.file(layout.intd(number)), self.file(layout.todo(number)))
        return number

    def pull(self) -> None:
        """Pull the trigger."""
        fd = os.open(self.file(layout.TRIGGER), os.O_WRONLY | os.O_NONBLOCK)
        os.write(fd, b"\0")
        os.close(fd)

    def state(self, number: int) -> bytes:
        """The state of message *number*; anything illegal raises."""
        before = os.getcwd()
        os.chdir(self.path)
        try:
            return layout.state_of(number)
        finally:
            os.chdir(before)

    def left(self) -> list[str]:
        """The files in the queue but for locks."""
        found = (path.relative_to(self.path) for path in self.path.rglob("*") if not path.is_dir())
        return sorted(str(path) for path in found if path.parts[0] != "lock")


class Request(NamedTuple):
    """What a spawner was asked: the *channel*, the slot, the file below mess, the sender, the recipient."""

    channel: str
    slot: int
    file: bytes
    sender: bytes
    recipient: bytes


LOG, LOCAL, REMOTE, CLEANER = 0, 1, 3, 5  # its descriptors; the one after is the way back
CHANNELS = {LOCAL: "local", REMOTE: "remote"}


class Sending:
    """A running qmail-send; use it in a with statement.

    Args:
        limit: what the spawners say they run at a time, in two bytes if one is too few; -1: they are dead.
        clean: what the cleaner answers.
        program: what to run in place of our qmail-send.
    """

    def __init__(
        self,
        home: Home,
        *,
        env: Mapping[str, str] | None = None,
        limit: int = 120,
        clean: bytes = b"+",
        program: str | Path = BIN / "qmail-send",
    ) -> None:
        self.home = home
        home.give_away()
        self.requests: list[Request] = []
        self.held: dict[bytes, Request] = {}  # by recipient
        self.reports: dict[bytes, bytes] = {}  # by recipient: a report of one's own
        self.clean = clean
        self.heard = dict.fromkeys((LOG, LOCAL, REMOTE, CLEANER), b"")
        self.gone: set[int] = set()  # daemons that are to be dead
        self.code: int | None = None
        self.slots = Slots(limit)
        pipes = [os.pipe() for _ in range(7)]
        self.reading = {number: pipes[number][0] for number in self.heard}
        self.writing = {number: pipes[number][1] for number in (LOCAL + 1, REMOTE + 1, CLEANER + 1)}
        theirs = {number: pipe[0 if number in self.writing else 1] for number, pipe in enumerate(pipes)}
        names = environment({"QMAILHOME": str(home.home), **(env or {})})
        self.pid = spawn(lambda: execute([os.fsencode(program)]), theirs, lambda: be_plain(names))
        for fd in theirs.values():
            os.close(fd)
        if limit < 0:
            self.gone.update(CHANNELS)
        else:
            for number in CHANNELS:
                os.write(self.writing[number + 1], bytes(self.slots))
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def __enter__(self) -> Sending:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.code is None:
            self.kill(signal.SIGKILL)
            self.wait()
        if kind:
            print("\n".join(self.lines))

    # -- what a test does --------------------------------------------------------------------
    @property
    def lines(self) -> list[str]:
        """The log, whole lines only."""
        return self.heard[LOG].decode().split("\n")[:-1]

    def logged(self, text: str, times: int = 1) -> list[str]:
        """Wait until *text* is in that many lines of the log; these lines."""
        until(lambda: sum(text in line for line in self.lines) >= times, what=f"{text!r} {times} times in the log")
        return [line for line in self.lines if text in line]

    def recipients(self) -> list[bytes]:
        """Who was delivered to, in order."""
        return [request.recipient for request in self.requests]

    def kill(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Wait until it has ended; its exit code, negative for a signal."""
        if self.code is None:
            self.code = os.waitstatus_to_exitcode(until(self._ended, what="its end")[1])
            self.thread.join()
            for fd in (*self.reading.values(), *self.writing.values()):
                os.close(fd)
        return self.code

    def _ended(self) -> tuple[int, int] | None:
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return (pid, status) if pid else None

    def stop(self) -> int:
        """Tell it to leave, and wait."""
        self.kill(signal.SIGTERM)
        return self.wait()

    def release(self, recipient: bytes, report: bytes = b"Kdone") -> None:
        """End the delivery to *recipient*, which is held."""
        self._report(until(lambda: self.held.pop(recipient, None), what=f"a delivery to {recipient!r}"), report)

    def say(self, channel: int, data: bytes) -> None:
        """Say *data* for a spawner."""
        os.write(self.writing[channel + 1], data)

    # -- the other daemons -------------------------------------------------------------------
    def _serve(self) -> None:
        while self.reading.keys() - self.gone:
            for number in self.gone & self.reading.keys():
                os.close(self.reading.pop(number))
                os.close(self.writing.pop(number + 1))
            fds = {fd: number for number, fd in self.reading.items()}
            for fd in select.select(list(fds), [], [], 0.02)[0]:
                number = fds[fd]
                data = os.read(fd, 65536)
                self.heard[number] += data
                if not data:
                    os.close(self.reading.pop(number))
                elif number == CLEANER:
                    self._clean()
                elif number != LOG:
                    self._deliver(number)

    def _clean(self) -> None:
        *requests, self.heard[CLEANER] = self.heard[CLEANER].split(b"\0")
        for request in requests:
            number = int(request[5:])
            if self.clean == b"+":
                gone = layout.mess if request.startswith(b"foop/") else layout.todo
                for name in layout.intd(number), gone(number):
                    self.home.file(name).unlink(missing_ok=True)
            self._answer(CLEANER, self.clean)

    def _deliver(self, number: int) -> None:
        while len(parts := self.heard[number][self.slots.width :].split(b"\0", 3)) == 4:
            request = Request(CHANNELS[number], self.slots.unpack(self.heard[number]), *parts[:3])
            self.heard[number] = parts[3]
            self.requests.append(request)
            recipient = request.recipient
            if recipient in self.reports:
                self._report(request, self.reports[recipient])
            elif recipient.startswith(b"hold"):
                self.held[recipient] = request
            elif recipient.startswith(b"hard"):
                self._report(request, b"DSorry, no mailbox here by that name. (#5.1.1)\n")
            elif recipient.startswith(b"soft"):
                self._report(request, b"ZTry again later. (#4.3.0)\n")
            elif recipient.startswith(b"bad"):
                self._report(request, b"?")
            else:
                self._report(request, b"Kdid 1+0+0/\n")

    def _report(self, request: Request, report: bytes) -> None:
        self._answer(
            LOCAL if request.channel == "local" else REMOTE, b"%s%s\0" % (self.slots.pack(request.slot), report)
        )

    def _answer(self, number: int, data: bytes) -> None:
        try:
            os.write(self.writing[number + 1], data)
        except BrokenPipeError:  # it has been killed
            pass


def be_plain(names: Mapping[str, str]) -> None:
    """Be a plain user with that environment."""
    os.environ.clear()
    os.environ.update(names)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
