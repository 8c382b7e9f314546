"""Addresses of an envelope: `local@host`, told apart and quoted for the wire.

Inside the house an address is plain: its local part holds the very bytes that name the
mailbox, and the host begins after the last `@`.  On the wire and in a header field a local
part that is not made of atoms and single dots stands between double quotes (RFC 5321, 4.1.2).
"""

from __future__ import annotations

ATOMS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~"  # RFC 5322, 3.2.3
QUOTED = b"\\", b'"', b"\r", b"\n"  # these get a backslash between the quotes; the backslash comes first


def split(address: bytes) -> tuple[bytes, bytes | None]:
    """The local part and the host of *address*; the host is None when there is no `@`."""
    local, at, host = address.rpartition(b"@")
    return (local, host) if at else (address, None)


def quote(address: bytes) -> bytes:
    """*address* as the wire and header fields have it: the local part quoted if it must be, the host as it is.

    An address without `@` is a local part; the empty address, which stands for nobody, stays empty.
    """
    local, host = split(address)
    if host is None:
        return quote_local(local) if local else b""
    return quote_local(local) + b"@" + host


def quote_local(local: bytes) -> bytes:
    """The local part *local*, between double quotes if it must be."""
    if all(local.split(b".")) and not local.translate(None, ATOMS + b"."):
        return local
    for special in QUOTED:
        local = local.replace(special, b"\\" + special)
    return b'"' + local + b'"'
