"""mconnect - speak with an SMTP server

Usage: mconnect [host [port]]

mconnect connects to port (default 25) of host (default 0, this machine).  It sends what it reads
from descriptor 0, with a carriage return before each line feed, and copies what it
receives to descriptor 1.  It ends when the server closes the connection.

Exit status:
    0    the server has closed the connection
    111  there is none

See also: mconnect-io, tcpclient
"""

from supervise.command import Argv, Become, command
from ucspi.client.words import client, word


@command(b"mconnect")
def main(argv: Argv) -> int:
    raise Become([*client(word(argv, 1, b"0"), word(argv, 2, b"25")), b"mconnect-io"])
