"""Ask PAM, the modules that this machine has for it, whether a name is let in with a password.

The package pamela has libpam's functions and answers what modules ask; it is imported only by who needs it, because it
loads the library at once.
"""

from __future__ import annotations

import os

from mta.pop3.checkpassword import Unacceptable
from supervise.errors import Temporary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

AUTHENTICATION = b"authentication"
ANSWERS = 16  # to that many questions the password is the answer, which is more than any service has
TERMINAL = "checkpassword-pam"  # some modules want to know a terminal
DISALLOW_NULL_AUTHTOK, SILENT = 1, 0x8000  # flags: who has no password is nobody's; say nothing to the user
# What modules say of the user; anything else that is no success is trouble of the machine.
PERM_DENIED, AUTH_ERR, USER_UNKNOWN, MAXTRIES, NEW_AUTHTOK_REQD, ACCT_EXPIRED = 6, 7, 10, 11, 12, 13
SESSION_ERR, CRED_EXPIRED, CRED_ERR, AUTHTOK_EXPIRED = 14, 16, 17, 27
REFUSALS = (
    *(PERM_DENIED, AUTH_ERR, USER_UNKNOWN, MAXTRIES, NEW_AUTHTOK_REQD, ACCT_EXPIRED),
    *(SESSION_ERR, CRED_EXPIRED, CRED_ERR, AUTHTOK_EXPIRED),
)


def let_in(service: bytes, name: bytes, password: bytes, trace: Callable[[bytes], object] = lambda line: None) -> bytes:
    """Have PAM check a login: the user, the account, the credentials, and a session that ends at once.

    The modules learn TCPREMOTEIP, if there is one, as the host that the user comes from.

    Args:
        service: whose modules are asked, a file in /etc/pam.d.
        trace: is told of each step, in a line.

    Returns:
        the user's name, which may be another after a module has changed it.

    Raises:
        Unacceptable: the user is not let in; there is a line for it unless the modules have told syslog.
        Temporary: that cannot be found out.
    """
    pamela = library()
    answers = pamela.new_simple_password_conv([password] * ANSWERS, "latin-1")  # which must live until the end
    try:
        handle = pamela.pam_start(service, name, answers)
        remote = os.environb.get(b"TCPREMOTEIP")
        if remote:
            handle.set_item(pamela.PAM_RHOST, remote.decode("latin-1"), "latin-1")
            handle.set_item(pamela.PAM_TTY, TERMINAL)
    except pamela.PAMError as error:
        raise Temporary(b"unable to start PAM: " + error.message.encode()) from None
    steps = (
        (AUTHENTICATION, pamela.PAM_AUTHENTICATE, DISALLOW_NULL_AUTHTOK),
        (b"account management", pamela.PAM_ACCT_MGMT, 0),
        (b"setting credentials", pamela.PAM_SETCRED, pamela.PAM_ESTABLISH_CRED),
        (b"opening a session", pamela.PAM_OPEN_SESSION, SILENT),
        (b"closing the session", pamela.PAM_CLOSE_SESSION, SILENT),
    )
    code = 0
    try:
        for what, step, flags in steps:
            code = step(handle, flags)
            if code:
                why = b"%s failed: %s" % (what, pamela.pam_strerror(handle, code).encode())
                if what == AUTHENTICATION and code in REFUSALS:
                    trace(why)  # and no more, for modules have told syslog
                    raise Unacceptable
                raise Unacceptable(why) if code in REFUSALS else Temporary(why)
            trace(what + b" succeeded")
        user: str = handle.get_item(pamela.PAM_USER, "latin-1")
    finally:
        pamela.PAM_END(handle, code)
    return user.encode("latin-1")


def library() -> ModuleType:
    """The package with libpam's functions.

    Raises:
        Temporary: this machine has none.
    """
    try:
        import pamela
    except ImportError:
        raise Temporary(b"the Python package pamela is not installed") from None
    except (OSError, AttributeError):
        raise Temporary(b"this machine has no libpam") from None
    return pamela  # type: ignore[no-any-return]
