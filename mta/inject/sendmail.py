"""sendmail - send a mail message

Usage: sendmail [ -t ] [ -fsender ] [ -Fname ] [ -bp ] [ -bs ] [ arg ... ]

sendmail has the interface that programs expect under this name. It reads a message from
descriptor 0 and gives it to qmail-inject, to be sent to the addresses that are its arguments.

Under the name mailq it does as with -bp. There is no alias file: under the name newaliases
it refers to the program that has one.

Options:
    -t        send to the addresses in the header too
    -fsender  the envelope sender, also in the From field that is made when there is none
    -Fname    the personal name in that From field, unless -f is given too
    -bm       the default: take a message
    -bp       show the queue; becomes qmail-qread
    -bs       talk SMTP on descriptors 0 and 1; becomes qmail-smtpd, which relays for its caller
    -em -ep -eq -i -m -v -x -Btype -Eword -Jword -oany -pany
              have no effect: there is one way to deliver, one to report errors, and a dot ends nothing

Exit status:
    100  wrong usage
    111  trouble that may pass
    otherwise that of the program it becomes

Environment:
    MAILNAME, QMAILUSER, QMAILHOST  set by -F and -f for qmail-inject
    PROTO                           if it is set, -bs leaves the environment alone; otherwise it makes
                                    one for qmail-smtpd, with RELAYCLIENT

See also: qmail-inject, qmail-smtpd, qmail-qread
"""

from __future__ import annotations

import os

from mta import home
from mta.address import split
from supervise.command import Argv, Become, command
from supervise.errors import Permanent, Usage
from supervise.options import each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

# vimxepoBEJ: what other sendmails have and nobody needs here
LETTERS = b"vimte:f:p:o:B:F:E::J::xb:"
NAMES = (b"QMAILNAME", b"MAILNAME", b"NAME", b"QMAILHOST", b"MAILHOST")
LOCAL_CLIENT = {
    b"RELAYCLIENT": b"",
    b"DATABYTES": b"0",
    b"PROTO": b"TCP",
    b"TCPLOCALIP": b"127.0.0.1",
    b"TCPLOCALHOST": b"localhost",
    b"TCPREMOTEIP": b"127.0.0.1",
    b"TCPREMOTEHOST": b"localhost",
    b"TCPREMOTEINFO": b"sendmail-bs",
}


@command(b"sendmail", b"[ -t ] [ -fsender ] [ -Fname ] [ -bp ] [ -bs ] [ arg ... ]")
def main(argv: Argv) -> int:
    home.enter()
    name = os.path.basename(argv[0])
    rest = argv[1:]
    recipients = b"-a"
    sender = None
    for letter, value in each(name, rest, LETTERS):
        if letter == b"t":
            recipients = b"-H"
        elif letter == b"f":
            sender = value
        elif letter == b"F":
            os.environb[b"MAILNAME"] = value
        elif letter == b"b":
            enter_mode(value[:1])
    if name == b"mailq":
        become(b"qmail-qread")
    if name == b"newaliases":
        raise Permanent(b"please use fastforward/newaliases instead")
    if sender is None:
        become(b"qmail-inject", recipients, b"--", *rest)
    send_as(sender)
    become(b"qmail-inject", recipients, b"-f", sender, b"--", *rest)


def enter_mode(mode: bytes) -> None:
    """Obey -b."""
    if mode == b"p":
        become(b"qmail-qread")
    if mode == b"s":
        if b"PROTO" not in os.environb:
            os.environb.update(LOCAL_CLIENT)
        become(b"qmail-smtpd")
    if mode != b"m":
        raise Usage


def send_as(sender: bytes) -> None:
    """Have qmail-inject make the From field of *sender*."""
    for variable in NAMES:
        os.environb.pop(variable, None)
    os.environb[b"QMAILUSER"], host = split(sender)
    if host is not None:
        os.environb[b"QMAILHOST"] = host


def become(name: bytes, *arguments: bytes) -> NoReturn:
    """Become another program of the house."""
    raise Become([home.program(name), *arguments])
