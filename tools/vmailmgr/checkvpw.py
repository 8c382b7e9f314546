"""checkvpw - become the owner of a virtual domain, if a user's name and password are right, and run a program

Usage: checkvpw prog ...

checkvpw reads a name, a password and a timestamp from descriptor 3, as checkpassword does. The domain follows an `@`
or a `:` in the name, else it is TCPLOCALHOST, else this machine's name. control/virtualdomains tells whose the domain
is. If the domain's table has that user with that password and a mailbox, checkvpw becomes the owner, changes to the
owner's home and runs prog, in which the first argument that contains `maildir`, in any case, or else the last one, is
replaced by the mailbox. In a plain user's instance it needs no root.

Who owns a domain is found as for mail: users/assign, then the password file, never root. A name in a domain that is
not virtual is that user's own, with the machine's password.

Exit status:
    1    no such user with that password, or one who has expired
    2    there is no prog, or descriptor 3 does not have what it should
    111  trouble that may pass

See also: checkpassword, qmail-popup, vadduser
"""

from __future__ import annotations

import os
import time

from mta.local import getpw
from mta.local.users import User, assigned
from mta.pop3.checkpassword import LONGEST, MISUSED, UNACCEPTABLE, enter, given
from mta.pop3.passwords import account_with
from mta.send.controls import read_locals, read_virtualdomains
from mta.send.rewrite import suffixes
from supervise import environment
from supervise.account import become
from supervise.command import Argv, Become, command
from supervise.errors import Temporary
from tools.vmailmgr.domain import Domain
from tools.vmailmgr.entry import Entry
from tools.vmailmgr.password import matches
from tools.vmailmgr.settings import Settings


@command(b"checkvpw", b"prog ...")
def main(argv: Argv) -> int:
    login = given() if len(argv) > 1 else b""
    if len(login) > LONGEST or login.count(b"\0") < 2:
        return MISUSED
    settings = Settings()
    settings.enter_qmail()
    name, password = login.split(b"\0")[:2]
    user, host = told_apart(name.lower(), settings)
    if not user or not host:
        return UNACCEPTABLE
    owner = find_owner(local_part(user, host))
    if owner is None:
        return UNACCEPTABLE
    if not owner.ext:
        account = account_with(owner.name, password)
        if account is None:
            return UNACCEPTABLE
        enter(account)
        raise Become(argv[1:])
    enter_domain(owner)
    entry = Domain(owner.home).table.find(owner.ext)
    if not matches(password, entry.password if entry else b"") or not entry or not may_log_in(entry):
        return UNACCEPTABLE
    environment.change(entry.variables())
    raise Become(with_mailbox(argv[1:], entry.directory, settings))


def told_apart(name: bytes, settings: Settings) -> tuple[bytes, bytes]:
    """User and host of a login."""
    separators = settings.value(b"separators", b"@:")
    at = next((at for at, byte in enumerate(name) if byte in separators), None)
    if at is not None:
        return name[:at], name[at + 1 :]
    return name, os.environb.get(b"TCPLOCALHOST") or os.fsencode(os.uname().nodename)


def local_part(user: bytes, host: bytes) -> bytes:
    """What mail for *user* at *host* is sent to on this machine."""
    if host.lower() not in read_locals():
        domains = read_virtualdomains()
        prepend = next((domains[suffix] for suffix in suffixes(host.lower()) if suffix and suffix in domains), b"")
        if prepend:
            return prepend + b"-" + user
    return user


def find_owner(local: bytes) -> User | None:
    """The user of this machine to whom *local* belongs, never root or alias.

    Raises:
        Temporary: that cannot be known now.
    """
    try:
        found = assigned(local) or getpw.owner(local, getpw.plain_instance())
    except (OSError, ValueError):
        raise Temporary(b"unable to find the owner of " + local) from None
    return found if found and found.uid and found.name != b"alias" else None


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
    environment.change([(b"USER", owner.name), (b"HOME", owner.home)])


def may_log_in(entry: Entry) -> bool:
    return entry.has_mailbox and not entry.expired(time.time())


def with_mailbox(words: Argv, mailbox: bytes, settings: Settings) -> Argv:
    """The command line *words* with *mailbox* in its place, or what those see whose mailbox is missing."""
    wanted = settings.value(b"maildir-arg-str", b"maildir").lower()
    if not os.path.isdir(mailbox):
        mailbox = settings.folder(b"error-maildir", b"/var/lib/vmailmgr/error-maildir")
    environment.change([(b"MAILDIR", mailbox)])
    at = next((at for at, word in enumerate(words) if wanted in word.lower()), len(words) - 1)
    return [*words[:at], mailbox, *words[at + 1 :]]
