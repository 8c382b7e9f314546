"""The machine's passwords: who has which, and whether one is right; and new ones.

Hashing is the C library's crypt(3), so every password that can be used to log in can be used here, whatever method
the machine has for new ones.  Python's own module for it is gone since 3.13, and no library on PyPI has all methods
that libcrypt has; so it is called directly, and only by who needs it, because ctypes is slow to import.

How long a login takes must not tell whether its name exists.  Methods differ in that, and one file may have several; so
a name that has no password is tried on the hash of a user, which the name picks: always the same one, and nobody who
does not know the hashes can tell which.  So a method is as frequent among names that nobody has as among users.
"""

from __future__ import annotations

import os

from supervise.account import find_account
from supervise.command import say
from supervise.errors import Temporary
from supervise.fd import Reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ctypes
    import pwd
    from collections.abc import Iterable

LIBRARIES = ("libcrypt.so.2", "libcrypt.so.1", None)  # None: what is part of the C library
ELSEWHERE = b"x"  # what the password file has for a password that is in the shadow file
SHADOW = b"/etc/shadow"
SAMPLE = 300  # users whose methods stand for those of all
COMMON_METHOD = b"$6$................"  # where the library does not tell which method is usual


def account_with(name: bytes, password: bytes) -> pwd.struct_passwd | None:
    """The account *name* if it has this *password*, else None.

    The time that it takes does not tell whether the name exists.

    Raises:
        Temporary: the password cannot be read, or this machine cannot hash.
    """
    account = find_account(name)
    stored = shadow_password(name)
    if stored is None and account is not None:
        stored = os.fsencode(account.pw_passwd)
        if stored == ELSEWHERE:  # which the C library does not tell from an entry that is missing
            raise Temporary(b"unable to read the shadow file's entry of " + name)
    tried = tried_on(name, stored or b"", machine_hashes())
    return account if matches(password, tried) and tried == stored else None


def refuse(name: bytes, password: bytes) -> None:
    """Take the time that `account_with` takes, for a *name* that is nobody's.

    Raises:
        Temporary: this machine cannot hash.
    """
    matches(password, tried_on(name, b"", machine_hashes()))


def tried_on(name: bytes, stored: bytes, others: Iterable[bytes]) -> bytes:
    """The hash that a password for *name* is tried on: *stored*, or one of *others*, which lets nobody in.

    A hash more or less among the others makes a difference to the names alone that pick it.

    Args:
        stored: the hash of the name's password, b"" for a name that nobody has.
        others: hashes of users, `SAMPLE` of them at most; when there are none, b"" is tried.
    """
    from hashlib import sha256

    other = max(filter(is_usable, others), key=lambda hash: sha256(hash + b"\0" + name).digest(), default=b"")
    return stored if is_usable(stored) else other  # the other one has been looked for in either case: that takes time


def machine_hashes() -> list[bytes]:
    """Hashes of this machine's first users; none where we may not read them."""
    try:
        fd = os.open(SHADOW, os.O_RDONLY | os.O_CLOEXEC)
        try:
            lines = os.read(fd, SAMPLE * 200).split(b"\n")[:-1]
        finally:
            os.close(fd)
    except OSError:
        return []
    return [line.split(b":")[1] for line in lines[:SAMPLE] if b":" in line]


def is_usable(stored: bytes) -> bool:
    """Whether *stored* can be a hash: not none, and not that of an account that is locked or has its hash elsewhere."""
    return stored[:1] not in (b"", b"*", b"!") and stored != ELSEWHERE


def matches(password: bytes, stored: bytes) -> bool:
    """Whether *password* is the one whose hash is *stored*; an account that is locked or has no password matches none.

    Raises:
        Temporary: this machine cannot hash.
    """
    from hmac import compare_digest

    library = crypt_library()
    usable = is_usable(stored)
    hashed = library.crypt(password, stored if usable else usual_method(library))
    if hashed is None or hashed.startswith(b"*"):  # it does not know the method
        return False
    return compare_digest(hashed, stored) and usable


def hashed(password: bytes) -> bytes:
    """What is to be stored for *password*: its hash by this machine's method for new ones, with a salt of its own.

    Raises:
        Temporary: this machine cannot hash.
    """
    library = crypt_library()
    found: bytes | None = library.crypt(password, fresh_setting(library))
    if found is None or found.startswith(b"*"):
        raise Temporary(b"this machine cannot hash a password")
    return found


def typed(command: bytes) -> bytes:
    """A new password: asked for twice on a terminal, else the first line of descriptor 0.

    Returns:
        b"" when there is none, which has been said.
    """
    if os.isatty(0):
        from mta.pop3.prompt import ask

        try:
            first = ask(b"Enter the user's new password: ")
            again = ask(b"Please type it again for verification: ")
        except EOFError:
            first = again = b""
        if first != again:
            say(command + b": error: passwords don't match")
            return b""
    else:
        try:
            first = (Reader(0).line() or b"").rstrip()
        except OSError as error:
            raise Temporary(b"unable to read input", error) from None
    if not first:
        say(command + b": error: password is empty.")
    if b"\0" in first:
        say(command + b": error: password contains a NUL.")
        return b""
    return first


def fresh_setting(library: ctypes.CDLL) -> bytes:
    """What tells the method for a new password, with a salt that nobody else has."""
    setting = usual_method(library)
    if setting != COMMON_METHOD:
        return setting
    from secrets import token_urlsafe

    return b"$6$" + token_urlsafe(12).replace("-", ".").replace("_", "/").encode()


def crypt_library() -> ctypes.CDLL:
    """The library with crypt(3).

    Raises:
        Temporary: there is none.
    """
    import ctypes

    for name in LIBRARIES:
        try:
            library = ctypes.CDLL(name)
            library.crypt.argtypes = (ctypes.c_char_p, ctypes.c_char_p)
            library.crypt.restype = ctypes.c_char_p
        except (OSError, AttributeError):
            continue
        return library
    raise Temporary(b"this machine has no libcrypt")


def usual_method(library: ctypes.CDLL) -> bytes:
    """What the hash of a new password would begin with."""
    import ctypes

    try:
        generate = library.crypt_gensalt
    except AttributeError:
        return COMMON_METHOD
    generate.argtypes = (ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p, ctypes.c_int)
    generate.restype = ctypes.c_char_p
    setting: bytes | None = generate(None, 0, None, 0)
    return setting or COMMON_METHOD


def shadow_password(name: bytes) -> bytes | None:
    """What the shadow file has for *name*; None when there is no entry, or none that we may read."""
    import ctypes

    find = ctypes.CDLL(None).getspnam
    find.argtypes = (ctypes.c_char_p,)
    find.restype = ctypes.POINTER(ctypes.c_char_p)  # its entry begins with the name and the password
    entry = find(name)
    stored: bytes | None = entry[1] if entry else None
    return stored
