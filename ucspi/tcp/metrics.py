"""What tcpserver has done, in numbers, in a file that Prometheus reads (text format 0.0.4).

    tcpserver_connections_open               connections that are being served
    tcpserver_connections_limit              how many may be
    tcpserver_connections_accepted_total     connections that were handed to the program, or denied by a rule or a limit
    tcpserver_connections_refused_total      of those and others, the ones that the program has not seen, by reason:
        rules                                 a rule denies them
        MAXCONNIP MAXCONNC MAXRATEIP MAXRATEC  a limit that a rule sets
        address                               the limit of -C
        proxy                                 no PROXY header
        tls                                   with --tls, TLS did not begin
        trouble                               something failed: names, rules or a process could not be had

A worker tells why it has refused a connection by a byte in a pipe, which it gets with the connection and closes before
the program runs.  The file is written at most once a second, and is whole at all times.
"""

from __future__ import annotations

import os
import time

from supervise.command import say
from supervise.errors import reason
from supervise.files import publish
from ucspi.tcp.crowd import LIMITS

RULES, ADDRESS, PROXY, TLS, TROUBLE = b"rules", b"address", b"proxy", b"tls", b"trouble"
REASONS = (RULES, *LIMITS, ADDRESS, PROXY, TLS, TROUBLE)
TELLER = 9  # descriptor on which a worker tells
INTERVAL = 1.0  # seconds from one writing to the next, at least
MOST = 65536  # bytes read at a time


class Metrics:
    """The numbers of one tcpserver.

    Args:
        path: the file.
        most: how many connections may be open.
    """

    def __init__(self, path: bytes, most: int) -> None:
        self.path, self.most = path, most
        self.accepted = self.open = 0
        self.refused = dict.fromkeys(REASONS, 0)
        self.reading, self.teller = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.changed = True
        self.next = 0.0  # when the file may be written again
        self.trouble = b""  # what was said of it last

    def fileno(self) -> int:
        return self.reading

    def hear(self) -> None:
        """Take note of what workers tell."""
        try:
            for byte in os.read(self.reading, MOST):
                if byte < len(REASONS):
                    self.refuse(REASONS[byte])
        except BlockingIOError:
            pass

    def accept(self) -> None:
        """A connection has been accepted."""
        self.accepted += 1

    def refuse(self, why: bytes) -> None:
        """A connection has been refused."""
        self.refused[why] += 1
        self.changed = True

    def stand(self, count: int) -> None:
        """So many connections are open now."""
        self.open, self.changed = count, True

    def rest(self) -> float:
        """Seconds until the file is to be written; 0 when it is up to date."""
        return max(0.001, self.next - time.monotonic()) if self.changed else 0.0

    def write(self, at_once: bool = False) -> None:
        """Write the file if it is not up to date, and it is time."""
        now = time.monotonic()
        if not self.changed or (now < self.next and not at_once):
            return
        self.changed, self.next = False, now + INTERVAL
        try:
            publish(self.path, self.path + b".new", bytes(self))
            self.trouble = b""
        except OSError as error:
            trouble = b"tcpserver: warning: unable to write %s: %s" % (self.path, reason(error))
            if trouble != self.trouble:
                self.trouble = trouble
                say(trouble)

    def __bytes__(self) -> bytes:
        lines = [
            b"# TYPE tcpserver_connections_open gauge",
            b"tcpserver_connections_open %d" % self.open,
            b"# TYPE tcpserver_connections_limit gauge",
            b"tcpserver_connections_limit %d" % self.most,
            b"# TYPE tcpserver_connections_accepted_total counter",
            b"tcpserver_connections_accepted_total %d" % self.accepted,
            b"# TYPE tcpserver_connections_refused_total counter",
            *(b'tcpserver_connections_refused_total{reason="%s"} %d' % count for count in self.refused.items()),
            b"",
        ]
        return b"\n".join(lines)


def tell(why: bytes) -> None:
    """In a worker: tell why a connection is refused."""
    try:
        os.write(TELLER, bytes([REASONS.index(why)]))
    except OSError:  # nobody hears it any more, or there is no room
        pass
