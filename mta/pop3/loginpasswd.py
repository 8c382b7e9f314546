"""loginpasswd - give a user in a file for setlogins another password

Usage: loginpasswd logins name

loginpasswd puts the hash of a new password into the line of name in logins. The password is asked for twice on a
terminal, else it is the first line of descriptor 0; it is hashed by this machine's method for new ones. All else in
the file stays as it is, and so do its owner and its mode; when logins is a symbolic link, that is so for the file
that it leads to, and it stays a link. It counts when setlogins has made a new database:

    loginpasswd logins ann@dom.example && setlogins logins.cdb logins.tmp <logins

logins is at every moment the old file or the new one. Several can do this at once: they wait for each other by
logins.lock, which stands with logins.tmp beside the file.

Exit status:
    0    done
    100  wrong usage, no line for that name, or no password
    111  a file cannot be read or written; the old password stays

See also: setlogins, checkpassword-cdb
"""

from __future__ import annotations

import os

from mta.pop3 import passwords
from mta.pop3.logins import with_hash
from supervise.command import Argv, command
from supervise.errors import Permanent, Temporary, Usage
from supervise.fd import read_all, write_all
from supervise.files import announced, lock, obstacle


@command(b"loginpasswd", b"logins name")
def main(argv: Argv) -> int:
    if len(argv) != 3:
        raise Usage
    _, path, name = argv
    with_hash(read(path)[0], name, b"")  # before anybody is asked for a password in vain
    password = passwords.typed(b"loginpasswd")
    if not password:
        raise Permanent
    change(path, name, passwords.hashed(password))
    return 0


def change(path: bytes, name: bytes, hash: bytes) -> None:
    """Have *hash* in the line of *name* in the file *path*.

    Raises:
        Permanent: there is no such line.
        Temporary: that cannot be done.
    """
    path = followed(path)
    draft = path + b".tmp"
    try:
        locked = lock(path + b".lock")
    except OSError as error:
        raise Temporary(b"unable to lock %s.lock" % path, error) from None
    try:
        content, about = read(path)
        content = with_hash(content, name, hash)
        with announced(path, draft, 0o600) as fd:
            write_all(fd, content)
            os.fchown(fd, about.st_uid, about.st_gid)
            os.fchmod(fd, about.st_mode & 0o7777)
    except OSError as error:
        raise Temporary(obstacle(error, path, draft), error) from None
    finally:
        os.close(locked)


def followed(path: bytes) -> bytes:
    """The file that *path* leads to.

    Raises:
        Temporary: that cannot be found out.
    """
    try:
        return os.path.realpath(path, strict=True)
    except OSError as error:
        raise Temporary(b"unable to read " + path, error) from None


def read(path: bytes) -> tuple[bytes, os.stat_result]:
    """The content of *path*, and whose it is.

    Raises:
        Temporary: it cannot be read.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return read_all(fd), os.fstat(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise Temporary(b"unable to read " + path, error) from None
