"""newaliases - make a forwarding database of /etc/aliases

Usage: newaliases [ file ]

newaliases reads /etc/aliases, a table of aliases as sendmail has it, and puts it into /etc/aliases.cdb, in which
fastforward looks for the addresses of messages. It writes /etc/aliases.tmp first and renames that, so
/etc/aliases.cdb is at every moment the old table or the new one, also when a line is wrong.

    postmaster: root
    root: joe, "sue q"@elsewhere.example (Sue)
    joe@virtual.example: joe
    @virtual.example: root
    weather: "|weather-server"
    staff: :include:/etc/staff
    owner-staff: joe

An alias is a user at all hosts, an address, or `@` and a host for everybody there; upper and lower case do not
differ in it. Its recipients are written as in a header field, with commas between them. An alias goes on in the
lines after it that are empty or begin with a space or a tab. A line that begins with `#` is a comment, and goes on
in the same way. Of two lines for one alias the first counts.

An address without a host gets that of defaulthost, a host without a dot the domain of defaultdomain, a host that
ends in a plus sign the one of plusdomain in its place. A recipient that begins with `|` is a program, which gets the
message with the lines `From `, Return-Path and Delivered-To in front. `:include:FILE` stands for the members of the
list FILE.bin (see newinclude). Files cannot be recipients. When there is an alias owner-NAME, what is forwarded for
NAME has owner-NAME as its envelope sender.

With a file the table is that one, and the database and its draft stand beside it. Words that begin with a hyphen are
options of other newaliases, which mean nothing here.

Exit status:
    0    the database is new
    100  an address is longer than 800 bytes
    111  a line is wrong, or a file cannot be read or written

Files:
    control/me              the default of the others
    control/defaulthost, control/defaultdomain, control/plusdomain
                            what completes addresses

See also: fastforward, newinclude, printforward, setforward
"""

from __future__ import annotations

import os

from mta.tokens import Unparsable
from supervise.command import Argv, command
from supervise.errors import Permanent, Temporary
from supervise.files import build
from tools.fastforward import maillist
from tools.fastforward.instructions import TOO_LONG
from tools.fastforward.newinclude import read
from tools.fastforward.recipients import ADDRESS, FILE, LIST, LONGEST, NAME, PROGRAM, Hosts, recipients

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

ALIASES = b"/etc/aliases"
OWNER = b"owner-"


@command(b"newaliases", b"[ file ]")
def main(argv: Argv) -> int:
    from ucspi import cdb  # slow to import

    source = next((word for word in argv[1:] if not word.startswith(b"-")), ALIASES)
    name, draft = source + b".cdb", source + b".tmp"
    hosts = Hosts()
    content = read(source)
    os.umask(0o33)
    build(cdb.write, name, draft, records(content, hosts))
    return 0


def records(content: bytes, hosts: Hosts) -> Iterator[tuple[bytes, bytes]]:
    """The records of the table *content*: pairs of key and data.

    Raises:
        Permanent: an address is too long.
        Temporary: an entry is no alias.
    """
    for entry in entries(content):
        alias, address = b"", b""  # the recipient that is, so far, the leftmost that is no program or list
        commands = []
        try:
            for kind, text in recipients(entry, lists=True):
                command = spelled(kind, text, hosts)
                if kind in (NAME, ADDRESS):
                    alias, address, command = target(kind, text), command, address
                if command:
                    commands.append(command)
        except Unparsable:
            raise unparsable(entry) from None
        if not address and not commands:
            continue
        if not address or not commands:
            raise unparsable(entry)
        if alias.startswith(OWNER):
            yield b"?" + alias[len(OWNER) :].lower(), address[1:]
        yield b":" + alias.lower(), b"".join(command + b"\0" for command in commands)


def entries(content: bytes) -> Iterator[bytes]:
    """The entries of the table *content*: lines, each with those that go on with it; no empty lines, no comments."""
    entry: list[bytes] = []
    for line in [*content.split(b"\n"), b"#"]:
        if not line:
            continue
        if entry and not line.startswith((b" ", b"\t")):
            if not entry[0].startswith(b"#"):
                yield b"".join(entry)
            entry = []
        entry.append(line + b"\n")


def target(kind: bytes, text: bytes) -> bytes:
    """The target that an alias is: `user@` stands for the user at all hosts."""
    return text + b"@" if kind == NAME else text


def spelled(kind: bytes, text: bytes, hosts: Hosts) -> bytes:
    """The command for a recipient.

    Raises:
        Permanent, Temporary: it can be none.
    """
    if kind == FILE:
        raise Temporary(b"file delivery %s not supported" % text)
    if kind == LIST:
        if not text:
            raise Temporary(b"empty :include: filenames not permitted")
        return without_nul(maillist.file(text) + b".bin", b":include: filenames")
    if kind == PROGRAM:
        return without_nul(b"!" + text, b"program names")
    if not text:
        raise Temporary(b"empty recipient addresses not permitted")
    alias = target(kind, text)
    if alias.endswith(b"@"):
        kind, text = NAME, alias[:-1]
    text = without_nul(hosts.complete(kind, text), b"recipient addresses")
    if len(text) > LONGEST:
        raise Permanent(TOO_LONG)
    return b"&" + text


def without_nul(text: bytes, what: bytes) -> bytes:
    if b"\0" in text:
        raise Temporary(b"NUL not permitted in " + what)
    return text


def unparsable(entry: bytes) -> Temporary:
    return Temporary(b"unable to parse this line: " + entry)
