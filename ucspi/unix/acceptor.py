"""The loop of unixserver, and one connection as a worker serves it."""

from __future__ import annotations

import os
import signal
import socket

from supervise.command import Become, say
from supervise.fd import write_all
from supervise.program import DEFAULT_PATH, find
from supervise.title import set_title
from supervise.worker import run_again
from ucspi.server.accepting import Accepting
from ucspi.server.limits import Limits
from ucspi.unix.address import put_variables
from ucspi.unix.failure import Failed, step
from ucspi.unix.settings import MOST, Settings

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
IGNORED = (signal.SIGHUP, signal.SIGPIPE, signal.SIGALRM)  # by us and, as with the original, by what we run
UNABLE = 255  # exit code of a worker that cannot run the program
BETWEEN = [b"unixserver:", b"worker"]


class Acceptor(Accepting):
    """The loop of unixserver.

    Args:
        door: the socket that connections come from; it never blocks.
        settings: what we were told to do.
    """

    def __init__(self, door: socket.socket, settings: Settings) -> None:
        super().__init__(b"unixserver", [door], Server(settings), Limits(settings.limit), ENDINGS)
        self.settings = settings

    def receive(self, connection: socket.socket, address: object) -> None:
        with connection:
            pid = self.hand_over(connection, b"", "")
        if pid is not None:
            self.tell(b"unixserver: pid %d" % pid)

    def refuse(self, error: OSError) -> None:
        say(Failed(b"fork", error).line)

    def tell_status(self) -> None:
        most = self.limits.most
        self.tell(b"unixserver: status: %d/%d" % (self.limits.count, most if most <= MOST // 2 else most - MOST - 1))

    def tell(self, line: bytes) -> None:
        if self.settings.verbose:
            try:
                os.write(1, line + b"\n")
            except OSError:  # nobody reads it
                pass


class Server:
    """What a worker knows of the server; called for each connection, which is on descriptors 0 and 1."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def __call__(self, payload: bytes) -> int:
        try:
            return self.serve()
        except Failed as failure:
            say(failure.line)
            return UNABLE

    def serve(self) -> int:
        """Serve the connection; the exit code.

        Raises:
            Failed: it cannot be.
            Become: the program is not ours, or may not run twice in one process.
        """
        for number in IGNORED:
            signal.signal(number, signal.SIG_IGN)
        step(b"write", lambda: write_all(1, self.settings.banner))
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, 0)
        try:
            put_variables(connection, self.settings.path)
        finally:
            connection.detach()
        program = self.settings.program
        path = os.environb.get(b"PATH", DEFAULT_PATH)
        command = find(program[0], path)
        if command is None:
            raise Foreign(program, path)
        set_title(program)
        code = run_again(program, path, command)
        set_title(BETWEEN)
        return code


class Foreign(Become):
    """Run a program that is none of ours."""

    foreign = True

    def refuse(self, error: OSError) -> int:
        say(Failed(b"execvp", error).line)
        return UNABLE
