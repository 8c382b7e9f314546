"""tcp-env - run a program with the environment that tcpserver would give it

Usage: tcp-env [ -rR ] [ -t timeout ] program [ arg ... ]

tcp-env is for programs that inetd starts, with a TCP connection on descriptor 0.  It sets PROTO, TCPLOCALIP and so on,
as tcpserver does, and runs program.  When PROTO says that somebody has done so already, it changes nothing.

Its own failures are silent, since inetd leaves the connection on descriptor 2 too.

Options:
    -r          ask the other end who has opened the connection (TCPREMOTEINFO); the default
    -R          do not
    -t timeout  seconds to wait for its answer; 30 by default
    other letters have no effect

Exit status:
    111  wrong usage, descriptor 0 is no TCP connection, or program cannot be run
    otherwise that of program

Environment:
    TCPLOCALHOST, TCPREMOTEHOST  softdnserror when nobody knows for now; unset when there is no name

See also: tcpserver
"""

from __future__ import annotations

import os
import socket

from supervise.command import Argv, Become, command
from supervise.errors import TEMPORARY, Temporary
from supervise.options import options
from ucspi import ip
from ucspi.environ import End, put, variables

DONE = b"TCP", b"TCP6"  # what tcpserver says in PROTO
LETTERS = bytes(byte for byte in range(33, 127) if byte not in b"-:t") + b"t:"
PATIENCE = 30  # seconds, by default
UNSURE = b"softdnserror"


class Unseen(Become):
    """A program that may be missing without a word."""

    def refuse(self, error: OSError) -> int:
        return self.code


@command(b"tcp-env", b"[ -rR ] [ -t timeout ] program [ arg ... ]")
def main(argv: Argv) -> int:
    chosen, program = options([*argv, b""], LETTERS)  # a -t without a value takes the last word, and nobody complains
    del program[-1:]
    if not program:
        return TEMPORARY
    if os.environb.get(b"PROTO") not in DONE:
        try:
            describe(patience(chosen))
        except OSError:
            return TEMPORARY
    raise Unseen(program)


def patience(chosen: list[tuple[bytes, bytes]]) -> int | None:
    """The seconds to wait for who has opened the connection, by the options *chosen*; None: do not ask."""
    asks, seconds = True, PATIENCE
    for letter, value in chosen:
        if letter in (b"r", b"R"):
            asks = letter == b"r"
        elif letter == b"t":
            seconds = ip.leading_number(value)
    return seconds if asks else None


def describe(seconds: int | None) -> None:
    """Put what is known of the connection on descriptor 0 into the environment.

    Args:
        seconds: how long to wait for who has opened it; None: do not ask.

    Raises:
        OSError: it is no TCP connection.
    """
    with socket.socket(fileno=os.dup(0)) as connection:
        if connection.type != socket.SOCK_STREAM or connection.family not in (socket.AF_INET, socket.AF_INET6):
            raise OSError
        local, remote = End.of(connection.getsockname()), End.of(connection.getpeername())
    local.host, remote.host = name_of(local), name_of(remote)
    info = None
    if seconds is not None:
        from ucspi.ident import remote_user

        info = remote_user(local, remote, seconds)
    found = variables(local, remote, info)
    put(pair for pair in found if not pair[0].startswith(b"TCP6"))


def name_of(end: End) -> bytes | None:
    """The name of *end*; None when it has none."""
    from ucspi import dns

    try:
        return dns.name_of(ip.plain(end.ip))
    except Temporary:
        return UNSURE
