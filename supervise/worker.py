"""A worker's life: one job after another, and everything put back in between.

A job finds what exec would have given it: the descriptors that came with it, and the environment, folder,
umask and signals that the worker was born with.  When it is over, the worker puts all of that back and closes
what the job left open, so nothing of one job reaches the next.  What cannot be put back ends the worker.

A job whose program may not run twice in one process uses the worker up: the worker becomes that program, and the
program's end is the job's end.  So does one whose program is not ours, unless the parent has said that the worker may
wait for it: a child that shares the worker's memory until its exec costs a third of a new worker.
"""

from __future__ import annotations

import _signal  # see SIGNALS in supervise.program
import errno
import fcntl
import marshal
import os
import resource
import socket
import struct

from supervise import environment
from supervise.command import Become, say
from supervise.errors import TEMPORARY, Trouble, reason
from supervise.program import SIGNALS, become, close_all_but, find, ordinary_signals, start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from supervise.command import Argv, Command

STATUS = struct.Struct("<I")  # a worker's answer: the job's wait status
LARGEST = 1 << 16  # bytes of a payload; a command line with its addresses fits
HIGH = 64  # a worker's own descriptors live from here up, out of the way of every job's, where the limit allows
GROWTH = 16 << 10  # KiB that a worker may grow by before it is replaced
NO_CHILD = (errno.EAGAIN, errno.ENOMEM)  # there cannot be one more process, but this one can become another
DESCRIPTORS = 8  # that one job may bring
AWAITED = (  # the end of a child, and signals that end a process, which are for a program that a worker waits for
    _signal.SIGCHLD,
    _signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGUSR1, _signal.SIGUSR2, _signal.SIGALRM, _signal.SIGTERM,
)  # fmt: skip


def live(channel: int, prepare: Callable[[], object], work: Callable[[bytes], int]) -> None:
    """Be a worker until the parent closes *channel*; never returns.

    Args:
        channel: the socket over which jobs come.
        prepare: what is done once, before the first job.
        work: what is done with a job's payload; it returns the exit code.
    """
    code = TEMPORARY
    try:
        ordinary_signals()
        close_all_but({0, 1, 2, channel})
        [own] = lift(channel)
        os.close(channel)
        prepare()
        code = _serve(socket.socket(fileno=own), Birth(own), work)
    except Trouble as trouble:
        say(b"worker: fatal: " + trouble.line)
        code = trouble.code
    except OSError as error:
        say(b"worker: fatal: system call failed: " + reason(error))
    except BaseException as bug:  # nothing may unwind into the parent's code
        say(b"worker: bug: " + repr(bug).encode())
    finally:
        os._exit(code & 0xFF)


def high() -> int:
    """The lowest number for a worker's own descriptors: `HIGH`, or less under a tight limit."""
    return min(HIGH, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)


def lift(*fds: int) -> list[int]:
    """Second descriptors for what *fds* are, out of the way."""
    lowest = high()
    return [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, lowest) for fd in fds]


