"""Settings of virtual domains: files of one value or a list, for one domain or for all.

A file is looked for in `.vmailmgr` in the domain's home, then in /etc/vmailmgr; the first with a value counts.

    default-username    the user who gets mail for names that nobody has       +
    default-expiry      seconds that a new user lives                          -
    default-hardquota, default-softquota, default-msgsize, default-msgcount
                        limits of a new user; - or a negative number: none     -
    error-maildir       what a user without a Maildir sees                     /var/lib/vmailmgr/error-maildir/
    maildir-arg-str     by which checkvpw finds the argument for the Maildir   maildir
    password-file       the table of users, without its .cdb                   passwd
    postmaster-aliases  a line for each alias that vsetup makes                mailer-daemon, postmaster, root
    postmaster-email    where they lead                                        postmaster@
    qmail-root          the mail system's home                                 QMAILHOME, else /var/qmail
    separators          what stands between user and domain at a login         @:
    user-dir            where Maildirs are                                     users/
    user-dir-bits, user-dir-slices
                        how they are spread over folders                       0, 0
"""

from __future__ import annotations

import os

from mta.control import MOST_DIGITS
from supervise import environment
from supervise.errors import Temporary
from supervise.files import slurp

GLOBAL = b"/etc/vmailmgr"
LOCAL = b".vmailmgr"
POSTMASTERS = (b"mailer-daemon", b"postmaster", b"root")


def number(text: bytes) -> int | None:
    """The number that *text* is; None, which is no limit, when it begins with a hyphen.

    Raises:
        ValueError: it is no number.
    """
    text = text.strip()
    if text.startswith(b"-"):
        text, unlimited = text[1:] or b"0", True
    else:
        unlimited = False
    if not text.isdigit() or len(text) > MOST_DIGITS:
        raise ValueError(text)
    return None if unlimited else int(text)


class Settings:
    """The settings of the domain whose home is *home*; None: those for all domains."""

    def __init__(self, home: bytes | None = None) -> None:
        self.folders = [GLOBAL] if home is None else [home + b"/" + LOCAL, GLOBAL]

    def value(self, name: bytes, default: bytes) -> bytes:
        """The one-line file *name*.

        Raises:
            Temporary: it cannot be read.
        """
        for content in self.contents(name):
            found = content.split(b"\n", 1)[0].strip()
            if found:
                return found
        return default

    def folder(self, name: bytes, default: bytes) -> bytes:
        """The folder that the file *name* has, with a slash at its end."""
        return self.value(name, default).rstrip(b"/") + b"/"

    def beside_users(self, prefix: bytes) -> bytes:
        """The folder next to that of the mailboxes, with *prefix* in front of its name."""
        folder, name = os.path.split(self.folder(b"user-dir", b"users").rstrip(b"/"))
        return os.path.join(folder, prefix + name)

    def number(self, name: bytes, default: int | None = None) -> int | None:
        """The number in the file *name*; None: no limit.

        Raises:
            Temporary: it is no number.
        """
        text = self.value(name, b"")
        try:
            return number(text) if text else default
        except ValueError:
            raise Temporary(b"%s is not a number: %s" % (name, text)) from None

    def lines(self, name: bytes, default: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """The lines of the file *name* without empty ones and comments."""
        for content in self.contents(name):
            found = (line.strip() for line in content.split(b"\n"))
            return tuple(line for line in found if line and not line.startswith(b"#"))
        return default

    def contents(self, name: bytes) -> list[bytes]:
        """What the files called *name* have, the one that counts first."""
        found = []
        for folder in self.folders:
            path = folder + b"/" + name
            try:
                content = slurp(path)
            except OSError as error:
                raise Temporary(b"unable to read " + path, error) from None
            if content is not None:
                found.append(content)
        return found

    @property
    def table(self) -> bytes:
        """The file with the table of users."""
        return self.value(b"password-file", b"passwd") + b".cdb"

    def enter_qmail(self) -> None:
        """Have the mail system that `qmail-root` names, if it does, be the one that we use."""
        root = self.value(b"qmail-root", b"")
        if root:
            environment.change([(b"QMAILHOME", root.rstrip(b"/"))])
