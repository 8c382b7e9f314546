"""maildirqmtp - send the messages in a Maildir to a host by QMTP

Usage: maildirqmtp dir prefix host

maildirqmtp connects to port 209 of host and sends the messages in the Maildir dir whose recipients begin with prefix,
which is taken away.
A message that fails for good, or is older than two weeks, is returned to its sender. It is
`maildirserial -b -t 1209600 dir prefix tcpclient -RHl0 host 209 serialqmtp prefix`. Run it
under setlock, so that no two of it send the same messages:

    setlock -nx /home/joe/pppdir.lock maildirqmtp /home/joe/pppdir joe- relay.example

Exit status:
    100  wrong usage
    otherwise that of maildirserial

See also: maildirserial, serialqmtp, setlock
"""

from __future__ import annotations

from supervise.command import Argv, Become, command
from supervise.errors import Usage

LIFETIME = b"1209600"  # seconds: two weeks


@command(b"maildirqmtp", b"dir prefix host")
def main(argv: Argv) -> int:
    if len(argv) < 4:
        raise Usage
    folder, prefix, host = argv[1:4]
    connecting = [b"tcpclient", b"-RHl0", b"--", host, b"209"]
    client = [b"serialqmtp", prefix]
    raise Become([b"maildirserial", b"-b", b"-t", LIFETIME, b"--", folder, prefix, *connecting, *client])
