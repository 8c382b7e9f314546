"""Whether a recipient's mail would bounce here, told before the mail is taken.

The answer is that of delivery, got by its own code: `locals`, `percenthack` and `virtualdomains` say whether mail stays
here, users/cdb and the password file whose it is, and the user's .qmail files whether there is a mailbox.  What a
program in a .qmail file would say nobody knows before it runs.

Delivery sees this as root and as the user; we are qmaild.  Whatever we may not see, such as the .qmail files in a home
that others may not enter, and whatever cannot be known now, is no reason to refuse: then delivery decides, as ever.  So
it is where a site has programs of its own in place of those that deliver.
"""

from __future__ import annotations

import os
import stat

from mta import home
from mta.local import dotqmail, users
from mta.local.getpw import find_user
from mta.send.controls import Controls
from mta.send.rewrite import LOCAL, rewrite
from supervise.errors import Temporary
from supervise.program import locate

DELIVERING = (b"qmail-lspawn", b"qmail-getpw", b"qmail-local")


class Recipients:
    """What there is to know for one connection; control files are read when it is asked for the first time."""

    __slots__ = ("controls",)

    def __init__(self) -> None:
        self.controls: Controls | None = None

    def lack(self, recipient: bytes) -> bool:
        """Whether mail for *recipient* surely has no mailbox here, and would bounce."""
        try:
            self.controls = self.controls or Controls()
            channel, address = rewrite(recipient, self.controls)
            local = address.rpartition(b"@")[0]
            return channel == LOCAL and bool(local) and ours() and not has_mailbox(local)
        except (Temporary, OSError, ValueError):  # who knows
            return False


def ours() -> bool:
    """Whether it is our own programs that deliver."""
    return all(locate(home.program(name)) for name in DELIVERING)


def has_mailbox(local: bytes) -> bool:
    """Whether there is a user for the local part *local*, and a .qmail file if one is needed.

    Raises:
        Temporary, OSError, ValueError: it cannot be known now, or not by us.
    """
    user = users.assigned(local) or find_user(local)
    if user is None or user.uid == 0 or not user.dash:  # mail for root and for nobody waits
        return True
    mask = dotqmail.mask()
    if os.stat(user.home + b"/.").st_mode & (mask | stat.S_ISVTX):  # it waits too
        return True
    return dotqmail.find(user.dash, user.ext, mask, user.home + b"/") is not None
