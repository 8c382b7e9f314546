"""ofmipname - make a database of names and addresses for ofmipd

Usage: ofmipname name.cdb name.tmp

ofmipname reads lines from descriptor 0 and puts them into name.cdb:

    # who                  name              address
    joe@sun.af.mil:Joe Shmoe:J.Shmoe@sun.af.mil:

When a message comes to ofmipd with the first of these as its sender, complete and with upper and lower case as here,
the last takes its place, and From becomes the name with the last, whatever it was. What stands behind the third colon,
and a line that has none, does not count; nor does one that begins with `#`. Of two lines for one sender the first
counts.

Everybody may read name.cdb. name.tmp is written first and renamed, so both must be on one file system; name.cdb is at
every moment the old file or the new one.

Exit status:
    0    name.cdb is new
    100  wrong usage
    111  a file cannot be read or written

See also: ofmipd
"""

from __future__ import annotations

import os

from supervise.command import Argv, command
from supervise.errors import Usage
from supervise.fd import lines
from supervise.files import make

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


@command(b"ofmipname", b"cdb tmp")
def main(argv: Argv) -> int:
    from ucspi import cdb  # slow to import

    if len(argv) < 3:
        raise Usage
    os.umask(0o033)
    make(cdb.write, argv[1], argv[2], records())
    return 0


def records() -> Iterator[tuple[bytes, bytes]]:
    """The records of the lines on descriptor 0: the sender, and name NUL address."""
    for line in lines(0):
        parts = line.split(b":")
        if len(parts) > 3 and not line.startswith(b"#"):
            yield parts[0], parts[1] + b"\0" + parts[2]
