"""What tcpserver is told to do: its options and arguments."""

from __future__ import annotations

import os

from supervise.account import find_account
from supervise.command import say
from supervise.errors import Permanent, Temporary, Usage
from supervise.options import options
from ucspi.ip import interface_number, leading_number, plain
from ucspi.tls.settings import WORDS as TLS_WORDS
from ucspi.tls.settings import TlsSettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    from supervise.command import Argv
    from supervise.environment import Variable

LETTERS = b"146UXpPhHrRoOdDqQvc:C:x:B:g:u:b:l:t:I:"
WORDS_TOO = {
    b"tls": b"tls",
    b"starttls": b"starttls",
    b"tls-environment": b"tls-environment",
    b"client-certificate": b"client-certificate:",
    b"drain": b"drain:",
    b"listen": b"listen:",
    b"metrics": b"metrics:",
    b"proxy": b"proxy:",
}
QUIET, ERRORS, ALL = 0, 1, 2  # what is logged


class Settings:
    """tcpserver's options, under the names of what they mean."""

    name = b"tcpserver"  # in the log
    letters = LETTERS

    __slots__ = (
        "as_ipv6", "backlog", "banner", "delay", "drain", "gid", "identify", "interface", "limit", "limit_per_address",
        "local_host", "look_up", "metrics", "only_ipv4", "paranoid", "patience", "places", "print_port", "program",
        "proxies", "route", "rules", "rules_may_miss", "tls", "uid",
        "verbosity",
    )  # fmt: skip

    def __init__(self) -> None:
        self.verbosity = ERRORS
        self.places: list[tuple[bytes, bytes]] = []  # host and port of each
        self.program: Argv = []
        self.drain = 0  # seconds that connections have to end when we are to
        # listening
        self.limit = 40
        self.limit_per_address = 0  # 0: no limit
        self.backlog = 20
        self.interface = 0
        self.only_ipv4 = self.print_port = False
        self.uid = self.gid = 0  # 0: stay as we are
        self.metrics = b""
        self.tls: TlsSettings | None = None
        # each connection
        self.proxies: list[IPv4Network | IPv6Network] = []  # who tells us on whose behalf it connects
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
        found, words = options(argv, cls.letters, WORDS_TOO)
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
        host, port, *self.program = words
        self.places.insert(0, (host, port))

    def set(self, letter: bytes, value: bytes) -> None:
        """Take one option."""
        if letter in FLAGS:
            name, setting = FLAGS[letter]
            setattr(self, name, setting)
        elif letter in NUMBERS:
            setattr(self, NUMBERS[letter], leading_number(value))
        elif letter in WORDS:
            setattr(self, WORDS[letter], value)
        elif letter == b"drain":
            self.drain = seconds(value)
        elif letter == b"listen":
            self.places.append(place(value))
        elif letter in TLS_WORDS:
            self.tls = self.tls or TlsSettings()
            self.tls.set(letter, value)
        elif letter == b"metrics":
            self.metrics = value
        elif letter == b"proxy":
            self.proxies += networks(value)
        elif letter == b"I":
            self.interface = interface_number(value)
        elif letter == b"u":
            self.uid = user_number(value)
        elif letter == b"g":
            self.gid = group_number(value)
        elif letter == b"U":
            self.uid = leading_number(os.environb.get(b"UID", b"%d" % self.uid))
            self.gid = leading_number(os.environb.get(b"GID", b"%d" % self.gid))

    def warn(self, line: bytes) -> None:
        """Say what is wrong, unless we are to be quiet."""
        if self.verbosity > QUIET:
            say(self.name + b": warning: " + line)

    def shown(self, variables: list[Variable]) -> list[Variable]:
        """The *variables* of a connection under the names that the program finds."""
        return variables

    @property
    def speaks_tls(self) -> bool:
        """Whether clients hear nothing but TLS."""
        return self.tls is not None and self.tls.at_once

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


def seconds(value: bytes) -> int:
    """The number *value*.

    Raises:
        Permanent: it is none.
    """
    if not value.isdigit():
        raise Permanent(b"--drain needs seconds and not " + value)
    return leading_number(value)


def place(value: bytes) -> tuple[bytes, bytes]:
    """The host and the port in `host:port`; an IPv6 address stands in brackets.

    Raises:
        Permanent: one is missing.
    """
    host, colon, port = value.rpartition(b":")
    if not colon or not host or not port:
        raise Permanent(b"--listen needs host:port and not " + value)
    if host.startswith(b"[") and host.endswith(b"]"):
        host = host[1:-1]
    return host, port


def networks(value: bytes) -> list[IPv4Network | IPv6Network]:
    """The addresses and networks in *value*, which have commas between them.

    Raises:
        Permanent: one is none.
    """
    from ipaddress import ip_network

    try:
        # A connection's address is compared as IPv4 if it can be.
        return [ip_network(plain(word.decode("latin-1").strip()), strict=False) for word in value.split(b",")]
    except ValueError:
        raise Permanent(b"--proxy needs addresses or networks and not " + value) from None


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
