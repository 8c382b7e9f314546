"""Rules for connections: who may connect, and with which environment.

A rule is a line, `address:instruction`, where the instruction is `allow` or `deny` and
may be followed by variables, each `,NAME="value"`; any byte can stand in place of the
quotes.  The address ends at the first colon before `allow` or `deny`, so it may contain
colons itself.  Space and tabs at the end of a line do not count; lines that are empty or
begin with `#` say nothing.  Addresses, in the order in which they are looked for:

    info@1.2.3.4     TCPREMOTEINFO and TCPREMOTEIP
    info@=host       TCPREMOTEINFO and TCPREMOTEHOST
    1.2.3.4          TCPREMOTEIP
    =host            TCPREMOTEHOST
    1.2.3.           its beginnings that end with a dot, or with a colon, the longest first,
    10.0.0.0/8       and the networks that it lies in, among them by their size
    =.domain         the ends of TCPREMOTEHOST that begin with a dot, the longest first
    =                any TCPREMOTEHOST
    (nothing)        everybody

The first rule found decides; without one the connection is allowed.  An address with a
hyphen, but without `=` and `@`, is a range: `1.2.3-5.` stands for `1.2.3.`, `1.2.4.` and
`1.2.5.`.  Readers of the file that know no networks pass them over.

In a cdb, the key is the address, a network as its first address in the usual form; the
data is `D\\0` for deny, then `+NAME=value\\0` for each variable.
"""

from __future__ import annotations

from itertools import chain

from supervise.errors import Permanent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ucspi.cdb import Cdb


INSTRUCTIONS = ((b":deny", b"D\0"), (b":allow", b""))
BLANK = b" \t\n"
DOT = ord(".")
SIZES = [b"/%d" % bits for bits in range(129)]


def compile(
    parts: Iterable[bytes], warn: Callable[[bytes], object] = lambda line: None
) -> Iterator[tuple[bytes, bytes]]:
    """The records of the rules in a text: pairs of key and data, in the order of the lines.

    Args:
        parts: the text, in pieces of any size.
        warn: is told, in a line, which network is none; that is silently nobody's rule for those who know no networks.

    Raises:
        Permanent: a line is no rule.
    """
    for at, line in lines(parts):
        try:
            address, data = parse(line)
            keys = spread(address)
        except ValueError:
            # as the original: a NUL ends what is shown of the line
            raise Permanent(b"unable to parse this line: " + line.partition(b"\0")[0]) from None
        for key in keys:
            if b"/" in key and is_dead(key):
                warn(b"line %d: there is no network %s, so this is nobody's rule" % (at, key))
            yield key, data


