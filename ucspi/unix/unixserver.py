"""unixserver - accept connections to a socket in the file system and run a program for each

Usage: unixserver [-dDqQvUO] [-c limit] [-b backlog] [-m mask] [-p mode] [-o uid] [-r gid] [-u uid] [-g gid]
    [-B banner] [--] socket program

unixserver makes a socket at the path socket, in the place of whatever was there, and waits
for connections to it.  For each it runs program, which is a program and its arguments, with
the connection on descriptors 0 and 1.

Options are looked for among all words, those of program too, up to `--`.  So write `--` in
front of socket when program has options of its own, or set POSIXLY_CORRECT, which ends the
options at the first other word.

A program of this system that can serve one connection after another in one process does so;
any other is started afresh for each connection.

unixserver exits when it receives TERM, INT or QUIT, and takes socket away then; connections
that are being served go on.  HUP, PIPE and ALRM are ignored, also by program unless it sets
them itself.

The socket:
    -m mask       the umask for it, in octal (default: 0)
    -p mode       its mode, in octal, whatever the mask; 0 leaves it as it is
    -o uid, -r gid
                  its owner and its group, by number
    -O            the same with the numbers in the environment variables SOCKET_UID and SOCKET_GID
    -b backlog    how many connections the system may keep waiting (default: 128)
    -d            leave it behind at the end
    -D            take it away at the end (default)

Connections:
    -c limit      serve no more than limit connections at once; more wait (default: 10)
    -u uid, -g gid
                  become this user and this group, by number, once we listen; other groups stay
    -U            the same with the numbers in the environment variables UID and GID
    -B banner     write banner to each connection at once

Messages:
    -q, -Q        print error messages only, to descriptor 2 (default: -Q)
    -v            print to descriptor 1 each connection with its start and its wait status, too

Environment:
    PROTO, UNIXLOCALPATH, UNIXLOCALUID, UNIXLOCALGID, UNIXLOCALPID, UNIXREMOTEEUID, UNIXREMOTEEGID, UNIXREMOTEPID
                  set for program: UNIX, the socket, and who is on both of its ends

Exit status:
    0    TERM, INT or QUIT came
    1    wrong usage, or we cannot listen or become uid and gid

See also: unixclient, unixcat, tcpserver
"""

from __future__ import annotations

import errno
import os
import signal

from supervise.command import Argv, command, say
from supervise.errors import Usage
from supervise.title import set_title
from ucspi.server.starting import load, take_standard
from ucspi.unix.acceptor import ENDINGS, IGNORED, Acceptor
from ucspi.unix.failure import CODE, Failed
from ucspi.unix.listening import become, listen, unlink
from ucspi.unix.settings import Settings


@command(b"unixserver", b"[options] socket program", usage_code=CODE)
def main(argv: Argv) -> int:
    try:
        settings = Settings.read(argv)
    except Usage:
        say(b"usage: %s [options] socket program" % argv[0])
        return CODE
    set_title(argv)
    take_standard()
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    try:
        return serve(settings)
    except Failed as failure:
        say(failure.line)
        return CODE
    finally:
        if settings.delete:
            unlink(settings.path)


def serve(settings: Settings) -> int:
    """Listen and serve until we are to end; the exit code.

    Raises:
        Failed: we cannot.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)  # they wait until we can take the socket away
    listening = listen(settings)
    load(settings.program)
    become(settings)
    acceptor = Acceptor(listening, settings)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)
    if not settings.limit:  # the original waits for a connection to end where there can be none
        acceptor.tell_status()
        raise Failed(b"wait", OSError(errno.ECHILD, os.strerror(errno.ECHILD)))
    return acceptor.serve()
