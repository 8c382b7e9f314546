"""fghack - keep a program that goes into the background in the foreground

Usage: fghack child

fghack runs child, which is a program and its arguments, with 31 extra descriptors that
write to a pipe.  A daemon that forks and leaves hands them on to its children, mostly
because nobody closes descriptors that nobody knows of.  fghack reads the pipe, throws
away what comes, and ends when child has ended and nobody holds the pipe any more, with
the exit code of child.

A daemon that closes all its descriptors gets away.  And fghack hands on no signals: under
supervise, svc reaches fghack and not the daemon.  An option of the daemon that keeps it in
the foreground is better, where there is one.

Exit status:
    111  there is no pipe or no process to be had, child cannot be run, or a signal killed it
    100  wrong usage
    otherwise that of child

See also: pgrphack, supervise
"""

import fcntl
import os
import signal

from supervise.command import Argv, command
from supervise.errors import Temporary, Usage
from supervise.fd import chunks
from supervise.program import handed_on, run, spawn, take_name

EXTRA = 31  # descriptors that write to the pipe


@command(b"fghack", b"child")
def main(argv: Argv) -> int:
    if len(argv) < 2:
        raise Usage
    try:
        reading, writing = os.pipe2(os.O_CLOEXEC)
    except OSError as error:
        raise Temporary(b"unable to create pipe", error) from None
    pid = start(argv[1:], reading, writing)
    os.close(writing)
    for _ in chunks(reading):
        pass
    return code_of(pid)


def start(child: Argv, reading: int, writing: int) -> int:
    """Start *child* with what exec would have handed on to it and EXTRA writing ends of the pipe; its pid."""
    fds = {fd: fd for fd in [*handed_on(), writing]}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        return spawn(lambda: be(child, blocked), fds, lambda: multiply(reading, writing))
    except OSError as error:
        raise Temporary(b"unable to fork", error) from None


def be(child: Argv, blocked: set[int | signal.Signals]) -> int:
    """In the child process: run *child* under its name, with signals *blocked* as they were."""
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    take_name(child[0])
    return run(child, name=b"fghack")


def multiply(reading: int, writing: int) -> None:
    """In the child process: have EXTRA writing ends, *writing* included, all for exec to hand on."""
    try:
        os.close(reading)
    except OSError:  # closed already, unless it is one of the first three
        pass
    for _ in range(EXTRA - 1):
        try:
            fcntl.fcntl(writing, fcntl.F_DUPFD, 0)
        except OSError:  # no room for more
            break


def code_of(pid: int) -> int:
    """The exit code of the child *pid*, which is waited for."""
    try:
        status = os.waitpid(pid, 0)[1]
    except OSError as error:
        raise Temporary(b"wait failed", error) from None
    if os.WIFSIGNALED(status):
        raise Temporary(b"child crashed")
    return os.WEXITSTATUS(status)
