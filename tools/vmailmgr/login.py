"""Who logs in at a virtual domain: whose domain it is, and whether user and password are right."""

from __future__ import annotations

import os
import time

from mta.local import getpw
from mta.local.users import assigned
from mta.pop3.logins import first_records
from mta.pop3.passwords import refuse, tried_on
from mta.send.controls import read_locals, read_virtualdomains
from mta.send.rewrite import suffixes
from supervise import environment
from supervise.account import become
from supervise.errors import Temporary, Trouble
from tools.vmailmgr import hooks
from tools.vmailmgr.domain import UNKNOWN, Domain
from tools.vmailmgr.entry import Entry
from tools.vmailmgr.password import matches
from tools.vmailmgr.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mta.local.users import User


class Rejected(Trouble):
    """Nobody may log in so."""

    code = 1


INCORRECT = b"Invalid or incorrect password"


def owner_of(user: bytes, host: bytes) -> User:
    """The user of this machine to whom *user* at *host* belongs, with what is left of the name as `ext`.

    Raises:
        Rejected: nobody; never root or alias.
        Temporary: that cannot be known now.
    """
    local = local_part(user, host)
    try:
        found = assigned(local) or getpw.owner(local, getpw.plain_instance())
    except (OSError, ValueError):
        raise Temporary(b"unable to find the owner of " + local) from None
    if not found or not found.uid or found.name == b"alias":
        raise Rejected(b"Invalid or unknown base user or domain")
    return found


def owner_at_login(user: bytes, host: bytes, password: bytes) -> User:
    """As `owner_of`; the time that it takes to say that there is none is that of a wrong *password* at this machine.

    Raises:
        Rejected, Temporary: as `owner_of`.
    """
    try:
        return owner_of(user, host)
    except Rejected:
        refuse(user, password)
        raise


def local_part(user: bytes, host: bytes) -> bytes:
    """What mail for *user* at *host* is sent to on this machine."""
    if host.lower() not in read_locals():
        domains = read_virtualdomains()
        prepend = next((domains[suffix] for suffix in suffixes(host.lower()) if suffix and suffix in domains), b"")
        if prepend:
            return prepend + b"-" + user
    return user


def enter_domain(owner: User) -> None:
    """Be *owner*, at home.

    Raises:
        Temporary: we cannot.
    """
    try:
        if os.geteuid() != owner.uid:
            become(owner.uid, owner.gid)
        os.chdir(owner.home)
    except OSError as error:
        raise Temporary(b"unable to become %s at %s" % (owner.name, owner.home), error) from None


def entry_with(owner: User, password: bytes) -> Entry:
    """The user of the domain in which we are whom *owner* names, if *password* is theirs.

    Raises:
        Rejected: it is not, or they have no mailbox, or have expired.
        Temporary: that cannot be known now.
    """
    table = Domain(owner.home).table
    entry = table.find(owner.ext)
    stored = entry.password if entry else b""
    tried = tried_on(owner.ext, stored, map(hash_in, first_records(table.path)))
    right = matches(password, tried) and tried == stored
    if not entry or not entry.has_mailbox:
        raise Rejected(UNKNOWN)
    if not right:
        raise Rejected(INCORRECT)
    if entry.expired(time.time()):
        raise Rejected(b"Account has expired")
    return entry


def hash_in(record: tuple[bytes, bytes]) -> bytes:
    """The password in a *record* of a table, as it is stored; b"" when the record is damaged."""
    try:
        return Entry.parse(*record).password
    except Temporary:
        return b""


def announce(owner: User) -> None:
    """Have programs know who *owner* is."""
    environment.change([(b"USER", owner.name), (b"HOME", owner.home)])


def run_hook(settings: Settings, name: bytes) -> None:
    """Run the hooks called *name*.

    Raises:
        Temporary: one failed.
    """
    if hooks.run(settings, name):
        raise Temporary(b"execution of %s failed" % name)
