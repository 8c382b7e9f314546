"""newinclude - make a binary mailing list of an :include: file

Usage: newinclude list

newinclude reads list, a file of addresses as sendmail includes them, and puts them into list.bin, which fastforward
reads. It writes list.tmp first and renames that, so list.bin is at every moment the old list or the new one, also
when a line is wrong. fastforward does not read list itself, which may be in the middle of being written.

Each line has addresses, with commas between them, as a header field has them; a line that begins with `#` has none:

    joe, sue@elsewhere.example (Sue), "A. B." <ab@host>
    :include:/etc/staff

An address without a host gets that of defaulthost, a host without a dot the domain of defaultdomain, a host that
ends in a plus sign the one of plusdomain in its place. `:include:` names another binary list, with its `.bin` if it
has one. Files and programs cannot be on a list. Everybody may read list.bin, whatever the umask.

Exit status:
    0    list.bin is new
    100  wrong usage
    111  a line is wrong, or a file cannot be read or written

Environment:
    QMAILDEFAULTHOST, QMAILDEFAULTDOMAIN, QMAILPLUSDOMAIN  instead of the control files

Files:
    control/me              the default of the others
    control/defaulthost, control/defaultdomain, control/plusdomain
                            what completes addresses

See also: fastforward, newaliases, printmaillist, setmaillist
"""

from __future__ import annotations

import errno
import os

from mta.tokens import Unparsable
from supervise.command import Argv, command
from supervise.errors import Temporary, Usage
from supervise.files import obstacle, slurp
from tools.fastforward import maillist
from tools.fastforward.recipients import FILE, LIST, LONGEST, PROGRAM, Hosts, lines, recipients

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


@command(b"newinclude", b"list")
def main(argv: Argv) -> int:
    if len(argv) < 2:
        raise Usage
    source = argv[1]
    name, draft = source + b".bin", source + b".tmp"
    hosts = Hosts(os.environb)
    content = read(source)
    try:
        maillist.write(name, draft, members(content, hosts))
    except OSError as error:
        what = b"unable to write to " + draft if error.filename2 is None else obstacle(error, name, draft)
        raise Temporary(what, error) from None
    return 0


def read(name: bytes) -> bytes:
    """The content of the file *name*."""
    try:
        content = slurp(name)
        if content is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    except OSError as error:
        raise Temporary(b"unable to read " + name, error) from None
    return content


def members(content: bytes, hosts: Hosts) -> Iterator[bytes]:
    """The members of the list that *content* names, those of a line from right to left.

    Raises:
        Temporary: a line is wrong.
    """
    for line in lines(content):
        try:
            for kind, text in recipients(line, lists=True):
                if kind == LIST:
                    yield included(text)
                elif kind == FILE:
                    raise Temporary(b"file delivery %s not supported" % text)
                elif kind == PROGRAM:
                    raise Temporary(b"program delivery |%s not supported" % text)
                elif text:
                    yield b"&" + address(hosts.complete(kind, text))
        except Unparsable:
            raise Temporary(b"unable to parse this line: " + line) from None


def included(name: bytes) -> bytes:
    """The file *name* of another list.

    Raises:
        Temporary: there can be no such file.
    """
    ordinary(name, b":include: filenames")
    if not name:
        raise Temporary(b"empty :include: filenames not permitted")
    return maillist.file(name)


def address(text: bytes) -> bytes:
    """The address *text*.

    Raises:
        Temporary: a list cannot hold it.
    """
    ordinary(text, b"recipient addresses")
    if len(text) > LONGEST:
        raise Temporary(maillist.TOO_LONG)
    if text.endswith((b" ", b"\t")):
        raise Temporary(b"spaces and tabs not permitted at ends of addresses")
    return text


def ordinary(text: bytes, what: bytes) -> None:
    """Refuse a line end or a NUL in *text*."""
    if b"\n" in text:
        raise Temporary(b"newlines not permitted in " + what)
    if b"\0" in text:
        raise Temporary(b"NUL not permitted in " + what)
