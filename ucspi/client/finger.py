"""finger@ - ask another machine about a user

Usage: finger@ [host [user]]

finger@ asks the finger server (port 79, RFC 1288) of host (default 0, this machine) about user, or who is
there, and prints the answer without carriage returns at the ends of lines and with control characters made
visible as by cat -v.

Exit status:
    0    always; tcpclient says what is wrong if there is no answer

See also: date@, tcpclient, who@
"""

from supervise.command import Argv, command
from ucspi.client.asking import ask, show
from ucspi.client.words import word


@command(b"finger@")
def main(argv: Argv) -> int:
    return show(ask(word(argv, 1, b"0"), b"79", word(argv, 2, b"") + b"\n"))
