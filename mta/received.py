"""The Received line that a server of ours puts in front of a message.

    Received: from client.example (HELO friend) (joe@192.0.2.7)
      by mx.example with SMTP; 1 Jan 2026 00:00:00 -0000

It says who the client is according to the UCSPI environment (tcpserver's), and under which
name it greeted when that is another one.  A byte that could upset whoever reads the header
is written as a question mark.
"""

from __future__ import annotations

from mta.date import header_date

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

UNKNOWN = b"unknown"
SAFE = b".@%+/=:-[]abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
SHOWN = bytes(byte if byte in SAFE else ord("?") for byte in range(256))  # a table for bytes.translate


class Connection:
    """Who is connected to whom.

    Args:
        environment: what tcpserver says: TCPREMOTEIP, TCPREMOTEHOST, TCPREMOTEINFO (the
            client's user name, if asked for), TCPLOCALHOST or TCPLOCALIP.
    """

    __slots__ = ("local", "remote_host", "remote_info", "remote_ip")

    def __init__(self, environment: Mapping[bytes, bytes]) -> None:
        self.remote_ip = environment.get(b"TCPREMOTEIP", UNKNOWN)
        self.remote_host = environment.get(b"TCPREMOTEHOST", UNKNOWN)
        self.remote_info = environment.get(b"TCPREMOTEINFO")
        local = environment.get(b"TCPLOCALHOST")
        self.local = environment.get(b"TCPLOCALIP", UNKNOWN) if local is None else local


def received(connection: Connection, protocol: bytes, seconds: float, helo: bytes | None = None) -> bytes:
    """The whole field, with its line ends (RFC 5321, section 4.4).

    Args:
        protocol: `SMTP`, `QMTP`.
        seconds: when the message came, since 1970.
        helo: the name that the client gave itself; None leaves it out.
    """
    host, ip, local = (
        text.translate(SHOWN) for text in (connection.remote_host, connection.remote_ip, connection.local)
    )
    greeted = b"" if helo is None else b" (HELO %s)" % helo.translate(SHOWN)
    user = b"" if connection.remote_info is None else connection.remote_info.translate(SHOWN) + b"@"
    return b"Received: from %s%s (%s%s)\n  by %s with %s; %s\n" % (
        host,
        greeted,
        user,
        ip,
        local,
        protocol,
        header_date(seconds),
    )
