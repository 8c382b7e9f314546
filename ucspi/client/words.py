"""How the small clients run tcpclient, and their arguments, all of which may be missing."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.command import Argv


def client(host: bytes, port: bytes) -> Argv:
    """The command line that connects to *port* of *host* and looks nothing up; a program is to follow."""
    return [b"tcpclient", b"-RHl0", b"--", host, port]


def word(argv: Argv, number: int, otherwise: bytes) -> bytes:
    """The argument of that *number*, or *otherwise* if there are not so many."""
    return argv[number] if len(argv) > number else otherwise
