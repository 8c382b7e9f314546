"""sslclient - connect to a server that speaks TLS and run a program

Usage: sslclient [options] host port program

sslclient is tcpclient for servers that speak TLS, with the options of ucspi-ssl.  Program does not
see TLS: it reads what the server says from descriptor 6 and writes to descriptor 7.  It is run
when the server has shown a certificate for host that somebody vouches for whom we trust:
those in CAFILE and CADIR or, when neither is set, those that the system trusts.

All that tcpclient has is there.  Besides:
    -a file    trust those whose certificates are in file (instead of CAFILE)
    -A folder  trust those whose certificates are in folder, by hash (instead of CADIR)
    -c file    show the certificate in file (instead of CERTFILE)
    -k file    its key is in file (instead of KEYFILE)
    -z list    speak these ciphers up to TLS 1.2 (instead of CIPHERS)
    -x  -X     have somebody vouch for the server's certificate (default), or take any
    -n  -N     have the certificate be for host (default), or for anybody; -X means -N
    -s  -S     set SSL_PROTOCOL, SSL_CIPHER, SSL_SERVER_S_DN and so on, or do not (default)
    -e  -E     set TCPREMOTEIP and so on, as tcpclient does, or do not (default)
    -T x+y     as for tcpclient; the server has x+y seconds to shake hands
    -w n       give up when nothing has been said for n seconds (default 3600)

The process that speaks TLS is a child of program, and ends when program or the server is gone.

-3 is not there: a key cannot have a password.  Nor is -V: chains of certificates may be as long as the
library allows.

Environment:
    CAFILE, CADIR      whom to trust
    CERTFILE, KEYFILE  our certificate, in PEM, with those that vouch for it behind it, and its key; without
                       KEYFILE the key is in CERTFILE too.  Without CERTFILE we show none
    CIPHERS            which ciphers are spoken up to TLS 1.2, as openssl-ciphers(1) writes them
    PROTO              SSL, set for program
    SSLLOCALIP, SSLLOCALPORT, SSLLOCALHOST, SSLREMOTEIP, SSLREMOTEPORT, SSLREMOTEHOST, SSLREMOTEINFO
                       set for program, as tcpclient sets TCPLOCALIP and so on

Exit status:
    111  nothing answers, the server is not who it should be, or program cannot be run
    100  wrong usage
    otherwise that of program

See also: sslserver, tcpclient
"""

from __future__ import annotations

import os

from supervise.command import Argv, command
from ucspi.client.settings import ERRORS, LETTERS
from ucspi.client.settings import Settings as TcpSettings
from ucspi.client.tcpclient import call
from ucspi.environ import as_ssl, put
from ucspi.ip import leading_number
from ucspi.tls.calling import Wishes, start

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

    from supervise.environment import Variable

USAGE = (
    b"[ -46hHrRdDqQvxXnNsSeE ] [ -i localip ] [ -p localport ] [ -T timeoutconn ] [ -l localname ] [ -t timeoutinfo ] "
    b"[ -I interface ] [ -a cafile ] [ -A cadir ] [ -c certfile ] [ -k keyfile ] [ -z ciphers ] [ -w timeout ] "
    b"host port program"
)
FILES = {b"a": b"CAFILE", b"A": b"CADIR", b"c": b"CERTFILE", b"k": b"KEYFILE", b"z": b"CIPHERS"}


class Settings(TcpSettings):
    """sslclient's options."""

    __slots__ = ("tcp_too", "tell", "wishes")

    name = b"sslclient"
    letters = LETTERS + b"a:A:c:k:z:w:xXnNsSeE"

    def __init__(self) -> None:
        super().__init__()
        self.wishes = Wishes(os.environb)
        self.tell = self.tcp_too = False

    def set(self, letter: bytes, value: bytes) -> None:
        if letter in FILES:
            self.wishes.files[FILES[letter]] = value
        elif letter == b"w":
            self.wishes.rest = float(leading_number(value))
        elif letter in b"xX":
            self.wishes.verify = letter == b"x"
        elif letter in b"nN":
            self.wishes.check_name = letter == b"n"
        elif letter in b"sS":
            self.tell = letter == b"s"
        elif letter in b"eE":
            self.tcp_too = letter == b"e"
        else:
            super().set(letter, value)

    def shown(self, variables: list[Variable]) -> list[Variable]:
        return as_ssl(super().shown(variables), self.tcp_too)


@command(b"sslclient", USAGE)
def main(argv: Argv) -> int:
    settings = Settings()

    def dress(connection: socket.socket) -> socket.socket:
        settings.wishes.patience = float(sum(settings.patience))
        warn = settings.name + b": warning: TLS has ended: " if settings.verbosity >= ERRORS else None
        ours, variables = start(connection, settings.host, settings.wishes, warn)
        put(variables if settings.tell else ())
        return ours

    return call(argv, settings, dress)
