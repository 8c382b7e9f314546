"""Who may send what to whom through this server.

    control/rcpthosts          hosts that we take mail for; `.example` stands for all names below
                               example; without the file, any host
    control/morercpthosts.cdb  more of them, in lower case
    control/badmailfrom        senders whose mail we refuse: addresses, and `@host` for a whole host
    control/badrcptto          recipients that we refuse, in the same form; control/badmailto too
    control/recipients         1: refuse recipients whose mail would bounce here (see `recipients`); by default 0
    control/maxrcpt            how many recipients a message may have, 0 for any number
    control/smtpcapabilities   what EHLO is to announce besides the usual: `SIZE`
    control/databytes          the size of the largest message in bytes, 0 for no limit
    control/localiphost        what replaces one of our IP addresses after the `@`; by default `me`

    RELAYCLIENT                the client may send to any host, and this is put behind each recipient
    DATABYTES, MAXRCPT, RECIPIENTS
                               take the places of control/databytes, control/maxrcpt and control/recipients

A recipient without a host is always taken: it is ours.
"""

from __future__ import annotations

from mta.control import leading_number
from mta.home import path
from mta.smtp.path import literal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from mta.control import Control
    from mta.smtp.recipients import Recipients
    from ucspi.cdb import Cdb

SIZE = b"SIZE"


class Rcpthosts:
    """The hosts that we take mail for.

    Args:
        listed: the lines of control/rcpthosts, or None when there is no such file.
        more: the path of the cdb, which is asked when the list has no answer.
    """

    __slots__ = ("listed", "more")

    def __init__(self, listed: list[bytes] | None, more: bytes) -> None:
        self.listed = None if listed is None else frozenset(map(bytes.lower, listed))
        self.more = more

    @classmethod
    def read(cls, control: Control) -> Rcpthosts:
        """Those of the control files."""
        return cls(control.lines(b"rcpthosts"), path(b"control", b"morercpthosts.cdb"))

    def allow(self, address: bytes) -> bool:
        """Whether we take mail for *address*.

        Raises:
            Temporary: the cdb cannot be read, or is damaged.
        """
        if self.listed is None:
            return True
        _, at, host = address.rpartition(b"@")
        if not at:
            return True
        names = self.names(host.lower())
        return any(name in self.listed for name in names) or self.more_have(names)

    @staticmethod
    def names(host: bytes) -> list[bytes]:
        """Under which names *host* may be listed: its own, and from each of its dots on."""
        found = [host] if host else []
        at = host.find(b".", 1)
        while at >= 0:
            found.append(host[at:])
            at = host.find(b".", at + 1)
        return found

    def more_have(self, names: list[bytes]) -> bool:
        """Whether the cdb has one of *names*."""
        from ucspi.cdb import Cdb

        cdb: Cdb | None = Cdb.open(self.more)
        if cdb is None:
            return False
        try:
            return any(cdb.get(name) is not None for name in names)
        finally:
            cdb.close()


class Addresses:
    """A list of addresses, and `@host` for all of a host; upper and lower case are the same."""

    __slots__ = ("listed",)

    def __init__(self, *lists: list[bytes] | None) -> None:
        self.listed = frozenset(line.lower() for lines in lists for line in lines or ())

    def have(self, address: bytes) -> bool:
        """Whether *address*, or its whole host, is listed."""
        if not self.listed:
            return False
        address = address.lower()
        _, at, host = address.rpartition(b"@")
        return address in self.listed or at + host in self.listed


def number(control: Control, environment: Mapping[bytes, bytes], name: bytes) -> int:
    """What the control file *name* says, or the variable of that name, which wins; by default 0.

    Raises:
        Temporary: the file cannot be read.
    """
    controlled = control.number(name, 0)  # as the original: it must be readable even where the variable wins
    own = environment.get(name.upper())
    return controlled if own is None else leading_number(own)


def checked(wanted: int) -> Recipients | None:
    """What tells of recipients whether their mail would bounce, if it is *wanted* to."""
    if not wanted:
        return None
    from mta.smtp.recipients import Recipients

    return Recipients()


NOBODY = Addresses()


class Policy:
    """What one client may do.

    Args:
        rcpthosts: the hosts that we take mail for.
        badmailfrom: senders that we refuse.
        relayclient: what is put behind each recipient of a client that may send anywhere; None: it may not.
        databytes: the largest message, in bytes; 0 for any.
        localiphost: the host name that replaces an IP address of ours; None leaves them.
        badrcptto: recipients that we refuse.
        announced: what EHLO announces besides the usual, in upper case.
        recipients: who tells whether a recipient's mail would bounce; None: nobody.
        maxrcpt: how many recipients a message may have; 0 for any number.
    """

    __slots__ = (
        "announced", "badmailfrom", "badrcptto", "databytes", "localiphost", "maxrcpt", "rcpthosts", "recipients",
        "relayclient",
    )  # fmt: skip

    def __init__(
        self,
        rcpthosts: Rcpthosts,
        badmailfrom: list[bytes] | None = None,
        relayclient: bytes | None = None,
        databytes: int = 0,
        localiphost: bytes | None = None,
        *,
        badrcptto: Addresses = NOBODY,
        announced: frozenset[bytes] = frozenset(),
        recipients: Recipients | None = None,
        maxrcpt: int = 0,
    ) -> None:
        self.rcpthosts, self.relayclient = rcpthosts, relayclient
        self.badmailfrom, self.badrcptto = Addresses(badmailfrom), badrcptto
        self.databytes, self.localiphost = databytes, localiphost
        self.announced, self.recipients, self.maxrcpt = announced, recipients, maxrcpt

    @classmethod
    def read(cls, control: Control, environment: Mapping[bytes, bytes], me: bytes | None) -> Policy:
        """The policy of the control files, for the client that *environment* is about.

        Raises:
            Temporary: a control file cannot be read.
        """
        localiphost = control.value(b"localiphost")
        return cls(
            Rcpthosts.read(control),
            control.lines(b"badmailfrom"),
            environment.get(b"RELAYCLIENT"),
            number(control, environment, b"databytes"),
            me if localiphost is None else localiphost,
            badrcptto=Addresses(control.lines(b"badrcptto"), control.lines(b"badmailto")),
            announced=frozenset(line.upper() for line in control.lines(b"smtpcapabilities") or ()),
            recipients=checked(number(control, environment, b"recipients")),
            maxrcpt=number(control, environment, b"maxrcpt"),
        )

    @property
    def largest_declared(self) -> int:
        """The largest message that a client may announce by SIZE; 0: SIZE is not spoken of."""
        return self.databytes if SIZE in self.announced else 0

    def refuses(self, sender: bytes) -> bool:
        """Whether *sender* is in badmailfrom, itself or with its whole host."""
        return self.badmailfrom.have(sender)

    def relayed(self, recipient: bytes) -> bytes | None:
        """*recipient* as it goes into the envelope, or None when it is not for us to take.

        Raises:
            Temporary: the cdb cannot be read, or is damaged.
        """
        if self.relayclient is not None:
            return recipient + self.relayclient
        return recipient if self.rcpthosts.allow(recipient) else None

    def named(self, address: bytes) -> bytes:
        """*address* with our name where it has one of our IP addresses.

        Raises:
            Temporary: the system does not tell our addresses.
        """
        if self.localiphost is None or (ip := literal(address)) is None:
            return address
        from ucspi.own import addresses

        return address[: address.rindex(b"@") + 1] + self.localiphost if ip in addresses() else address
