"""TAI64N labels: `@` and 24 hexadecimal digits that name a moment to the nanosecond.

The first 16 digits are 2^62 plus TAI seconds, the other 8 are nanoseconds.  As in the
originals, TAI is taken to be ten seconds ahead of the clock, without a table of leap
seconds, so labels of one machine and of one program always compare.
"""

import time

EPOCH = (1 << 62) + 10  # the label's seconds at 1970-01-01 00:00:00 UTC
SIZE = 25  # bytes of a label


def label(nanoseconds: int | None = None) -> bytes:
    """The label of a moment, given in nanoseconds since 1970; by default of now."""
    seconds, fraction = divmod(time.time_ns() if nanoseconds is None else nanoseconds, 1_000_000_000)
    return b"@%016x%08x" % (EPOCH + seconds, fraction)


def pack(nanoseconds: int | None = None) -> bytes:
    """The 12 bytes of a moment (TAI64N, external format), as `supervise/status` has them."""
    return bytes.fromhex(label(nanoseconds)[1:].decode())


def unpack(external: bytes) -> int:
    """Nanoseconds since 1970 of 12 bytes in TAI64N external format."""
    seconds = int.from_bytes(external[:8], "big") - EPOCH
    return seconds * 1_000_000_000 + int.from_bytes(external[8:12], "big")
