"""What is wrong with control files seen together: whose mail is taken, and where it goes."""

from __future__ import annotations

from mta.home import path
from mta.smtp.policy import Rcpthosts
from supervise.errors import Temporary
from tools.lint.controls import blanks, local_host
from tools.lint.mailboxes import lacks
from tools.lint.settings import Folder
from tools.lint.tables import compiled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tools.lint.settings import Complaints, Lines

ME, LOCALS, RCPTHOSTS, MORE, VIRTUAL, PERCENT = b"me locals rcpthosts morercpthosts virtualdomains percenthack".split()


def complaints(control: Folder) -> Complaints:
    """What is wrong with the files in *control* that speak of the same hosts."""
    yield from nameless(control)
    if RCPTHOSTS not in control.names:
        yield control.file(RCPTHOSTS), 0, b"missing; SMTP clients may send mail to any host (an open relay)"
    yield from compiled(control.file(MORE), control.file(MORE + b".cdb"), b"qmail-newmrh", more(control))
    here = {host.lower(): at for at, host in local_hosts(control)}
    yield from refused(control)
    yield from virtual(control, here)


def nameless(control: Folder) -> Complaints:
    """That nothing says what this host is called."""
    if ME not in control.names:
        yield control.file(ME), 0, b"missing; this host has no name"


def local_hosts(control: Folder) -> Lines:
    """The hosts whose mail is delivered here, with the lines that say so."""
    if origin(control) == LOCALS:
        return control.lines(LOCALS)
    me = control.value(ME)
    return [(1, me)] if me else []


def more(control: Folder) -> list[tuple[bytes, bytes]]:
    """The records of control/morercpthosts.cdb."""
    return [(host.lower(), b"") for _, host in control.lines(MORE)]


def origin(control: Folder) -> bytes:
    """The file that says which hosts' mail is delivered here."""
    return LOCALS if LOCALS in control.names else ME


def refused(control: Folder) -> Complaints:
    """Hosts of ours that SMTP clients may not send to, and others that they may reach by the percent hack."""
    if control.content(RCPTHOSTS) is None:
        return
    taken = Rcpthosts([host for _, host in control.lines(RCPTHOSTS)], path(b"control", MORE + b".cdb"))
    try:
        for at, host in local_hosts(control):
            if not any(local_host(host)) and not taken.allow(b"@" + host):
                what = host + b" is not in control/rcpthosts, so SMTP clients may not send to it"
                yield control.file(origin(control)), at, what
        for at, host in control.lines(PERCENT):
            if taken.allow(b"@" + host):
                what = b"%s is in control/rcpthosts, so user%%any.host@%s makes this an open relay" % (host, host)
                yield control.file(PERCENT), at, what
    except Temporary:  # of the cdb another line tells
        return


def virtual(control: Folder, here: dict[bytes, int]) -> Complaints:
    """Lines of control/virtualdomains that come too late, or lead to nobody; *here* are the hosts in locals."""
    file = control.file(VIRTUAL)
    for at, line in control.lines(VIRTUAL):
        key, colon, prefix = line.partition(b":")
        if not colon:
            continue
        box, _, host = key.rpartition(b"@")
        if host.lower() in here:
            place = control.file(origin(control)), here[host.lower()]
            yield file, at, b"does not count: %s is in %s, line %d" % (host, *place)
        if prefix and not any(blanks(prefix)) and (lack := lacks(prefix + b"-" + box, any_ext=not box)):
            yield file, at, b"%s is neither a user's nor an alias: %s" % (prefix, lack)
