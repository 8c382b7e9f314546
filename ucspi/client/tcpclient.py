"""tcpclient - connect to a TCP server and run a program

Usage: tcpclient [options] host port program

tcpclient connects to port of host and runs program, which is a program and its arguments,
with the connection on descriptors 6 (to read) and 7 (to write).

host is a name, an IPv4 or an IPv6 address; 0 is this machine.  port is a number or a name of
/etc/services.  A name may have several addresses: each gets a short time to answer, one after
the other, and when none does, those that did not refuse get a longer time.

    -T x+y    seconds for each address in the first and in the second round (default 2+58); a single
              address gets both at once, and -T x is -T x+0
    -i ip     connect from this local address
    -p port   connect from this local port
    -I name   the network interface of IPv6 addresses that are valid on one only (fe80::...);
              fe80::1%eth0 as address does the same
    -4        use IPv4 addresses only
    -6        show program IPv4 addresses as IPv6 ones (::ffff:192.0.2.1), and PROTO as TCP6
    -d  -D    delay small packets to save some (default), or never (TCP_NODELAY)
    -h  -H    look up the name of the server's address for TCPREMOTEHOST (default), or do not
    -l name   do not look up the name of our address; it is name
    -r  -R    ask the server who it is for TCPREMOTEINFO (RFC 1413; default), or do not
    -t n      give up on that after n seconds (default 26)
    -q -Q -v  say nothing, say what fails (default), or tell of the connection, too

Environment:
    DNSCACHEIP  the name servers to ask, instead of those in /etc/resolv.conf
    PROTO, TCPLOCALIP, TCPLOCALPORT, TCPLOCALHOST, TCPREMOTEIP, TCPREMOTEPORT, TCPREMOTEHOST, TCPREMOTEINFO
                set for program; what is not known is not in the environment

Exit status:
    111  nothing answers, there is no such host or port, or program cannot be run
    100  wrong usage
    otherwise that of program

See also: mconnect, sslclient, tcpcat, tcpserver, unixclient
"""

from __future__ import annotations

import signal
import socket

from supervise.command import Argv, Become, command, say
from supervise.errors import TEMPORARY, Temporary, Trouble
from supervise.program import execute, locate
from ucspi.client.settings import ALL, Settings
from ucspi.client.trying import addresses, connect_to_one
from ucspi.descriptors import READING, WRITING, put_connection
from ucspi.ends import find_name, find_user
from ucspi.environ import End, put, shown_ip, variables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

USAGE = (
    b"[ -46hHrRdDqQv ] [ -i localip ] [ -p localport ] [ -T timeoutconn ] [ -l localname ] [ -t timeoutinfo ] "
    b"[ -I interface ] host port program"
)


@command(b"tcpclient", USAGE)
def main(argv: Argv) -> int:
    return call(argv, Settings(), lambda connection: connection)


def call(argv: Argv, settings: Settings, dress: Callable[[socket.socket], socket.socket]) -> int:
    """Take *argv*, connect, and run the program; an exit code, when there is no connection.

    Args:
        settings: what *argv* changes.
        dress: makes of the connection what the program gets.

    Raises:
        Become: the program is ours.
        Trouble: it cannot be done, and we are to say so.
    """
    try:
        settings.read(argv)
        connection = connect_to_one(addresses(settings.host, settings.only_ipv4), settings)
        if connection is None:
            return TEMPORARY
        introduce(connection, settings)
        hand_over(dress(connection))
        run(settings.program)
    except Trouble as trouble:
        if settings.verbosity:
            raise
        return trouble.code


def introduce(connection: socket.socket, settings: Settings) -> None:
    """Find out who is at both ends of *connection* and tell the program by its environment.

    Raises:
        Temporary: the connection is gone already.
    """
    if not settings.delay:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        local = End.of(connection.getsockname())
    except OSError as error:
        raise Temporary(b"unable to get local address", error) from None
    local.host = find_name(local) if settings.local_host is None else settings.local_host
    try:
        remote = End.of(connection.getpeername())
    except OSError as error:
        raise Temporary(b"unable to get remote address", error) from None
    remote.host = find_name(remote) if settings.look_up else None
    info = find_user(local, remote, settings.info_patience) if settings.identify else None
    if settings.verbosity >= ALL:
        shown = shown_ip(remote.ip, settings.as_ipv6).encode()
        say(settings.name + b": connected to %s port %d" % (shown, remote.port))
    put(settings.shown(variables(local, remote, info, settings.as_ipv6)))


def hand_over(connection: socket.socket) -> None:
    """Put *connection* where the program finds it.

    Raises:
        Temporary: there is no room.
    """
    try:
        put_connection(connection)
    except OSError as error:
        raise Temporary(b"unable to set up descriptors %d and %d" % (READING, WRITING), error) from None


def run(program: Argv) -> NoReturn:
    """Run *program* in our place.

    Raises:
        Become: it is ours.
        Temporary: it cannot be run.
    """
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if locate(program[0]):
        raise Become(program)
    try:
        execute(program)
    except OSError as error:
        raise Temporary(b"unable to run " + program[0], error) from None
