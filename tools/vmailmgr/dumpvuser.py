"""dumpvuser - print all that is known of a user of a virtual domain

Usage: dumpvuser [ --quiet ] user

dumpvuser prints what the table of the domain whose home HOME is has of user, a line for each field: its name, a colon
and its value. What has no limit is N/A. A user who forwards to several has several lines Forward.

Exit status:
    0    done
    1    there is no such user; or wrong usage
    111  the table cannot be read, or has a value with a line end in it

See also: listvdomain, vchattr
"""

from __future__ import annotations

from supervise.command import Argv, command
from supervise.errors import Usage
from supervise.fd import write_all
from tools.vmailmgr.domain import Managing
from tools.vmailmgr.values import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tools.vmailmgr.entry import Entry

LIMITS = {
    b"Hard-Quota": "hardquota",
    b"Soft-Quota": "softquota",
    b"Message-Size-Limit": "msgsize",
    b"Message-Count-Limit": "msgcount",
    b"Creation-Time": "ctime",
    b"Expiry-Time": "expiry",
}


@command(b"dumpvuser", b"[ --quiet ] user", usage_code=1)
def main(argv: Argv) -> int:
    managing = Managing(b"dumpvuser", argv)
    if len(managing.words) != 1:
        raise Usage
    entry = managing.domain.table.find(managing.words[0])
    if entry is None:
        managing.complain(b"No such user")
        return 1
    write_all(1, b"".join(name + b": " + one_line(name, value) + b"\n" for name, value in fields(entry)))
    return 0


def fields(entry: Entry) -> list[tuple[bytes, bytes]]:
    """The names and values of all that is known of *entry*."""
    limits = [(name, getattr(entry, attribute)) for name, attribute in LIMITS.items()]
    flags = [(b"Has-Mailbox", entry.has_mailbox), (b"Mailbox-Enabled", entry.enabled)]
    return [
        (b"Name", entry.name),
        (b"Encrypted-Password", entry.password),
        (b"Directory", entry.directory),
        *((b"Forward", forward) for forward in entry.forwards),
        *((name, b"N/A" if value is None else b"%d" % value) for name, value in limits),
        *((name, b"true" if value else b"false") for name, value in flags),
    ]
