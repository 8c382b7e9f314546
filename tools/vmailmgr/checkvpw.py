"""checkvpw - become the owner of a virtual domain, if a user's name and password are right, and run a program

Usage: checkvpw prog ...

checkvpw reads a name, a password and a timestamp from descriptor 3, as checkpassword does. The domain follows an `@`
or a `:` in the name, else it is TCPLOCALHOST, else this machine's name. control/virtualdomains tells whose the domain
is. If the domain's table has that user with that password and a mailbox, checkvpw becomes the owner, changes to the
owner's home and runs prog, in which the first argument that contains `maildir`, in any case, or else the last one, is
replaced by the mailbox. In a plain user's instance it needs no root.

Who owns a domain is found as for mail: users/assign, then the password file, never root. A name in a domain that is
not virtual is that user's own, with the machine's password. A name that nobody has is refused no sooner than a wrong
password: it is tried on the password of one of the domain's first 300 users, or of the machine's.

Hooks are executable files in /etc/vmailmgr, and in .vmailmgr in the owner's home once checkvpw is there:

    checkvpw-presetuid   before checkvpw becomes the owner, who is in USER and HOME; only that in /etc/vmailmgr
    checkvpw-postsetuid  before prog, in prog's environment
    checkvpw-postexec    when prog has exited 0
    checkvpw-loginfail   when nobody may log in so; CHECKVPW_ERROR says why
    checkvpw-error       in case of other trouble, with CHECKVPW_ERROR

If one of the first two fails, so does checkvpw, with 111. What prog exits is what checkvpw exits; the original makes
111 of all but 0. Without checkvpw-postexec prog takes the place of checkvpw.

Exit status:
    1    no such user with that password, or one who has expired
    2    there is no prog, or descriptor 3 does not have what it should
    111  trouble that may pass

See also: checkpassword, qmail-popup, vadduser
"""

from __future__ import annotations

import os

from mta.child import begin, wait
from mta.pop3.checkpassword import LONGEST, Misused, enter, given
from mta.pop3.passwords import account_with
from supervise import environment
from supervise.command import Argv, Become, command
from supervise.errors import Temporary, Trouble
from tools.vmailmgr import hooks
from tools.vmailmgr.login import INCORRECT, Rejected, announce, enter_domain, entry_with, owner_at_login, run_hook
from tools.vmailmgr.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mta.local.users import User

AFTERWARDS = b"checkvpw-postexec"


@command(b"checkvpw", b"prog ...")
def main(argv: Argv) -> int:
    login = Login()
    try:
        login.enter(argv[1:])
    except Trouble as trouble:
        login.failed(trouble)
        if isinstance(trouble, Temporary):
            raise
        return trouble.code
    if not hooks.there(login.settings, AFTERWARDS):
        raise Become(login.words)
    code = wait(begin(Become(login.words, name=b"checkvpw")))
    if not code:
        hooks.run(login.settings, AFTERWARDS)
    return code


class Login:
    """Somebody logs in.

    Attributes:
        settings: those for all domains, and later those of the owner's.
        words: the program that runs then.
    """

    def __init__(self) -> None:
        self.settings = Settings()
        self.words: Argv = []

    def enter(self, words: Argv) -> None:
        """Become the owner of the mailbox whose name and password descriptor 3 has, to run *words*.

        Raises:
            Rejected, Misused, Temporary: that cannot be.
        """
        if not words:
            raise Misused(b"No subprogram given to execute")
        told = given()
        if len(told) > LONGEST:
            raise Misused(b"Read buffer too long")
        if told.count(b"\0") < 2:
            raise Misused(b"Invalid data")
        self.settings.enter_qmail()
        name, password = told.split(b"\0")[:2]
        owner = owner_at_login(*told_apart(name.lower(), self.settings), password)
        environment.change([(b"VUSER", owner.ext)])
        mailbox = self.enter_domain(owner, password) if owner.ext else self.enter_account(owner, password)
        run_hook(self.settings, b"checkvpw-postsetuid")
        self.words = with_mailbox(words, mailbox, self.settings)

    def enter_domain(self, owner: User, password: bytes) -> bytes:
        """Become *owner*, in whose domain the user is; the mailbox."""
        announce(owner)
        run_hook(self.settings, b"checkvpw-presetuid")
        enter_domain(owner)
        self.settings = Settings(owner.home)
        entry = entry_with(owner, password)
        environment.change(entry.variables())
        return entry.directory

    def enter_account(self, owner: User, password: bytes) -> bytes:
        """Become *owner*, who logs in; no mailbox."""
        account = account_with(owner.name, password)
        if account is None:
            raise Rejected(INCORRECT)
        announce(owner)
        run_hook(self.settings, b"checkvpw-presetuid")
        enter(account)
        self.settings = Settings(os.fsencode(account.pw_dir))
        return b""

    def failed(self, trouble: Trouble) -> None:
        """Run the hooks for *trouble*."""
        environment.change([(b"CHECKVPW_ERROR", trouble.line)])
        hooks.run(self.settings, b"checkvpw-loginfail" if isinstance(trouble, Rejected) else b"checkvpw-error")


def told_apart(name: bytes, settings: Settings) -> tuple[bytes, bytes]:
    """User and host of a login.

    Raises:
        Rejected: one of them is empty.
    """
    separators = settings.value(b"separators", b"@:")
    at = next((at for at, byte in enumerate(name) if byte in separators), len(name))
    user, host = name[:at], name[at + 1 :]
    if at == len(name):
        host = os.environb.get(b"TCPLOCALHOST") or os.fsencode(os.uname().nodename)
    if not user:
        raise Rejected(b"Empty user name")
    if not host:
        raise Rejected(b"Empty domain name")
    return user, host


def with_mailbox(words: Argv, mailbox: bytes, settings: Settings) -> Argv:
    """The command line *words* with *mailbox* in its place, or what those see whose mailbox is missing.

    Args:
        mailbox: empty: the one that *words* have.
    """
    wanted = settings.value(b"maildir-arg-str", b"maildir").lower()
    at = next((at for at, word in enumerate(words) if wanted in word.lower()), len(words) - 1)
    mailbox = mailbox or words[at]
    if not os.path.isdir(mailbox):
        mailbox = settings.folder(b"error-maildir", b"/var/lib/vmailmgr/error-maildir")
    environment.change([(b"MAILDIR", mailbox)])
    return [*words[:at], mailbox, *words[at + 1 :]]
