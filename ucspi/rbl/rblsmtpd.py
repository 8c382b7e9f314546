"""rblsmtpd - refuse mail from clients that stand in lists

Usage: rblsmtpd [ options ] smtpd [ arg ... ]

rblsmtpd is put between tcpserver and an SMTP server:

    tcpserver -x /etc/tcp.smtp.cdb 0 smtp rblsmtpd -a allow.example -r block.example qmail-smtpd

It asks lists in the domain name system about the client, in the order of the options, until one decides.
A client that no list names is served by smtpd.  One that is refused gets a small SMTP conversation instead:
HELO, EHLO, MAIL, RSET, NOOP and QUIT go well, everything else is refused.  rblsmtpd prints one line about it:

    rblsmtpd: 192.0.2.1 pid 4711: 451 See https://block.example/192.0.2.1

Each option counts for those that follow it:
    -r base       refuse a client for whom base has a TXT record, with its text
    -r base:text  refuse a client for whom base has an A record, with text, in which %IP% stands for the
                  client's address; only 127.0.0.0/8 counts, and 127.255.255.0/24, which says that the list
                  does not answer you, is a failure
    -a base       let in a client for whom base has an A record
    -B            refuse with 451: the client tries again later (default)
    -b            refuse with 553: the client gives up; only when no list before has failed
    -C            when a list fails: let in if it is one of -a, else go on (default)
    -c            when a list fails: refuse with 451 if it is one of -r, else go on
    -w seconds    wait, unless a list before has decided; 0 is -W
    -W            wait $GREETDELAY seconds likewise

And for all:
    -i            do not refuse a client that a list names: print its line, and run smtpd with the text
                  in $RBLSMTPD, behind `[RBL info] `
    -t seconds    how long the conversation may take (default 60); with 0 it is the refusal only

An IPv4-mapped address is taken as IPv4; of another IPv6 address the lists are asked about its 32 digits
(RFC 5782, section 2.4).  All lists are asked at once, so that the slowest costs its own time and no more.

Exit status:
    0    the client has been refused
    111  smtpd cannot be run
    100  wrong usage
    otherwise that of smtpd

Environment:
    TCPREMOTEIP  the client's address
    RBLSMTPD     if it is set, no list is asked: when it is empty, the client is served; otherwise it is
                 refused with this text and 451, or, when that begins with a hyphen, with the rest and 553
    GREETDELAY   seconds that -W waits
    DNSCACHEIP   caches to ask instead of those in /etc/resolv.conf

See also: tcpserver, tcprules, qmail-smtpd
"""

from __future__ import annotations

import os
import time

from supervise.command import Argv, Become, command, say
from supervise.errors import Temporary, Usage
from supervise.options import options
from ucspi.ip import leading_number
from ucspi.rbl.lists import AllowList, BlockList
from ucspi.rbl.questions import Questions
from ucspi.rbl.refusal import HARD, LONGEST_PATIENCE, SOFT, Refusal, refuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    Options = list[tuple[bytes, bytes]]

LETTERS = b"bBcCiWt:r:a:w:"
PATIENCE = 60  # seconds
FAILURE = b"temporary RBL lookup error"


@command(b"rblsmtpd", b"[ -b ] [ -R ] [ -t timeout ] [ -r base ] [ -a base ] smtpd [ arg ... ]", again=True)
def main(argv: Argv) -> int:
    found, program = options(argv, LETTERS)
    if not program:
        raise Usage
    client = os.environb.get(b"TCPREMOTEIP", b"")
    told = os.environb.get(b"RBLSMTPD")
    refusal = judge(found, client) if told is None else obey(told)
    if refusal is None:
        raise Become(program)
    if told is None and (b"i", b"") in found:
        os.environb[b"RBLSMTPD"] = information = b"[RBL info] " + refusal.text
        log(client, information)
        raise Become(program)
    log(client, refusal.line)
    refuse(refusal, [PATIENCE, *(leading_number(value) for letter, value in found if letter == b"t")][-1])
    return 0


def obey(told: bytes) -> Refusal | None:
    """What `RBLSMTPD` wants, which is *told*."""
    if not told:
        return None
    return Refusal(HARD, told[1:]) if told.startswith(b"-") else Refusal(SOFT, told)


def judge(found: Options, client: bytes) -> Refusal | None:
    """What the options in *found*, one after the other, decide about *client*."""
    bounce = closed = failed = False
    with Questions() as questions:
        blocking = iter([BlockList(base, client, questions) for letter, base in found if letter == b"r"])
        allowing = iter([AllowList(base, client, questions) for letter, base in found if letter == b"a"])
        for letter, value in found:
            if letter in b"bB":
                bounce = letter == b"b"
            elif letter in b"cC":
                closed = letter == b"c"
            elif letter in b"wW":
                delay(client, leading_number(value))
            elif letter == b"r":
                try:
                    text = next(blocking).text()
                except Temporary:
                    failed = True
                    text = FAILURE if closed else None
                if text is not None:
                    return Refusal(HARD if bounce and not failed else SOFT, text)
            elif letter == b"a":
                try:
                    allowed = next(allowing).names_it()
                except Temporary:
                    failed = True
                    allowed = not closed
                if allowed:
                    return None
    return None


def delay(client: bytes, seconds: int) -> None:
    """Have *client* wait; with 0 *seconds* as long as `GREETDELAY` says."""
    seconds = min(seconds or leading_number(os.environb.get(b"GREETDELAY", b"")), LONGEST_PATIENCE)
    if seconds:
        log(client, b"greetdelay: %d" % seconds)
        time.sleep(seconds)


def log(client: bytes, line: bytes) -> None:
    """Say *line* of *client*."""
    say(b"rblsmtpd: %s pid %d: %s" % (client, os.getpid(), line))
