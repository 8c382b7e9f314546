"""What tcpserver is told to do: its options and arguments."""

from __future__ import annotations

import os
import socket

from supervise.account import find_account
from supervise.errors import Temporary, Usage
from supervise.options import options
from ucspi.ip import leading_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.command import Argv

LETTERS = b"146UXpPhHrRoOdDqQvc:C:x:B:g:u:b:l:t:I:"
QUIET, ERRORS, ALL = 0, 1, 2  # what is logged


class Settings:
    """tcpserver's options, under the names of what they mean."""

    __slots__ = (
        "as_ipv6", "backlog", "banner", "delay", "gid", "host", "identify", "interface", "limit", "limit_per_address",
        "local_host", "look_up", "only_ipv4", "paranoid", "patience", "port", "print_port", "program", "route", "rules",
        "rules_may_miss", "uid", "verbosity",
    )  # fmt: skip

    def __init__(self) -> None:
        self.verbosity = ERRORS
        self.host = self.port = b""
        self.program: Argv = []
        # listening
        self.limit = 40
        self.limit_per_address = 0  # 0: no limit
        self.backlog = 20
        self.interface = 0
        self.only_ipv4 = self.print_port = False
        self.uid = self.gid = 0  # 0: stay as we are
        # each connection
        self.banner = b""
        self.delay = True
        self.route = False
        self.as_ipv6 = False
        self.local_host: bytes | None = None
        self.look_up = True
        self.paranoid = False
        self.identify = True
        self.patience = 26
        self.rules: bytes | None = None
        self.rules_may_miss = False

    @classmethod
    def read(cls, argv: Argv) -> tuple[Settings, Argv]:
        """The settings that the options of *argv* mean, and the words after them.

        Raises:
            Usage: there is an unknown option, or an option lacks its value.
            Temporary: there is no such user or group.
        """
        settings = cls()
        found, words = options(argv, LETTERS)
        for letter, value in found:
            settings.set(letter, value)
        return settings, words

    def take(self, words: Argv) -> None:
        """Take host, port and program.

        Raises:
            Usage: one is missing.
        """
        if len(words) < 3:
            raise Usage
        self.host, self.port, *self.program = words

    def set(self, letter: bytes, value: bytes) -> None:
        """Take one option."""
        if letter in FLAGS:
            name, setting = FLAGS[letter]
            setattr(self, name, setting)
        elif letter in NUMBERS:
            setattr(self, NUMBERS[letter], leading_number(value))
        elif letter in WORDS:
            setattr(self, WORDS[letter], value)
        elif letter == b"I":
            self.interface = interface_number(value)
        elif letter == b"u":
            self.uid = user_number(value)
        elif letter == b"g":
            self.gid = group_number(value)
        elif letter == b"U":
            self.uid = leading_number(os.environb.get(b"UID", b"%d" % self.uid))
            self.gid = leading_number(os.environb.get(b"GID", b"%d" % self.gid))

    @property
    def needs_dns(self) -> bool:
        """Whether every connection asks the domain name system, by itself or by rblsmtpd."""
        return self.look_up or self.local_host is None or b"rblsmtpd" in map(os.path.basename, self.program)


FLAGS = {
    b"1": ("print_port", True),
    b"4": ("only_ipv4", True),
    b"6": ("as_ipv6", True),
    b"X": ("rules_may_miss", True),
    b"p": ("paranoid", True),
    b"P": ("paranoid", False),
    b"h": ("look_up", True),
    b"H": ("look_up", False),
    b"r": ("identify", True),
    b"R": ("identify", False),
    b"o": ("route", True),
    b"O": ("route", False),
    b"d": ("delay", True),
    b"D": ("delay", False),
    b"q": ("verbosity", QUIET),
    b"Q": ("verbosity", ERRORS),
    b"v": ("verbosity", ALL),
}
NUMBERS = {
    b"c": "limit",
    b"C": "limit_per_address",
    b"b": "backlog",
    b"t": "patience",
}
WORDS = {b"x": "rules", b"B": "banner", b"l": "local_host"}


def interface_number(name: bytes) -> int:
    """The number of the network interface *name*; as the original, 0 when there is none."""
    try:
        return socket.if_nametoindex(os.fsdecode(name))
    except OSError:
        return 0


def user_number(value: bytes) -> int:
    """The uid that *value* is or, which the original would read as 0, the one of the user of that name.

    Raises:
        Temporary: there is no such user.
    """
    if not value or value[:1].isdigit():
        return leading_number(value)
    account = find_account(value)
    if account is None:
        raise Temporary(b"unknown account " + value)
    return account.pw_uid


def group_number(value: bytes) -> int:
    """The gid that *value* is, or that of the group of that name.

    Raises:
        Temporary: there is no such group.
    """
    import grp

    if not value or value[:1].isdigit():
        return leading_number(value)
    try:
        return grp.getgrnam(os.fsdecode(value)).gr_gid
    except (KeyError, ValueError):
        raise Temporary(b"unknown group " + value) from None
