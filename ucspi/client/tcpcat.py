"""tcpcat - print what a TCP server sends

Usage: tcpcat host [port]

tcpcat connects to port (default 17, the quote of the day) of host and copies all that it
receives to descriptor 1, as it is.  It sends nothing.

Exit status:
    0    all has been copied
    111  there is no connection

See also: tcpclient, unixcat
"""

from supervise.command import Argv, Become, command
from ucspi.client.words import client, word


@command(b"tcpcat")
def main(argv: Argv) -> int:
    raise Become([*client(word(argv, 1, b"0"), word(argv, 2, b"17")), b"sh", b"-c", b"exec cat <&6"])
