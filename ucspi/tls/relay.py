"""Between a client that speaks TLS and a program that does not.

Bytes wait here in no more than a few buffers of fixed size: who does not read is not read from.  The end of the
client's bytes is passed on, and so is that of the program's.
"""

from __future__ import annotations

import select
import socket
import ssl
import time

from supervise.errors import Temporary
from ucspi.tls.certificates import said_by

MOST = 1 << 16  # bytes read at a time, and that may wait in each direction
CHUNK = 1 << 14  # bytes in a record of TLS


class Ended(Exception):
    """The client has gone without a word, or nobody is there any more to speak with it."""


class Relay:
    """One connection.

    Args:
        context: what we are to the client.
        outside: the client's connection.
        inside: the program's socket.
    """

    def __init__(self, context: ssl.SSLContext, outside: socket.socket, inside: socket.socket) -> None:
        self.outside, self.inside = outside, inside
        self.coming, self.going = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.coming, self.going, server_side=True)
        self.to_client, self.to_program = b"", b""
        self.client_ended = self.program_ended = self.program_left = False
        for end in (outside, inside):
            end.setblocking(False)

    def shake_hands(self, seconds: float) -> None:
        """Agree with the client on how to speak.

        Args:
            seconds: how long that may take.

        Raises:
            Temporary: it cannot be done; the text says why.
            Ended: the client has gone.
        """
        limit = time.monotonic() + seconds
        while True:
            try:
                self.tls.do_handshake()
                trouble = None
            except ssl.SSLWantReadError:
                trouble = b""
            except ssl.SSLError as error:
                trouble = said_by(error)
            self.send_all(limit)
            if trouble is None:
                return
            if trouble:
                raise Temporary(b"unable to accept TLS: " + trouble)
            self.wait(self.outside, select.POLLIN, limit)
            self.receive()
            if self.client_ended:
                raise Ended

    def send_all(self, limit: float) -> None:
        """Send what the library has for the client."""
        self.to_client += self.going.read()
        while self.to_client:
            self.wait(self.outside, select.POLLOUT, limit)
            self.send()

    def wait(self, end: socket.socket, what: int, limit: float) -> None:
        """Wait until *end* can be read from or written to.

        Raises:
            Temporary: not in time.
            Ended: the program has gone meanwhile.
        """
        poll = select.poll()
        poll.register(end, what)
        if not self.program_left:
            poll.register(self.inside, 0)
        ready = [fd for fd, _ in poll.poll(max(0.0, limit - time.monotonic()) * 1000)]
        if not ready:
            raise Temporary(b"unable to accept TLS: timed out")
        if self.inside.fileno() in ready:
            if not self.inside.recv(1, socket.MSG_PEEK):
                raise Ended
            self.program_left = True  # and has left something to say

    # -- once hands are shaken ---------------------------------------------------------------
    def pass_on(self, patience: float) -> None:
        """Pass bytes on, until the program has ended and the client has all it said, or the client is gone.

        Args:
            patience: seconds without a byte after which we give up.

        Raises:
            Ended: the client has gone, or we have given up.
        """
        self.take_in()
        while not (self.program_ended and not self.to_client):
            for end, events in self.events(patience):
                if end is self.outside:
                    self.turn_outside(events)
                else:
                    self.turn_inside(events)
        try:
            self.outside.shutdown(socket.SHUT_WR)
        except OSError:  # the client has gone meanwhile
            pass

    def events(self, patience: float) -> list[tuple[socket.socket, int]]:
        """What has happened at either end, as far as we have room for it.

        Raises:
            Ended: nothing has, all the time.
        """
        poll = select.poll()
        outside = select.POLLIN * (not self.client_ended and len(self.to_program) < MOST)
        inside = select.POLLIN * (not self.program_ended and len(self.to_client) < MOST)
        poll.register(self.outside, outside | select.POLLOUT * bool(self.to_client))
        if inside or self.to_program:
            poll.register(self.inside, inside | select.POLLOUT * bool(self.to_program))
        ends = {end.fileno(): end for end in (self.outside, self.inside)}
        found = [(ends[fd], events) for fd, events in poll.poll(patience * 1000)]
        if not found:
            raise Ended
        return found

    def turn_outside(self, events: int) -> None:
        """Send to the client, and take in what it sends."""
        if events & select.POLLOUT:
            self.send()
        if events & select.POLLIN:
            self.receive()
            self.take_in()
        elif events & (select.POLLERR | select.POLLHUP):
            raise Ended

    def turn_inside(self, events: int) -> None:
        """Give to the program, and take what it says."""
        if events & select.POLLOUT:
            self.give()
        if events & (select.POLLIN | select.POLLHUP | select.POLLERR) and not self.program_ended:
            self.take_out()

    def send(self) -> None:
        """Send the client what waits for it."""
        try:
            self.to_client = self.to_client[self.outside.send(self.to_client) :]
        except BlockingIOError:
            pass
        except OSError:
            raise Ended from None

    def receive(self) -> None:
        """Receive what the client has sent."""
        try:
            data = self.outside.recv(MOST)
        except BlockingIOError:
            return
        except OSError:
            raise Ended from None
        if data:
            self.coming.write(data)
        else:
            self.coming.write_eof()
            self.client_ended = True

    def take_in(self) -> None:
        """Take what the client said out of what it has sent."""
        said = []
        try:
            while data := self.tls.read(CHUNK):
                said.append(data)
            self.client_ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:  # its end without a word, or nonsense
            self.client_ended = True
        self.to_program += b"".join(said)
        self.to_client += self.going.read()
        self.pass_end_on()

    def give(self) -> None:
        """Give the program what waits for it."""
        try:
            self.to_program = self.to_program[self.inside.send(self.to_program) :]
        except BlockingIOError:
            pass
        except OSError:  # it reads no more
            self.to_program = b""
        self.pass_end_on()

    def pass_end_on(self) -> None:
        """Let the program see the end of what the client said."""
        if self.client_ended and not self.to_program:
            try:
                self.inside.shutdown(socket.SHUT_WR)
            except OSError:
                pass

    def take_out(self) -> None:
        """Take what the program says."""
        try:
            data = self.inside.recv(MOST)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        try:
            if data:
                self.tls.write(data)
            else:
                self.program_ended = True
                self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            raise Ended from None
        self.to_client += self.going.read()
