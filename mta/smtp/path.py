"""Addresses as the arguments of MAIL and RCPT carry them, the path of RFC 5321, section 4.1.2.

    FROM:<@hop.example,@other.example:"joe q"@irs.example> SIZE=100

What is left of this is `joe q@irs.example`: the parameters, the brackets, the source route
and the quotes go.  We are liberal: whatever stands before the bracket is ignored, without a
bracket the address begins after the first colon and ends at the first blank.
"""

from __future__ import annotations

from mta.control import leading_number

LONGEST = 899  # bytes of an address
QUOTE, BACKSLASH = b'"\\'


def address_in(argument: bytes) -> bytes:
    """The plain address in *argument*, what follows `MAIL ` or `RCPT `; empty when there is none."""
    _, bracket, path = argument.partition(b"<")
    end = b">"
    if not bracket:
        path, end = argument.partition(b":")[2].lstrip(b" "), b" "
    if path.startswith(b"@"):  # RFC 5321, appendix C: a source route is accepted and ignored
        path = path.partition(b":")[2]
    if b'"' in path or b"\\" in path:
        return unquoted(path, ord(end))
    return path.partition(end)[0]


def declared_size(argument: bytes) -> int:
    """The bytes of the message according to *argument*, what follows `MAIL ` (RFC 1870); 0: it does not say."""
    _, bracket, parameters = argument.rpartition(b">")
    if not bracket:
        parameters = argument.partition(b":")[2].lstrip(b" ").partition(b" ")[2]
    for parameter in parameters.split(b" "):
        name, _, value = parameter.partition(b"=")
        if name.upper() == b"SIZE":
            return leading_number(value)
    return 0


def unquoted(path: bytes, end: int) -> bytes:
    """*path* up to the byte *end* that is not quoted, without the quotes and the backslashes."""
    plain = bytearray()
    quoted = False
    letters = iter(path)
    for byte in letters:
        if byte == BACKSLASH:
            plain += bytes([escaped]) if (escaped := next(letters, None)) is not None else b""
        elif byte == QUOTE:
            quoted = not quoted
        elif byte == end and not quoted:
            break
        else:
            plain.append(byte)
    return bytes(plain)


def literal(address: bytes) -> str | None:
    """The IP address that stands in place of a host in *address*, as text; None when there is a name.

    `joe@[192.0.2.1]`, `joe@[IPv6:2001:db8::1]` (RFC 5321, section 4.1.3).
    """
    _, bracket, host = address.rpartition(b"@[")
    if not bracket or not host.endswith(b"]") or b"@" in host:
        return None
    host = host[:-1]
    if host[:5].lower() == b"ipv6:":
        from ucspi import ip

        return None if b"%" in host else ip.parse(host[5:])
    numbers = host.split(b".")
    if len(numbers) != 4 or not all(number.isdigit() for number in numbers):
        return None
    # as the original: a number wraps at 256, which its last eight digits decide
    return "%d.%d.%d.%d" % tuple(int(number[-8:]) % 256 for number in numbers)
