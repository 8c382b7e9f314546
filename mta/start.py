"""qmail-start - turn on mail delivery

Usage: qmail-start [ defaultdelivery [ logger arg ... ] ]

qmail-start starts qmail-lspawn, qmail-rspawn and qmail-clean, each as its own
user, connects them with pipes, and becomes qmail-send, so whoever supervises
qmail-start supervises qmail-send. When qmail-send ends, the others end too.

defaultdelivery is what qmail-lspawn does for users without a .qmail file, by
default ./Mailbox. It is written like the lines of a .qmail file.

The log of qmail-send goes to descriptor 1. If there is a logger, it is started
with its arguments, as qmaill, and reads the log from its descriptor 0.

In root's instance the users are qmails, qmailr, qmailq and qmaill, and root for
qmail-lspawn, which becomes each recipient. In a plain user's instance all are
that user.

Exit status:
    111  somebody cannot be started
    otherwise that of qmail-send

Environment:
    QMAILHOME   the home, /var/qmail by default
    SPAWNLIMIT  how many deliveries of a kind may run at a time, 1000 by default, whatever control/concurrencylocal and
                control/concurrencyremote say. Each that runs keeps a process of 2 MB
    All of the environment reaches the commands that users have in .qmail files.

See also: qmail-send, qmail-lspawn, qmail-rspawn, qmail-clean
"""

from __future__ import annotations

import os

from mta import home
from supervise.account import become
from supervise.command import Argv, Become, command
from supervise.errors import Temporary
from supervise.program import arrange, spawn
from supervise.title import set_title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT = b"./Mailbox"
LOG = 1
LIMIT = b"1000"  # deliveries at a time; who runs qmail-lspawn or qmail-rspawn otherwise gets the original's 120


@command(b"qmail-start", b"[ defaultdelivery [ logger arg ... ] ]")
def main(argv: Argv) -> int:
    default, logger = argv[1] if len(argv) > 1 else DEFAULT, argv[2:]
    set_title(argv)  # while the environment is as we got it: that is how setproctitle finds our arguments
    os.environb[b"QMAILHOME"] = os.path.abspath(home.home())
    os.environb.setdefault(b"SPAWNLIMIT", LIMIT)
    os.chdir(b"/")
    os.umask(0o77)
    users = {role: home.account(role) for role in (b"qmails", b"qmailr", b"qmailq", b"qmaill")}
    share_group(users[b"qmailq"])
    log = start_logger(logger, users[b"qmaill"]) if logger else LOG
    to_lspawn, from_lspawn = start([b"qmail-lspawn", default], None)
    to_rspawn, from_rspawn = start([b"qmail-rspawn"], users[b"qmailr"])
    to_clean, from_clean = start([b"qmail-clean"], users[b"qmailq"])
    arrange(dict(enumerate((log, to_lspawn, from_lspawn, to_rspawn, from_rspawn, to_clean, from_clean))))
    be([b"qmail-send"], users[b"qmails"])
    raise Become([home.program(b"qmail-send")])


def share_group(user: home.Account) -> None:
    """Have the queue's group, and no other, in those of us that stay root."""
    if not home.plain():
        os.setgroups([user.gid])
        os.setgid(user.gid)


def start_logger(argv: Argv, user: home.Account) -> int:
    """Start the logger; the descriptor to write the log to."""
    reading, writing = os.pipe()
    run_child(argv, {0: reading}, argv, user)
    os.close(reading)
    return writing


def start(argv: Argv, user: home.Account | None) -> tuple[int, int]:
    """Start one of our daemons; the descriptors to write to it and to read from it."""
    requests, writing = os.pipe()
    reading, answers = os.pipe()
    run_child([home.program(argv[0]), *argv[1:]], {0: requests, 1: answers}, argv, user)
    os.close(requests)
    os.close(answers)
    return writing, reading


def run_child(argv: Argv, fds: Mapping[int, int], title: Argv, user: home.Account | None) -> None:
    """Start *argv* as *user* (None: as who we are), under *title* in the list of processes."""
    try:
        spawn(argv, fds, lambda: be(title, user))
    except OSError as error:
        raise Temporary(b"unable to fork", error) from None


def be(title: Argv, user: home.Account | None) -> None:
    """Become *user*, and be called *title*."""
    set_title(title)
    if user and not home.plain():
        become(user.uid, user.gid)
