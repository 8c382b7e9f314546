"""maildirsmtp - send the messages in a Maildir to a host by SMTP

Usage: maildirsmtp dir prefix host helohost

maildirsmtp connects to port 25 of host and sends the messages in the Maildir dir whose recipients begin with prefix,
which is taken away, and calls itself helohost.
A message that fails for good, or is older than two weeks, is returned to its sender. It is
`maildirserial -b -t 1209600 dir prefix tcpclient -RHl0 host 25 serialsmtp prefix helohost`. Run it
under setlock, so that no two of it send the same messages:

    setlock -nx /home/joe/pppdir.lock maildirsmtp /home/joe/pppdir joe-ppp- relay.example joe.example

Mail for a host gets into the Maildir by a virtual domain, `far.example:joe-ppp` in control/virtualdomains, and the line
./pppdir/ in /home/joe/.qmail-ppp-default.

Exit status:
    100  wrong usage
    otherwise that of maildirserial

See also: maildirserial, serialsmtp, setlock
"""

from __future__ import annotations

from supervise.command import Argv, Become, command
from supervise.errors import Usage

LIFETIME = b"1209600"  # seconds: two weeks


@command(b"maildirsmtp", b"dir prefix host helohost")
def main(argv: Argv) -> int:
    if len(argv) < 5:
        raise Usage
    folder, prefix, host, name = argv[1:5]
    connecting = [b"tcpclient", b"-RHl0", b"--", host, b"25"]
    client = [b"serialsmtp", prefix, name]
    raise Become([b"maildirserial", b"-b", b"-t", LIFETIME, b"--", folder, prefix, *connecting, *client])
