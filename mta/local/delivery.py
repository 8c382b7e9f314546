"""Do what one line of a .qmail file says."""

from __future__ import annotations

import os

from mta.local.dotqmail import MAILDIR, meaning
from mta.mailbox import maildir, mbox
from supervise.command import say
from supervise.errors import TEMPORARY, Permanent, Temporary, reason
from supervise.fd import chunks
from supervise.program import execute, find, follow, spawn, take_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mta.local.environment import Envelope
    from supervise.command import Argv, Command

MESSAGE = 0  # the descriptor
ENOUGH = 99  # exit code of a program: skip the lines that follow
# What words consist of that a shell takes as they are, and blanks.
WORDS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.,:/@%+=- \t"
HARD = (64, 65, 70, 76, 77, 78, 100, 112)  # exit codes that bounce; 64 to 78 are those of sysexits.h


def rewind() -> None:
    """Go to the beginning of the message.

    Raises:
        Temporary: it is no file.
    """
    try:
        os.lseek(MESSAGE, 0, os.SEEK_SET)
    except OSError:
        raise Temporary(b"Unable to rewind message. (#4.3.0)") from None


def store(kind: bytes, path: bytes, envelope: Envelope) -> None:
    """Deliver to the mbox or Maildir *path*.

    Raises:
        Temporary: it could not be done.
    """
    rewind()
    head = envelope.return_path + envelope.delivered_to
    if kind == MAILDIR:
        maildir.deliver(meaning(path).rstrip(b"/") + b"/", head, MESSAGE)
    else:
        mbox.deliver(meaning(path), envelope.from_line + head, MESSAGE)


def run(program: bytes) -> bool:
    """Run *program* by sh with the message on 0, and wait for it; False: the lines that follow are not for us.

    Raises:
        Temporary, Permanent: it says so, in words of its own.
    """
    rewind()
    program = meaning(program)
    ours = own(program)
    try:
        pid = spawn((lambda: be(*ours)) if ours else lambda: shell(program))
    except OSError as error:
        raise Temporary(b"Unable to fork: %s. (#4.3.0)" % reason(error)) from None
    _, status = os.waitpid(pid, 0)
    if not os.WIFEXITED(status):
        raise Temporary(b"Aack, child crashed. (#4.3.0)")
    code = os.WEXITSTATUS(status)
    if code in HARD:
        raise Permanent
    if code not in (0, ENOUGH):
        raise Temporary
    return code != ENOUGH


def own(program: bytes) -> tuple[Command, Argv] | None:
    """The command of ours that *program* runs, and its arguments; None when it takes a shell, or is not ours.

    A shell would do nothing with these words but exec the first, and then an interpreter would have to start.
    """
    words = program.split()
    if not words or program.translate(None, WORDS) or b"=" in words[0] or words[1:] == [b"--help"]:
        return None
    try:
        command = find(words[0])
    except (ImportError, MemoryError):
        return None
    return (command, words) if command else None


def be(command: Command, argv: Argv) -> int:
    """Be a *command* of ours; its exit code."""
    take_name(argv[0])
    return follow(command, argv)


def shell(program: bytes) -> int:
    """Become the shell that runs *program*; the exit code when there is no shell."""
    try:
        execute([b"/bin/sh", b"-c", program])
    except OSError as error:
        say(b"Unable to run /bin/sh: %s. (#4.3.0)" % reason(error))
    return TEMPORARY


def forward(recipients: list[bytes], sender: bytes, head: bytes) -> int:
    """Send the message on, *head* before it, once for all *recipients*; the pid of who queued it.

    Raises:
        Temporary, Permanent: the queue does not take it.
    """
    from mta.queue.codes import trouble
    from mta.queue.submit import Submission  # most deliveries go without it

    rewind()
    submission = Submission()
    submission.write(head)
    try:
        submission.take(chunks(MESSAGE))
    except OSError as error:
        raise Temporary(b"Unable to read message: %s. (#4.3.0)" % reason(error)) from None
    verdict = submission.send(sender, [meaning(recipient) for recipient in recipients])
    if verdict:
        raise trouble(verdict, b"Unable to forward message: %s.")
    return submission.pid
