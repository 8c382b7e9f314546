"""vupgrade - bring the table of a virtual domain's users into its present form

Usage: vupgrade [ --quiet ]

vupgrade writes the table of users of the domain whose home HOME is anew, each record in the form that it has now. If
there is no table yet, it takes the users from the file passwd, as it was before there were tables: lines of name,
password and mailbox or addresses, with colons between them. A user without a folder gets one, unless there is
something in it, or it is another user's.

Exit status:
    0    done
    1    there is neither a table nor a file; or wrong usage
    111  trouble with a file, or a record is damaged; the table is as before

See also: vadduser, vrehash
"""

from __future__ import annotations

from supervise.command import Argv, command
from supervise.errors import Temporary, Usage
from supervise.files import slurp
from tools.vmailmgr import mailboxes
from tools.vmailmgr.domain import Managing
from tools.vmailmgr.entry import Entry
from tools.vmailmgr.folders import Folders


@command(b"vupgrade", b"[ --quiet ]", usage_code=1)
def main(argv: Argv) -> int:
    managing = Managing(b"vupgrade", argv)
    if managing.words:
        raise Usage
    table = managing.domain.table
    with table:
        entries = list(table.entries()) if mailboxes.is_there(table.path) else listed(managing)
        folders = Folders(managing.domain.settings, entries)
        for entry in entries:
            if not entry.directory:
                entry.directory = managing.domain.directory(entry.name)
                managing.domain.settle(entry, folders)
        table.write([(entry.name, entry.data()) for entry in entries])
    return 0


def listed(managing: Managing) -> list[Entry]:
    """The users in the file that was there before tables; it ends with the first line that has no colon.

    Raises:
        Refused: there is none; said.
        Temporary: it cannot be read.
    """
    path = managing.domain.table.path.removesuffix(b".cdb")
    try:
        content = slurp(path)
    except OSError as error:
        raise Temporary(b"unable to read " + path, error) from None
    if content is None:
        raise managing.refused(b"Can't open password table.")
    entries: dict[bytes, Entry] = {}
    for line in content.split(b"\n"):
        name, colon, rest = line.partition(b":")
        if not colon:
            break
        entries.setdefault(name.lower(), Entry.parse(name.lower(), b":" + rest))
    return list(entries.values())
