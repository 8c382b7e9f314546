"""qmail-popup - find out who a POP3 client is

Usage: qmail-popup hostname subprogram ...

qmail-popup greets a POP3 client on descriptors 0 and 1, hears its name and its password, and
runs subprogram, which says whether they are good, becomes that user and goes on with what the
user came for:

    tcpserver 0 pop3 qmail-popup pop.example checkpassword qmail-pop3d Maildir

subprogram gets on descriptor 3 the name, the password and a timestamp, each with a NUL behind
it.  The client says USER and PASS, or APOP with a name and a digest of its password and the
timestamp in our greeting, which holds hostname.  It has one try.

A client that says nothing for 1200 seconds is left.

Exit status:
    1    always; the client has been told
    111  a bug of ours, which is described on descriptor 2

See also: qmail-pop3d, checkpassword, checkpassword-cdb, checkpassword-pam, tcpserver
"""

from __future__ import annotations

import os
import time

from mta.pop3.client import Client, serve
from supervise.command import Argv, Become, command
from supervise.fd import write_all
from supervise.program import become, ignore_broken_pipes, spawn

USAGE = b"usage: popup hostname subprogram"
NO_PIPE = b"unable to open pipe"
NO_WRITE = b"unable to write pipe"
NO_FORK = b"unable to fork"
CRASHED = b"aack, child crashed"
BAD = b"authorization failed"
SYNTAX = b"syntax error"
USER_FIRST = b"USER first"
AUTHORIZATION_FIRST = b"authorization first"

OVER = 1  # the exit code
LOGIN = 3  # the descriptor on which the subprogram gets it


@command(b"qmail-popup", b"hostname subprogram")  # not again: who has heard a password hears no other client
def main(argv: Argv) -> int:
    ignore_broken_pipes()
    serve(lambda client: converse(client, argv[1:]))
    return OVER


def converse(client: Client, words: Argv) -> None:
    """Hear *client* until it has said who it is, or goes; *words* are our hostname and the subprogram.

    Raises:
        Closed, TimedOut: it is gone.
    """
    if len(words) < 2:
        client.error(USAGE)
        return
    hostname, *subprogram = words
    timestamp = b"<%d.%d@%s>" % (os.getpid(), time.time(), hostname)
    client.okay(timestamp)
    login = ask(client)
    if login is not None:
        trouble = let_in(b"%s\0%s\0%s\0" % (*login, timestamp), subprogram)
        if trouble:
            client.error(trouble)


def ask(client: Client) -> tuple[bytes, bytes] | None:
    """The name and the password that *client* gives; None when it only wants to go."""
    user = b""
    for verb, argument in client.commands():
        if verb == b"quit":
            client.okay()
            break
        if verb == b"noop":
            client.okay()
        elif verb == b"user" and argument:
            user = argument
            client.okay()
        elif verb == b"pass" and not user:
            client.error(USER_FIRST)
        elif verb == b"pass" and argument:
            return user, argument
        elif verb == b"apop" and b" " in argument:
            name, _, digest = argument.partition(b" ")
            return name, digest
        elif verb in (b"user", b"pass", b"apop"):
            client.error(SYNTAX)
        else:
            client.error(AUTHORIZATION_FIRST)
    return None


def let_in(login: bytes, subprogram: Argv) -> bytes:
    """Have *subprogram* check *login* and serve the user; what to tell the client at its end, if anything."""
    try:
        reading, writing = os.pipe()
    except OSError:
        return NO_PIPE
    try:
        child = spawn(lambda: become(Silent(subprogram)), {LOGIN: reading})
    except OSError:
        os.close(writing)
        return NO_FORK
    finally:
        os.close(reading)
    try:
        write_all(writing, login)
    except BrokenPipeError:  # it did not want to know
        pass
    except OSError:
        return NO_WRITE
    finally:
        os.close(writing)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return CRASHED
    return BAD if os.WEXITSTATUS(status) else b""


class Silent(Become):
    """What nobody hears of when it cannot be run, as with the original."""

    def refuse(self, error: OSError) -> int:
        return OVER
