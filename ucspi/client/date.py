"""date@ - print the date on another machine

Usage: date@ [host]

date@ prints what the daytime server (port 13, RFC 867) of host (default 0, this machine) says, without carriage
returns at the ends of lines and with control characters made visible as by cat -v.

Exit status:
    0    always; tcpclient says what is wrong if there is no answer

See also: finger@, tcpclient, who@
"""

from supervise.command import Argv, command
from ucspi.client.asking import ask, show
from ucspi.client.words import word


@command(b"date@")
def main(argv: Argv) -> int:
    return show(ask(word(argv, 1, b"0"), b"13"))
