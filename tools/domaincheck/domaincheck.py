"""domaincheck - refuse mail from domains that do not exist

Usage: domaincheck [ options ] smtpd [ arg ... ]

domaincheck is put between tcpserver and an SMTP server:

    tcpserver -x /etc/tcp.smtp.cdb 0 smtp domaincheck qmail-smtpd

It runs smtpd, passes on what client and server say, and looks up in the domain name system the domain of each sender
that MAIL FROM names.  Where no mail could be returned to, because the domain has neither a mail exchanger nor an
address, or says that it takes no mail (RFC 7505), domaincheck answers in smtpd's place, and smtpd gets RSET instead
of MAIL.  It prints one line about it:

    domaincheck: 192.0.2.1 pid 4711: 553 sorry, your envelope sender's domain nowhere.example does not exist (#5.1.8)

Nobody as the sender, a sender without a host, and an IP address in place of the host are let through.  For a client
with RELAYCLIENT, domaincheck does nothing but run smtpd.

Options; of -b and -B, of -c and -C the last counts:
    -b  a domain that does not exist: refuse with 553, the client gives up (default)
    -B  refuse with 451, the client tries again later
    -c  when the domain name system does not tell: refuse with 451 (default)
    -C  let in
    -n  refuse all mail from a client whose address has no name, or whose name does not exist, likewise

domaincheck is a child of smtpd, and ends with the output of smtpd: when smtpd is gone, the client has five seconds to
hear what is left, because tcpserver no longer counts it.  After QUIT nothing is passed on.  domaincheck stays between
them when TLS starts in the middle (UCSPI-TLS).  smtpd must not offer CHUNKING; qmail-smtpd does not.  A message with a
LF that has no CR before it is passed on to the piece with that LF, and then smtpd hears that the client is gone.

No source of the original is known; its options, if it had any, are not these.

Exit status:
    111  smtpd cannot be run
    100  wrong usage
    otherwise that of smtpd

Environment:
    RELAYCLIENT    if it is set, nothing is looked up
    TCPREMOTEIP    the client's address
    TCPREMOTEHOST  its name; without it, -n asks for one
    DNSCACHEIP     caches to ask instead of those in /etc/resolv.conf

See also: tcpserver, rblsmtpd, qmail-smtpd
"""

from __future__ import annotations

import os

from mta.smtp.path import address_in
from supervise.command import Argv, Become, command, say
from supervise.errors import Temporary, Usage
from supervise.options import options
from tools.domaincheck import domains
from tools.domaincheck.between import run_between
from ucspi.rbl.refusal import HARD, SOFT, VISIBLE, Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 100  # bytes of a domain in a reply


@command(b"domaincheck", b"[ -bBcCn ] smtpd [ arg ... ]")
def main(argv: Argv) -> int:
    found, program = options(argv, b"bBcCn")
    if not program:
        raise Usage
    if b"RELAYCLIENT" in os.environb:
        raise Become(program)
    run_between(program, Check([letter for letter, _ in found]).answer)


class Check:
    """What becomes of the mail of one client, by the *letters* of the options."""

    def __init__(self, letters: list[bytes]) -> None:
        self.code = SOFT if [letter for letter in letters if letter in b"bB"][-1:] == [b"B"] else HARD
        self.closed = [letter for letter in letters if letter in b"cC"][-1:] != [b"C"]
        self.named = b"n" in letters
        self.pid = os.getpid()
        self.client = os.environb.get(b"TCPREMOTEIP", b"")

    def answer(self, argument: bytes) -> bytes:
        """The reply to a MAIL with this *argument*; empty: the server is to say it."""
        refusal = (self.of_client() if self.named else None) or self.of_sender(address_in(argument))
        if refusal is None:
            return b""
        say(b"domaincheck: %s pid %d: %s" % (self.client.translate(VISIBLE), self.pid, refusal.line))
        return refusal.line + b"\r\n"

    def of_sender(self, sender: bytes) -> Refusal | None:
        """Why mail from *sender* is refused, if it is."""
        from mta.remote.routes import literal

        _, at, domain = sender.rpartition(b"@")
        if not at or literal(domain):
            return None
        return self.judge(
            lambda: domains.exists(domain),
            b"sorry, your envelope sender's domain %s does not exist" % domain[:LONGEST],
            b"sorry, I can't find out whether your envelope sender's domain %s exists" % domain[:LONGEST],
            b"1.8",  # RFC 3463: bad sender's system address
        )

    def of_client(self) -> Refusal | None:
        """Why all mail from the client is refused, if it is."""
        return self.judge(
            lambda: domains.client_exists(self.client, os.environb.get(b"TCPREMOTEHOST", b"")),
            b"sorry, your address %s has no name that exists" % self.client,
            b"sorry, I can't find out whether your address %s has a name" % self.client,
            b"7.25",  # RFC 7372: reverse DNS validation failed
        )

    def judge(self, looked_up: Callable[[], bool], no: bytes, unknown: bytes, detail: bytes) -> Refusal | None:
        """None, if what is *looked_up* is there; else a refusal that says *no*, or *unknown*, with a status code."""
        try:
            if looked_up():
                return None
            code, text = self.code, no
        except Temporary:
            if not self.closed:
                return None
            code, text = SOFT, unknown
        return Refusal(code, text + b" (#%c.%s)" % (code[:1], detail))