def lines(parts: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """The lines of a text in *parts* that are rules, each with its number, from 1 on."""
    number, rest = 0, b""
    for part in chain(parts, [b"\n"]):
        *whole, rest = (rest + part).split(b"\n")
        for line in whole:
            number += 1
            if not line.startswith(b"#") and (line := line.rstrip(BLANK)):
                yield number, line


def parse(line: bytes) -> tuple[bytes, bytes]:
    """The address of a rule as it is written, and its data.

    Raises:
        ValueError: this is no rule.
    """
    found = [(at, word, data) for word, data in INSTRUCTIONS if (at := line.find(word)) >= 0]
    if not found:
        raise ValueError
    end, word, data = min(found)
    at = end + len(word)
    while at < len(line):
        equals = line.find(b"=", at)
        quote = line[equals + 1 : equals + 2]
        close = line.find(quote, equals + 2)
        if line[at : at + 1] != b"," or equals < 0 or not quote or close < 0:
            raise ValueError
        data += b"+" + line[at + 1 : equals + 1] + line[equals + 2 : close] + b"\0"
        at = close + 1
    return line[:end], data


def spread(address: bytes) -> list[bytes]:
    """The addresses that *address* stands for, one unless it is a range, as keys.

    Raises:
        ValueError: something else than numbers about the hyphen.
    """
    if b"-" not in address or b"=" in address or b"@" in address:
        return [network(address) or address]
    before, _, after = address.partition(b"-")
    head, dot, first = before.rpartition(b".")
    last, *tail = after.split(b".", 1)
    rest = b"".join(b"." + part for part in tail)
    each = [b"%b%b%d%b" % (head, dot, middle, rest) for middle in range(number(first), min(number(last), 255) + 1)]
    return [network(address) or address for address in each]


def network(address: bytes) -> bytes | None:
    """The network of *address*, `10.1.2.3/8`, by its first address in the usual form; None: it is no network."""
    ip, slash, size = address.partition(b"/")
    if not (slash and size.isdigit() and len(size) <= 3):
        return None
    packed = pack(ip)
    return shown(packed, int(size)) if packed is not None and int(size) <= 8 * len(packed) else None


def is_dead(key: bytes) -> bool:
    """Whether no connection can ever match *key*."""
    if not key or b"=" in key or b"@" in key:
        return False
    return not (key.endswith((b".", b":")) or pack(key) is not None or network(key) is not None)


def pack(ip: bytes) -> bytes | None:
    """The 4 or 16 bytes of an address; None: it is none."""
    import socket

    try:
        return socket.inet_pton(socket.AF_INET6 if b":" in ip else socket.AF_INET, ip.decode("latin-1"))
    except (OSError, ValueError):
        return None


def shown(packed: bytes, bits: int) -> bytes:
    """The network that an address of 4 or 16 bytes has with its first *bits*, as a key."""
    import socket

    away = 8 * len(packed) - bits
    first = (int.from_bytes(packed, "big") >> away << away).to_bytes(len(packed), "big")
    family = socket.AF_INET6 if len(packed) == 16 else socket.AF_INET
    return b"%b/%d" % (socket.inet_ntop(family, first).encode(), bits)


def number(digits: bytes) -> int:
    """The number in a range; as the original: none is 0, and it has 64 bits."""
    if digits and not digits.isdigit():
        raise ValueError
    value = 0
    for digit in digits:  # `int` refuses more than some thousand
        value = (value * 10 + digit - ord("0")) % (1 << 64)
    return value


def decide(cdb: Cdb, ip: bytes, host: bytes | None, info: bytes | None) -> tuple[bool, list[tuple[bytes, bytes]]]:
    """Whether a client may connect, and the variables to set then.

    Args:
        cdb: the rules.
        ip: the client's address in the usual form.
        host: its name, if that is known; it may be empty.
        info: what its ident server said, if anything; it may be empty.

    Raises:
        Temporary: the cdb cannot be read, or is damaged.
    """
    found = find(cdb, ip, host, info)
    if found is None:
        return True, []
    allowed, settings = unpack(found[1])
    variables = [(name, value) for name, _, value in (setting.partition(b"=") for setting in settings)]
    return allowed, [variable for variable in variables if variable[0]]  # an environment holds no empty name


def find(cdb: Cdb, ip: bytes, host: bytes | None, info: bytes | None) -> tuple[bytes, bytes] | None:
    """The key and the data of the rule for a client, or None; arguments as for `decide`."""
    for key in keys(cdb, ip, host, info):
        data = cdb.get(key)
        if data is not None:
            return key, data
    return None


def keys(cdb: Cdb, ip: bytes, host: bytes | None, info: bytes | None) -> Iterator[bytes]:
    """What to look for, in order."""
    if info is not None:
        yield info + b"@" + ip
        if host is not None:
            yield info + b"@=" + host
    yield ip
    if host is not None:
        yield b"=" + host
    yield from around(ip, cdb) if cdb.mentions(b"/") else (start for start, _ in starts(ip))
    if host is not None:
        for at, byte in enumerate(host):
            if byte == DOT:
                yield b"=" + host[at:]
        yield b"="
    yield b""


def starts(ip: bytes) -> Iterator[tuple[bytes, int]]:
    """The beginnings of *ip* that end with a dot or a colon, the longest first, and how many bits each fixes."""
    for end in range(len(ip), 0, -1):
        start, rest = ip[:end], ip[end:]
        if start.endswith(b"."):
            yield start, 8 * start.count(b".")
        elif start.endswith(b":"):
            # What `::` leaves out is counted from the other end.
            fixed = 8 - rest.count(b":") - bool(rest) if b"::" in start else start.count(b":")
            yield start, 16 * fixed


def around(ip: bytes, cdb: Cdb) -> Iterator[bytes]:
    """The beginnings of *ip* and the networks that it lies in, from small to large, of the sizes that *cdb* has."""
    packed = pack(ip)
    if packed is None:  # no address: only its beginnings
        yield from (start for start, _ in starts(ip))
        return
    bits = 8 * len(packed)
    for start, fixed in [*starts(ip), (None, 0)]:
        while bits >= fixed:
            if cdb.mentions(SIZES[bits], if_small=True):
                yield shown(packed, bits)
            bits -= 1
        if start is not None:
            yield start


def unpack(data: bytes) -> tuple[bool, list[bytes]]:
    """What a rule's data says: whether to allow, and what to set then, each `NAME=value`."""
    settings = []
    for entry in data.split(b"\0")[:-1]:
        if entry.startswith(b"D"):
            return False, []
        if entry.startswith(b"+"):
            settings.append(entry[1:])
    return True, settings
