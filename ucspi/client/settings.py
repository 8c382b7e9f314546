"""What tcpclient is told to do: its options and arguments."""

from __future__ import annotations

import os

from supervise.errors import Temporary, Usage
from supervise.options import each
from ucspi import ip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.command import Argv
    from supervise.environment import Variable

LETTERS = b"46hHrRdDqQvi:p:T:l:t:I:"
QUIET, ERRORS, ALL = 0, 1, 2  # what is said
PATIENCE = (2, 58)  # seconds for each address in the first round, and in the second


class Settings:
    """tcpclient's options, under the names of what they mean."""

    __slots__ = (
        "as_ipv6", "delay", "host", "identify", "info_patience", "interface", "local_host", "local_ip", "local_port",
        "look_up", "only_ipv4", "patience", "port", "program", "verbosity",
    )  # fmt: skip

    name = b"tcpclient"
    letters = LETTERS

    def __init__(self) -> None:
        self.verbosity = ERRORS
        self.host = b""
        self.port = 0
        self.program: Argv = []
        # connecting
        self.patience = PATIENCE
        self.only_ipv4 = False
        self.local_ip: str | None = None
        self.local_port = 0
        self.interface = 0
        self.delay = True
        # what the program is told
        self.as_ipv6 = False
        self.local_host: bytes | None = None
        self.look_up = True
        self.identify = True
        self.info_patience = 26

    def read(self, argv: Argv) -> None:
        """Take *argv*.

        Raises:
            Usage: there is an unknown option, or something is missing; up to there the options are taken.
            Temporary: there is no such port.
        """
        name, *words = argv
        for letter, value in each(os.path.basename(name), words, self.letters):
            self.set(letter, value)
        if len(words) < 3:
            raise Usage
        self.host, port, *self.program = words
        self.port = port_number(port)

    def set(self, letter: bytes, value: bytes) -> None:
        """Take one option.

        Raises:
            Usage: the value of -i is no address.
            Temporary: that of -p is no port.
        """
        if letter in FLAGS:
            name, setting = FLAGS[letter]
            setattr(self, name, setting)
        elif letter == b"i":
            self.local_ip = ip.parse(value)
            if self.local_ip is None:
                raise Usage
        elif letter == b"p":
            self.local_port = port_number(b"%d" % ip.leading_number(value))
        elif letter == b"T":
            first, _, second = value.partition(b"+")
            self.patience = (ip.leading_number(first), ip.leading_number(second))
        elif letter == b"l":
            self.local_host = value
        elif letter == b"t":
            self.info_patience = ip.leading_number(value)
        elif letter == b"I":
            self.interface = ip.interface_number(value)

    def shown(self, variables: list[Variable]) -> list[Variable]:
        """What the program is told of *variables*, which are those that tcpserver sets."""
        return [pair for pair in variables if not pair[0].startswith(b"TCP6")]


FLAGS = {
    b"4": ("only_ipv4", True),
    b"6": ("as_ipv6", True),
    b"h": ("look_up", True),
    b"H": ("look_up", False),
    b"r": ("identify", True),
    b"R": ("identify", False),
    b"d": ("delay", True),
    b"D": ("delay", False),
    b"q": ("verbosity", QUIET),
    b"Q": ("verbosity", ERRORS),
    b"v": ("verbosity", ALL),
}


def port_number(word: bytes) -> int:
    """The port that *word* means.

    Raises:
        Temporary: it means none.
    """
    port = ip.port_number(word)
    if port is None:
        raise Temporary(b"unable to figure out port number for " + word)
    return port
