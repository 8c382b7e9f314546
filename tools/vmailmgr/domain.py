"""A virtual domain: its users, and what may be done to them.

The domain is a folder, the home of the user whom it belongs to; commands stand in it.
"""

from __future__ import annotations

import time

from supervise import environment
from supervise.command import say
from supervise.errors import Temporary, Trouble
from supervise.fd import read_all, write_all
from supervise.options import options
from tools.vmailmgr import mailboxes
from tools.vmailmgr.entry import Entry
from tools.vmailmgr.folders import Folders
from tools.vmailmgr.home import enter
from tools.vmailmgr.settings import Settings
from tools.vmailmgr.table import Table
from tools.vmailmgr.values import CONTROL, refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from supervise.command import Argv

UNKNOWN = b"Invalid or unknown virtual user"
LIMITS = ("hardquota", "softquota", "msgsize", "msgcount")
CHECKED = ("directory", "forwards", "personal", "expiry", *LIMITS)  # what others say a new user has


class Refused(Trouble):
    """What was asked for cannot be done; exit 1, as scripts know it."""

    code = 1


class Taken(Refused):
    """Somebody has that name already."""


class Domain:
    """The domain in whose home we are.

    Args:
        home: its home.
    """

    def __init__(self, home: bytes) -> None:
        self.settings = Settings(home)
        self.table = Table(self.settings.table)

    def directory(self, name: bytes) -> bytes:
        """Where the mailbox of the user *name* is by default."""
        path = self.settings.folder(b"user-dir", b"users")
        bits, slices = (self.settings.number(b"user-dir-" + what, 0) or 0 for what in (b"bits", b"slices"))
        if bits and slices:
            from zlib import crc32

            number = crc32(name)
            for _ in range(slices):
                path += b"%0*x/" % ((bits + 3) // 4, number & ((1 << bits) - 1))
                number >>= bits
        return path + name.replace(b".", b":")

    def new(self, name: bytes, password: bytes, directory: bytes, has_mailbox: bool) -> Entry:
        """A user who begins now, with the limits that new ones have."""
        entry = Entry(name.lower(), password, directory, [], has_mailbox)
        for limit in LIMITS:
            setattr(entry, limit, self.settings.number(b"default-" + limit.encode()))
        entry.ctime = int(time.time())
        lifetime = self.settings.number(b"default-expiry")
        entry.expiry = None if lifetime is None else entry.ctime + lifetime
        return entry

    def alias(self, name: bytes, user: bytes, directory: bytes) -> Entry:
        """One who begins now, and whose mail goes to *user*."""
        entry = self.new(name, b"*", directory, False)
        entry.forwards = [user]
        return entry

    def add(self, entry: Entry) -> None:
        """Add a user: first the mailbox, then the name.

        Raises:
            Taken: it is there already.
            Refused: it may not be called so.
            Temporary: it cannot be done.
        """
        check_name(entry.name)
        check_password(entry.password)
        for attribute in CHECKED:
            check_value(attribute, getattr(entry, attribute))
        with self.table:
            self.check_at_rest()
            if self.table.look_up(entry.name) is not None:
                raise Taken(b"User already exists")
            if entry.directory:
                self.settle(entry, Folders(self.settings, self.table.entries()))
            self.table.put(entry)

    def settle(self, entry: Entry, folders: Folders) -> None:
        """Make the folder of *entry*, which must be nobody else's and empty; it may be left of an addition cut short.

        One without a mailbox whose default folder cannot be had gets none.

        Args:
            folders: those of the others; this one is among them then.

        Raises:
            Refused: it cannot be had.
            Temporary: it cannot be made.
        """
        objection = folders.objection(entry.directory) or mailboxes.objection(entry.directory)
        if not objection:
            mailboxes.make(entry.directory, entry.has_mailbox)
            folders.take(entry)
        elif entry.has_mailbox or steps(entry.directory) != steps(self.directory(entry.name)):
            raise Refused(b"Folder '%s' %s" % (entry.directory, objection))
        else:
            entry.directory = b""

    def change(self, name: bytes, attribute: str, value: object) -> None:
        """Give an attribute of the user *name* another value.

        Raises:
            Refused: there is no such user, or nobody can have that value.
            Temporary: it cannot be done.
        """
        check_value(attribute, value)
        with self.table:
            self.check_at_rest()
            entry = self.existing(name, UNKNOWN)
            setattr(entry, attribute, value)
            self.table.put(entry)

    def rename(self, old: bytes, new: bytes) -> None:
        """Call the user *old* by the name *new*; the mailbox stays where it is.

        Raises:
            Refused: there is none, or the new name is taken or cannot be one.
            Temporary: it cannot be done.
        """
        new = new.lower()
        check_name(new)
        with self.table:
            self.check_at_rest()
            entry = self.existing(old, b"User does not exist")
            if self.table.look_up(new) is not None:
                raise Refused(b"User '%s' already exists" % new)
            records = self.table.records()
            self.table.write([(new if key == entry.name else key, data) for key, data in records])

    def existing(self, name: bytes, otherwise: bytes) -> Entry:
        """The user *name*.

        Raises:
            Refused: there is none, in the words of *otherwise*.
        """
        entry = self.table.find(name)
        if entry is None:
            raise Refused(otherwise)
        return entry

    def delete(self, name: bytes, mailbox_too: bool) -> bytes:
        """Delete the user *name*, and the folder unless others need it; what is to be said when it stays, or nothing.

        The mailbox gets another name, then the user goes, then the mailbox: whenever that is cut short, the
        next user of this name never finds the mail of this one.

        Raises:
            Refused: there is none, or has a mailbox that is to stay.
            Temporary: it cannot be done.
        """
        with self.table:
            self.check_at_rest()
            entry = self.existing(name, b"User does not exist")
            if entry.has_mailbox and not mailbox_too:
                raise Refused(b"User has a mailbox")
            objection = self.need_of(entry) if entry.directory else b""
            aside = mailboxes.set_aside(entry.directory) if entry.directory and not objection else b""
            self.table.remove(entry.name)
            try:
                mailboxes.discard(aside)
            except OSError:
                raise Refused(b"Couldn't delete user's directory") from None
        return objection and b"folder '%s' stays: it %s" % (entry.directory, objection)

    def need_of(self, entry: Entry) -> bytes:
        """Why the folder of *entry* must stay when that user goes, as `Folders.objection` has it."""
        others = Folders(self.settings, (other for other in self.table.entries() if other.name != entry.name))
        return others.objection(entry.directory) or others.objection(mailboxes.aside_from(entry.directory))

    def check_forward(self, forward: bytes) -> None:
        """Raise `Refused` when nothing can be forwarded to *forward*."""
        if b"@" not in forward and self.table.find(forward) is None:
            raise Refused(b"User '%s' does not exist" % forward)
        if forward.count(b"@") > 1:
            raise Refused(b"Address '%s' is invalid:   Address contains more than one at (@) symbol" % forward)

    def check_at_rest(self) -> None:
        """See that no vrehash has been cut short, while we hold the lock: the table does not say where mailboxes are.

        Raises:
            Temporary: one has.
        """
        new = self.settings.beside_users(b"new.")
        try:
            moving = mailboxes.is_there(new)
        except OSError as error:
            raise Temporary(b"unable to find " + new, error) from None
        if moving:
            raise Temporary(b"vrehash has been cut short, and left '%s/': give it again" % new)


def check_name(name: bytes) -> None:
    """Raise `Refused` when no user may be called *name*."""
    if not name or any(byte in b"/: " or byte in CONTROL for byte in name):
        raise Refused(b"Virtual user or alias name contains invalid characters")


def check_password(password: bytes) -> None:
    """Raise `Refused` when *password* can be none, or no hash of one."""
    if not password or any(byte in b"\n\r\0" for byte in password):
        raise Refused(b"Password field contains invalid characters")


def check_value(attribute: str, value: object) -> None:
    """Raise `Refused` when nobody can have *value* as this *attribute*."""
    found = refusal(attribute, value)
    if found:
        raise Refused(found)


class Managing:
    """A command that manages the domain whose home HOME is, where it stands from now on, never as root in another's.

    Attributes:
        domain: the domain.
        chosen: the options as (letter or word, value) pairs.
        words: what follows them.

    Args:
        argv: its command line.
        letters, words: its options, as `supervise.options` has them; `--quiet` is added.

    Raises:
        Usage: the command line is wrong.
        Refused: there is no home; said.
    """

    def __init__(
        self, name: bytes, argv: Argv, letters: bytes = b"", words: Mapping[bytes, bytes] | None = None
    ) -> None:
        self.name = name
        self.chosen, self.words = options([name, *argv[1:]], letters, {**(words or {}), b"quiet": b"quiet"})
        self.quiet = (b"quiet", b"") in self.chosen
        home = environment.VARIABLES.get(b"HOME")
        if not home:
            say(name + b": Can't determine home directory")
            raise Refused
        try:
            enter(home)
        except OSError:
            say(name + b": Can't change to home directory")
            raise Refused from None
        self.domain = Domain(home)

    def tell(self, line: bytes) -> None:
        """Say on descriptor 1 what was done."""
        if not self.quiet:
            write_all(1, self.name + b": " + line + b"\n")

    def complain(self, line: bytes) -> None:
        """Say on descriptor 2 what was not."""
        if not self.quiet:
            say(self.name + b": " + line)

    def refused(self, line: bytes) -> Refused:
        """What is raised when *line* has been said."""
        self.complain(line)
        return Refused()

    def counted(self, failures: Iterable[int]) -> int:
        """The exit code of a command that has done many things, with so many *failures* in each."""
        errors = sum(failures)
        if errors:
            self.complain(b"%d errors were encountered." % errors)
        return min(errors, 1)

    def with_each_line(self, act: Callable[[Managing, bytes, bytes, list[bytes]], int]) -> int:
        """Have *act* get user, password and what follows of each line on descriptor 0; an exit code.

        A line that has no two words is a failure, and named.

        Args:
            act: returns how many failures there were.

        Raises:
            Temporary: descriptor 0 cannot be read.
        """
        try:
            content = read_all(0)
        except OSError as error:
            raise Temporary(b"unable to read input", error) from None
        return self.counted(self.with_line(line, act) for line in content.removesuffix(b"\n").split(b"\n") if content)

    def with_line(self, line: bytes, act: Callable[[Managing, bytes, bytes, list[bytes]], int]) -> int:
        words = line.split()
        if len(words) < 2:
            self.complain(b"invalid line, ignoring:\n  " + line)
            return 1
        return act(self, words[0], words[1], words[2:])


def steps(path: bytes) -> list[bytes]:
    """The names in *path*, without those that lead nowhere else."""
    return [name for name in path.split(b"/") if name not in (b"", b".")]
