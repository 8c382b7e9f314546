"""What is wrong in the folder users: who local addresses belong to."""

from __future__ import annotations

from mta.local.users import User, record, records
from supervise.errors import Temporary
from tools.lint.settings import Folder, guarded, repeated
from tools.lint.tables import compiled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tools.lint.settings import Complaints, Found, Lines

ASSIGN, CDB = b"assign", b"cdb"
LISTS = (b"exclude", b"include", b"mailnames", b"subusers", b"append")  # qmail-pw2u reads them
COLONS = {b"mailnames": 1, b"subusers": 3}  # in each line, at least


def complaints(users: Folder) -> Complaints:
    """What is wrong with the files in *users*."""
    yield from users.strangers(sorted({ASSIGN, CDB, *LISTS}))
    for name in (ASSIGN, *LISTS):
        yield from guarded(users.file(name), of_file(users, name))
    yield from guarded(users.file(CDB), table(users))


def of_file(users: Folder, name: bytes) -> Complaints:
    """What is wrong with the file *name*."""
    content = users.content(name)
    if name in users.unread:
        yield users.file(name), 0, b"cannot be read: " + users.unread[name]
    for at, what in users.returns(name):
        yield users.file(name), at, what
    if name in COLONS:
        for at, line in users.lines(name):
            if line.count(b":") < COLONS[name]:
                yield users.file(name), at, b"too few colons, so the line does not count"
    if name == ASSIGN and content is not None:
        for at, what in wrong_assignments(content):
            yield users.file(name), at, what


def table(users: Folder) -> Complaints:
    """What is wrong with users/cdb."""
    yield from compiled(users.file(ASSIGN), users.file(CDB), b"qmail-newu", told(users.content(ASSIGN)))


def told(content: bytes | None) -> list[tuple[bytes, bytes]] | None:
    """The records of users/cdb for the *content* of users/assign; None: there are none."""
    try:
        return None if content is None else list(records(content))
    except Temporary:
        return None


def wrong_assignments(content: bytes) -> Found:
    """What is wrong with the *content* of users/assign."""
    keys: Lines = []
    lines = content.split(b"\n")
    for at, line in enumerate(lines[:-1], 1):
        if line.startswith(b"."):
            break
        try:
            key, data = record(line)
        except Temporary:
            yield at, b"neither =LOCAL:user:uid:gid:home:dash:ext: nor +LOC:user:uid:gid:home:dash:pre:"
            continue
        keys.append((at, key))
        yield from ((at, what) for what in wrong_assignment(line.partition(b":")[0], data))
    else:
        if not lines[-1].startswith(b"."):
            yield len(lines), b"no line that begins with a dot at the end"
    yield from repeated(keys)


def wrong_assignment(entry: bytes, data: bytes) -> list[bytes]:
    """What is wrong with an *entry*, =LOCAL or +LOC, and the fields in *data*."""
    found = []
    if entry[:1] not in (b"=", b"+"):
        found.append(b"begins with neither = nor +, and is taken as if it did with =")
    if entry.startswith(b"+") and entry[-1:].isupper():
        found.append(b"%s ends with a capital, so no address is found by it" % entry[1:])
    try:
        user = User.parse(data)
    except ValueError:
        found.append(b"uid and gid are no numbers")
    else:
        if user.uid == 0:
            found.append(b"the user is root, for whom no mail is delivered")
        if not user.home.startswith(b"/"):
            found.append(b"the home is no absolute path")
    return found
