"""What can be found out about the ends of a connection: their names, and who opened it."""

from __future__ import annotations

from supervise.errors import Temporary
from ucspi import dns, ip
from ucspi.ident import remote_user

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ucspi.environ import End


def find_name(end: End, paranoid: bool = False) -> bytes | None:
    """The name of *end*, or None; if *paranoid*, only one that has the address of *end* as its own."""
    address = ip.plain(end.ip)
    try:
        host = dns.name_of(address)
        if host and paranoid and address not in dns.addresses(host, (6 if ":" in address else 4,)):
            return None
    except Temporary:
        return None
    return host


def find_user(local: End, remote: End, patience: int) -> bytes | None:
    """Who opened the connection at *remote*, cut where a C string would end; None when nobody tells."""
    user = remote_user(local, remote, patience)
    return None if user is None else user.split(b"\0", 1)[0]
