"""who@ - print who is logged in on another machine

Usage: who@ [host]

who@ prints what the systat server (port 11, RFC 866) of host (default 0, this machine) says, without carriage
returns at the ends of lines and with control characters made visible as by cat -v.

Exit status:
    0    always; tcpclient says what is wrong if there is no answer

See also: date@, finger@, tcpclient
"""

from supervise.command import Argv, command
from ucspi.client.asking import ask, show
from ucspi.client.words import word


@command(b"who@")
def main(argv: Argv) -> int:
    return show(ask(word(argv, 1, b"0"), b"11"))
