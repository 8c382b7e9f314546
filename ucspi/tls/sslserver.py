"""sslserver - accept TLS connections and run a program for each

Usage: sslserver [-146UXpPhHrRoOdDqQvaAeEiIsSnN] [-c limit] [-C limit] [-x rules.cdb] [-B banner] [-g gid] [-u uid]
    [-b backlog] [-l localname] [-t timeout] [-T timeout] [-w timeout] host port program

sslserver is tcpserver for clients that speak TLS, with the options of ucspi-ssl. Program does not
see TLS: it reads what clients say from descriptor 0 and writes to descriptor 1. A client is let in
or denied by the rules before TLS begins.

All that tcpserver has is there, long options too. Besides:
    -e            set TCPREMOTEIP and so on, as tcpserver does, besides those below
    -E            do not (default)
    -s            set SSL_PROTOCOL, SSL_CIPHER, SSL_CLIENT_S_DN and so on
    -S            do not (default)
    -i            have clients show a certificate that somebody in CAFILE or CADIR vouches for
    -I            do not (default)
    -n            begin without TLS; program starts it, as tcpserver --starttls has it
    -N            do not (default)
    -a            read certificates and keys before becoming uid and gid
    -A            read them afterwards (default)
    -T timeout    give a client up that has not shaken hands after this many seconds (default: 26)
    -w timeout    give a connection up on which nothing has been said for so many seconds (default: 3600)

-3 is not there: a key cannot have a password. Clients are told of all in CAFILE, and chains of
certificates may be as long as the library allows.

Environment:
    CERTFILE, KEYFILE, CERTDIR, CAFILE, CADIR, CIPHERS, DHFILE
                  the certificate and so on, see tcpserver
    PROTO         SSL, set for program
    SSLLOCALIP, SSLLOCALPORT, SSLLOCALHOST, SSLREMOTEIP, SSLREMOTEPORT, SSLREMOTEHOST, SSLREMOTEINFO
                  set for program, as tcpserver sets TCPLOCALIP and so on

Exit status:
    0    TERM came
    100  wrong usage
    111  we cannot listen, have no certificate, or may not become uid and gid

See also: sslclient, tcpserver, tcprules
"""

from __future__ import annotations

from supervise.command import Argv, command
from ucspi.environ import as_ssl
from ucspi.ip import leading_number
from ucspi.tcp.settings import LETTERS
from ucspi.tcp.settings import Settings as TcpSettings
from ucspi.tcp.tcpserver import USAGE, serve
from ucspi.tls.settings import NEVER, REQUIRE, TlsSettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.environment import Variable

FLAGS = {
    b"s": ("tell", True),
    b"S": ("tell", False),
    b"i": ("client", REQUIRE),
    b"I": ("client", NEVER),
    b"n": ("at_once", False),
    b"N": ("at_once", True),
    b"a": ("with_all_rights", True),
    b"A": ("with_all_rights", False),
}
NUMBERS = {b"T": "patience", b"w": "rest"}


class Settings(TcpSettings):
    """sslserver's options."""

    __slots__ = ("tcp_too",)

    name = b"sslserver"
    letters = LETTERS + b"aAeEiIsSnNT:w:"
    tls: TlsSettings

    def __init__(self) -> None:
        super().__init__()
        self.tls = TlsSettings()
        self.tls.with_all_rights = False
        self.tcp_too = False

    def set(self, letter: bytes, value: bytes) -> None:
        if letter in FLAGS:
            name, setting = FLAGS[letter]
            setattr(self.tls, name, setting)
        elif letter in NUMBERS:
            setattr(self.tls, NUMBERS[letter], float(leading_number(value)))
        elif letter in (b"e", b"E"):
            self.tcp_too = letter == b"e"
        else:
            super().set(letter, value)

    def shown(self, variables: list[Variable]) -> list[Variable]:
        return as_ssl(variables, self.tcp_too)


@command(b"sslserver", USAGE)
def main(argv: Argv) -> int:
    return serve(argv, *Settings.read(argv))
