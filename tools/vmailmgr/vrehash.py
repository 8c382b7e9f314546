"""vrehash - move the mailboxes of a virtual domain to where the settings want them

Usage: vrehash

vrehash is for when user-dir-bits or user-dir-slices has been changed. It moves each mailbox of the domain whose home
HOME is into the folder new.users, and when all are there, says so in the table, calls users backup.users and new.users
users; with user-dir, these names have what that says in place of users. What is no mailbox stays in backup.users,
which can go then. If user-dir has slashes in it, they stand beside its last component. A user whose mailbox is missing
is named and left as he is.

Meanwhile mail for those whose mailbox has been moved is deferred. If vrehash is cut short, give it again: it goes on
where it was; until then every command that would change the table exits 111. In the original the folder must be put in
order by hand, and all mail for the domain is deferred.

Exit status:
    0    done
    1    there is a folder backup.users already, user-dir names no folder that can be moved, or a mailbox was missing;
         or wrong usage
    111  trouble with a file; give the command again

See also: vadduser, vupgrade
"""

from __future__ import annotations

import os

from supervise import files
from supervise.command import Argv, command
from supervise.errors import Temporary, Usage
from tools.vmailmgr.domain import Managing
from tools.vmailmgr.mailboxes import is_there

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tools.vmailmgr.entry import Entry


@command(b"vrehash", usage_code=1)
def main(argv: Argv) -> int:
    managing = Managing(b"vrehash", argv)
    if managing.words:
        raise Usage
    table = managing.domain.table
    table.must_exist()
    with table:
        moving = Moving(managing)
        try:
            return moving.all()
        except OSError as error:
            raise Temporary(b"unable to move the folder of mailboxes", error) from None


class Moving:
    """The mailboxes on their way.

    Attributes:
        users, new, backup: the folder of mailboxes, the one that takes its place, and where the old one goes.

    Raises:
        Refused: the folder of mailboxes cannot be moved; said.
    """

    def __init__(self, managing: Managing) -> None:
        self.managing, self.domain = managing, managing.domain
        self.users, self.new, self.backup = map(self.domain.settings.beside_users, (b"", b"new.", b"backup."))
        if os.path.basename(self.users) in (b"", b".", b".."):
            raise managing.refused(b"error: the user directory '%s/' cannot be moved." % self.users)

    def all(self) -> int:
        """Move all; an exit code.

        Raises:
            Refused: the last backup is still there; said.
            Temporary: a mailbox cannot be moved.
            OSError: their folder cannot be.
        """
        missing = 0
        if not is_there(self.users) and not is_there(self.new):
            os.makedirs(self.users, 0o755)  # all mailboxes are elsewhere, or there are none
        if is_there(self.users):  # else only the last name is still to be given
            if is_there(self.backup):
                raise self.managing.refused(b"error: backup directory '%s/' already exists." % self.backup)
            entries = list(self.domain.table.entries())
            self.require_one_disk([entry for entry in entries if entry.has_mailbox])
            os.makedirs(self.new, 0o755, exist_ok=True)
            missing = sum(not self.move(entry) for entry in entries if entry.has_mailbox)
            self.managing.tell(b"translating paths and making directories: OK.")
            self.domain.table.write([(entry.name, entry.data()) for entry in entries])
            files.rename(self.users, self.backup)
        files.rename(self.new, self.users)
        self.managing.tell(b"removing old user directory: OK.")
        return min(missing, 1)

    def require_one_disk(self, entries: list[Entry]) -> None:
        """Make sure, before the first moves, that all mailboxes can.

        Raises:
            Refused: one is on another file system than their folder; said.
            OSError: it cannot be known.
        """
        disk = os.stat(self.users).st_dev
        for entry in entries:
            try:
                other = os.lstat(entry.directory.rstrip(b"/")).st_dev != disk
            except FileNotFoundError:  # moved already, or missing, which is told later
                continue
            if other:
                words = b"error: the mailbox %s of '%s' is on another file system; no mailbox was moved."
                raise self.managing.refused(words % (entry.directory, entry.name))

    def move(self, entry: Entry) -> bool:
        """Move the mailbox of *entry*, if that is not done yet, and have the entry say so; whether there is one.

        Raises:
            Temporary: it cannot be moved.
        """
        wanted = self.domain.directory(entry.name)
        new = os.path.join(self.new, wanted.removeprefix(self.domain.settings.folder(b"user-dir", b"users")))
        try:
            os.makedirs(os.path.dirname(new), 0o755, exist_ok=True)
            found = moved(entry.directory.rstrip(b"/"), new)
        except OSError as error:
            raise Temporary(b"unable to move the mailbox %s of '%s'" % (entry.directory, entry.name), error) from None
        if found:
            entry.directory = os.path.join(b"./", wanted)
        else:
            self.managing.complain(b"the mailbox %s of '%s' is missing" % (entry.directory, entry.name))
        return found


def moved(old: bytes, new: bytes) -> bool:
    """Move the folder *old*, if it is there; whether *new* is there now.

    If it cannot be moved, the folders above *new* go as far as they are empty: then nothing is moved yet.

    Raises:
        OSError: that cannot be done.
    """
    try:
        files.rename(old, new)
    except FileNotFoundError:
        return is_there(new)
    except OSError:
        try:
            os.removedirs(os.path.dirname(new))
        except OSError:
            pass
        raise
    return True
