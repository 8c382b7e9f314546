"""Between a peer that speaks TLS and a program that does not; the peer is a client, or a server.

Bytes wait here in no more than a few buffers of fixed size: who does not read is not read from.  The end of the
peer's bytes is passed on, and so is that of the program's.
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
    """The peer has gone without a word, or nobody is there any more to speak with it."""


class Relay:
    """One connection.

    Args:
        context: what we are to the peer.
        outside: the peer's connection.
        inside: the program's socket.
        server_name: the peer's, when it is a server; None: it is a client.

    Raises:
        ValueError: no server can have this name.
    """

    def __init__(
        self, context: ssl.SSLContext, outside: socket.socket, inside: socket.socket, server_name: str | None = None
    ) -> None:
        self.outside, self.inside = outside, inside
        self.coming, self.going = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.coming, self.going, server_name is None, server_name)
        self.unable = b"unable to accept TLS: " if server_name is None else b"unable to start TLS: "
        self.to_peer, self.to_program = b"", b""
        self.peer_ended = self.program_ended = self.program_left = False
        self.trouble: bytes | None = None  # why the peer has ended, when it was not in the usual way
        for end in (outside, inside):
            end.setblocking(False)

    def shake_hands(self, seconds: float) -> None:
        """Agree with the peer on how to speak.

        Args:
            seconds: how long that may take.

        Raises:
            Temporary: it cannot be done; the text says why.
            Ended: the peer has gone.
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
                raise Temporary(self.unable + trouble)
            self.wait(self.outside, select.POLLIN, limit)
            self.receive()
            if self.peer_ended:
                raise Ended

    def send_all(self, limit: float) -> None:
        """Send what the library has for the peer."""
        self.to_peer += self.going.read()
        while self.to_peer:
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
            raise Temporary(self.unable + b"timed out")
        if self.inside.fileno() in ready:
            if not self.inside.recv(1, socket.MSG_PEEK):
                raise Ended
            self.program_left = True  # and has left something to say

    # -- once hands are shaken ---------------------------------------------------------------
    def pass_on(self, patience: float) -> None:
        """Pass bytes on, until the peer is gone, or has all that the program said, which is gone or has all in turn.

        Args:
            patience: seconds without a byte after which we give up.

        Raises:
            Ended: the peer has gone, or we have given up.
        """
        self.take_in()
        while not self.over:
            for end, events in self.events(patience):
                if end is self.outside:
                    self.turn_outside(events)
                else:
                    self.turn_inside(events)
        try:
            self.outside.shutdown(socket.SHUT_WR)
        except OSError:  # the peer has gone meanwhile
            pass

    @property
    def over(self) -> bool:
        """Whether there is no more to pass on."""
        if self.to_peer or not self.program_ended:
            return False
        return self.program_left or (self.peer_ended and not self.to_program)

    def events(self, patience: float) -> list[tuple[socket.socket, int]]:
        """What has happened at either end, as far as we have room for it.

        Raises:
            Ended: nothing has, all the time.
        """
        poll = select.poll()
        outside = select.POLLIN * (not self.peer_ended and len(self.to_program) < MOST)
        inside = select.POLLIN * (not self.program_ended and len(self.to_peer) < MOST)
        poll.register(self.outside, outside | select.POLLOUT * bool(self.to_peer))
        if inside or (self.program_ended and not self.program_left) or self.to_program:
            poll.register(self.inside, inside | select.POLLOUT * bool(self.to_program))
        ends = {end.fileno(): end for end in (self.outside, self.inside)}
        found = [(ends[fd], events) for fd, events in poll.poll(patience * 1000)]
        if not found:
            raise Ended
        return found

    def turn_outside(self, events: int) -> None:
        """Send to the peer, and take in what it sends."""
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
        elif events & select.POLLHUP:  # it neither says nor hears any more
            self.program_left, self.to_program = True, b""

    def send(self) -> None:
        """Send the peer what waits for it."""
        try:
            self.to_peer = self.to_peer[self.outside.send(self.to_peer) :]
        except BlockingIOError:
            pass
        except OSError:
            raise Ended from None

    def receive(self) -> None:
        """Receive what the peer has sent."""
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
            self.peer_ended = True

    def take_in(self) -> None:
        """Take what the peer said out of what it has sent."""
        said = []
        try:
            while data := self.tls.read(CHUNK):
                said.append(data)
            self.peer_ended = True
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):  # its end without a word; or with one, after ours
            self.peer_ended = True
        except ssl.SSLError as error:  # nonsense, or an alert
            self.peer_ended, self.trouble = True, said_by(error)
        self.to_program += b"".join(said)
        self.to_peer += self.going.read()
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
        """Let the program see the end of what the peer said."""
        if self.peer_ended and not self.to_program:
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
        self.to_peer += self.going.read()