class Birth:
    """What a worker was born with, and goes back to after each job."""

    def __init__(self, channel: int) -> None:
        self.environment = environment.copy()
        self.umask = os.umask(0o77)
        os.umask(self.umask)
        self.actions = actions()
        self.standard = lift(0, 1, 2)
        self.folder = self._folder()
        self.own = {0, 1, 2, channel, *self.standard} | ({self.folder} if self.folder is not None else set())

    def _folder(self) -> int | None:
        """The folder we stand in; None when we may not enter it, as somebody who was put here by root."""
        try:
            fd = os.open(b".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return None
        [lifted] = lift(fd)
        os.close(fd)
        return lifted

    def again(self) -> bool:
        """Put everything back; False: it cannot be, and the worker must not be used again."""
        try:
            self._stop_signals()
            self.give_back()
            os.umask(self.umask)
            if self.folder is None:
                return False
            os.fchdir(self.folder)
            environment.restore(self.environment)
        except OSError:
            return False
        return no_child_left()

    def give_back(self) -> None:
        """Have no descriptor of the job's any more."""
        for fd, saved in enumerate(self.standard):
            os.dup2(saved, fd)
        close_all_but(self.own)

    def _stop_signals(self) -> None:
        _signal.setitimer(_signal.ITIMER_REAL, 0)
        _signal.set_wakeup_fd(-1)
        if (now := actions()) != self.actions:
            for number, action, before in zip(SIGNALS, now, self.actions, strict=True):
                if action != before:
                    _signal.signal(number, before or _signal.SIG_DFL)
        _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


def actions() -> list[Any]:
    """What is done at each of the `SIGNALS`."""
    return list(map(_signal.getsignal, SIGNALS))


def no_child_left() -> bool:
    """Bury the children that a job left; False when one of them still lives."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False


def _serve(channel: socket.socket, birth: Birth, work: Callable[[bytes], int]) -> int:
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    while True:
        try:
            message, attached, _, _ = socket.recv_fds(channel, LARGEST, DESCRIPTORS)
        except ConnectionResetError:  # the parent is gone, and has not read our last answer
            return 0
        if not message:
            return 0
        numbers, payload, may_wait = marshal.loads(message)
        if len(attached) != len(numbers):  # we have no room for more descriptors
            return TEMPORARY
        _take(attached, numbers)
        try:
            status = (work(payload) & 0xFF) << 8
        except Become as change:
            waited = wait_for(change, birth) if may_wait and change.foreign else None
            if waited is None:  # used up; who waits for us waits for what we become
                return become(change)
            status = waited
        reusable = birth.again()
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start
        if not reusable or grown > GROWTH:
            return end_as(status)
        try:
            channel.send(STATUS.pack(status), socket.MSG_NOSIGNAL)
        except OSError:  # the parent is gone
            return TEMPORARY


def wait_for(change: Become, birth: Birth) -> int | None:
    """Run the foreign program of *change* as a child; its wait status, or None when only exec can run it.

    Meanwhile we hold none of its descriptors, and hand on signals that would end us.
    """
    _signal.pthread_sigmask(_signal.SIG_BLOCK, AWAITED)  # until everything is put back
    try:
        pid = start(change.argv, change.path)
    except (OSError, ValueError) as error:
        _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
        if isinstance(error, ValueError) or error.errno in NO_CHILD:
            return None
        return (change.refuse(error) & 0xFF) << 8
    birth.give_back()
    while not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG):
        number = _signal.sigwaitinfo(AWAITED).si_signo
        if number != _signal.SIGCHLD:
            try:
                os.kill(pid, number)
            except PermissionError:  # it has become somebody else
                pass
    return os.waitpid(pid, 0)[1]


def end_as(status: int) -> int:
    """End in a way that gives us the wait *status*: the exit code, unless it was a signal."""
    if os.WIFSIGNALED(status):
        os.kill(os.getpid(), os.WTERMSIG(status))
    return os.WEXITSTATUS(status)


def _take(fds: list[int], numbers: list[list[int]]) -> None:
    """Move each of the descriptors that came with a job to the *numbers* under which the job expects it."""
    if max(map(max, numbers), default=0) >= min(fds, default=1):
        lifted = lift(*fds)
        for fd in fds:
            os.close(fd)
        fds = lifted
    for fd, wanted in zip(fds, numbers, strict=True):
        for number in wanted:
            os.dup2(fd, number)
        os.close(fd)


def run_again(argv: Argv, path: bytes | None = None, command: Command | None = None) -> int:
    """Run *argv* in a worker: here, if it is ours and may run again in one process, else by becoming it.

    What it becomes itself is treated alike, so a chain such as `rblsmtpd qmail-smtpd`
    does not use the worker up.

    Args:
        path: where to look for the program instead of `PATH`.
        command: what `find` says of it, when that is known already.

    Raises:
        Become: the worker is used up.
    """
    following = Become(argv, path)
    command = command or find(argv[0], path)
    while command and command.again:
        try:
            return command(following.argv)
        except Become as change:
            following = change
            following.name = command.name
        command = find(following.argv[0], following.path)
    following.foreign = command is None
    raise following
