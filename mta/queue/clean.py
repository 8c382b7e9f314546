"""qmail-clean - remove files of the queue for qmail-send

Usage: qmail-clean

qmail-send may not remove what belongs to qmailq; it asks qmail-clean, which
qmail-start runs as qmailq.  qmail-clean reads requests from descriptor 0 and
answers each with one byte on descriptor 1:

    foop/NUMBER and a NUL    remove intd/NUMBER and the message
    todo/NUMBER and a NUL    remove intd/NUMBER and todo/NUMBER

    +    it is gone
    !    it is not, for now
    x    that was no request

When it starts, and again every 30 requests, it removes those files in pid that
nobody has read or made for 36 hours: a submitter that died left them.

Exit status:
    0    there are no more requests
    100  nobody hears the answers
    111  there is no queue to clean

Environment:
    QMAILHOME  the home; /var/qmail by default

See also: qmail-send, qmail-start
"""

from __future__ import annotations

import os
import signal
import time

from mta.home import enter
from mta.queue import layout
from supervise.command import Argv, command
from supervise.errors import PERMANENT
from supervise.fd import Reader

REQUESTS, ANSWERS = 0, 1
SHORTEST, LONGEST = 7, 100  # bytes of a request, with its NUL
EVERY = 30  # requests between two looks into pid

WANTED = {  # in this order, so that an envelope never stays behind alone
    b"foop/": (layout.intd, layout.mess),
    b"todo/": (layout.intd, layout.todo),
}


@command(b"qmail-clean")
def main(argv: Argv) -> int:
    enter(b"queue")
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    requests = Reader(REQUESTS)
    clean_pid(time.time())
    served = 0
    while request := whole(requests):
        try:
            os.write(ANSWERS, answer(request))
        except OSError:
            return PERMANENT
        served += 1
        if served % EVERY == 0:
            clean_pid(time.time())
    return 0


def whole(requests: Reader) -> bytes:
    """The next request with its NUL, at most a little more than LONGEST bytes of it; b"" at the end."""
    request = b""
    while piece := requests.line(LONGEST + 1, b"\0"):
        request = (request + piece)[: LONGEST + 1]
        if piece.endswith(b"\0"):
            return request
    return b""


def answer(request: bytes) -> bytes:
    """Do what *request* says; the byte to answer with."""
    kind, number = request[:5], request[5:-1]
    if not SHORTEST <= len(request) <= LONGEST or kind not in WANTED or not number.isdigit():
        return b"x"
    for name in WANTED[kind]:
        try:
            os.unlink(name(int(number)))
        except FileNotFoundError:
            pass
        except OSError:
            return b"!"
    return b"+"


def clean_pid(now: float) -> None:
    """Remove what is left in pid since more than 36 hours; *now* is seconds since 1970."""
    try:
        names = os.listdir(b"pid")
    except OSError:
        return
    for name in names:
        try:
            if os.stat(b"pid/" + name).st_atime + layout.OSSIFIED <= now:
                os.unlink(b"pid/" + name)
        except OSError:  # somebody was quicker, or it waits for the next time
            pass
