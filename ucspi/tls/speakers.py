"""The processes that speak TLS for a server, which alone can read the keys.

A program talks with its speaker as UCSPI-TLS has it (https://www.fehcom.de/ipnet/ucspi-ssl/man/ucspi-tls.2.html).
It has the client's connection on descriptors 0 and 1, as ever.  Over the control socket it says `y`, to start TLS, or
`Y`, to hear about it too: then it gets variables, each `NAME=value` and NUL, and one NUL more.  From then on it speaks
with the client over the data socket.  The variables SSLCTLFD, SSLREADFD and SSLWRITEFD tell the descriptors.
"""

from __future__ import annotations

import os
import socket
import sys
import time

from supervise.command import say
from supervise.errors import TEMPORARY, Temporary, reason
from supervise.pool import Pool
from supervise.program import spawn
from ucspi.environ import from_entries
from ucspi.tls.settings import ASK, REQUIRE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from ucspi.tls.certificates import Certificates
    from ucspi.tls.settings import TlsSettings

OUTSIDE, INSIDE, COMMANDS = 0, 1, 3  # a speaker's descriptors
CONTROL, DATA = 3, 4  # a program's
START, START_AND_TELL = b"y", b"Y"
INTERVAL = 1.0  # seconds until a changed certificate is noticed


def certificates(settings: TlsSettings, name: bytes) -> Callable[[], Certificates]:
    """What makes our certificates, as the environment names them; *name* is the server's, in the log."""

    def make() -> Certificates:
        from ucspi.tls.certificates import Certificates

        ask, require = settings.client == ASK, settings.client == REQUIRE
        return Certificates(os.environb.copy(), ask, require, lambda line: say(name + b": warning: " + line))

    return make


class Speaker:
    """What a speaker does: wait for the word, shake hands with the client, and pass on what is said.

    The certificates are read in the nursery, which may go on to read them: a speaker has those of its birth.

    Args:
        make: makes our certificates, with all rights that we start with.
        become: gives those rights up.
        settings: how long a client may take.
        drop: what a line begins with that says why a connection is dropped; None: nothing is said.
    """

    def __init__(
        self, make: Callable[[], Certificates], become: Callable[[], object], settings: TlsSettings, drop: bytes | None
    ) -> None:
        self.make, self.become, self.settings, self.drop = make, become, settings, drop
        self.certificates: Certificates | None = None
        self.has_rights = True
        self.trouble = Temporary(b"")  # why there are no certificates

    def renew(self) -> int:
        """In the nursery: read what is new of the certificates; a number that grows with each change."""
        if self.certificates:
            return self.certificates.renew()
        if not self.settings.with_all_rights:
            self.give_up_rights()
        try:
            self.certificates = self.make()
        except Temporary as trouble:
            self.trouble = trouble
        return 0

    def prepare(self, key: Hashable) -> None:
        """In a new speaker: give up the right to read the keys."""
        self.give_up_rights()
        sys.unraisablehook = lambda unraisable: None  # the library's traceback, when a client asks for a strange name

    def give_up_rights(self) -> None:
        if self.has_rights:
            self.become()
            self.has_rights = False

    def __call__(self, payload: bytes) -> int:
        from ucspi.tls.relay import Ended

        try:
            return self.speak()
        except Ended:
            return 0
        except Temporary as trouble:
            if self.drop is not None:
                say(self.drop + trouble.line)
            return TEMPORARY

    def speak(self) -> int:
        """Speak with the client when the program says so.

        Raises:
            Temporary: it cannot be done; the text says why.
            Ended: the client, or the program, is gone.
        """
        from ucspi.tls.relay import Relay
        from ucspi.tls.told import variables

        if not self.certificates:
            raise self.trouble
        with socket.socket(fileno=os.dup(COMMANDS)) as control:
            os.close(COMMANDS)
            command = control.recv(1)
            if command not in (START, START_AND_TELL):
                return 0
            with socket.socket(fileno=os.dup(OUTSIDE)) as outside, socket.socket(fileno=os.dup(INSIDE)) as inside:
                relay = Relay(self.certificates.context, outside, inside)
                relay.shake_hands(self.settings.patience)
                if command == START_AND_TELL:
                    control.sendall(variables(relay.tls))
                control.close()
                relay.pass_on(self.settings.rest)
        return 0


class Speakers:
    """A speaker for each connection; made while we have the right to read the keys.

    Args:
        speaker: what each does.
        limit: how many connections there may be.

    Raises:
        Temporary: there is a certificate that is none.
    """

    def __init__(self, speaker: Speaker, limit: int) -> None:
        check(speaker)
        self.pool = Pool(speaker, speaker.prepare, limit=limit, stays=True, renew=speaker.renew)
        self.number = 0  # what the nursery said last of the certificates
        self.look_at = 0.0  # when we ask it again

    def begin(self, connection: socket.socket) -> tuple[socket.socket, socket.socket]:
        """Have a speaker wait for the word about *connection*; the program's control and data sockets.

        Raises:
            OSError: there is no room for one.
        """
        control, commands = socket.socketpair()
        with commands:
            data, inside = socket.socketpair()
            with inside:
                try:
                    fds = {OUTSIDE: connection.fileno(), INSIDE: inside.fileno(), COMMANDS: commands.fileno()}
                    self.pool.begin(b"", fds, None, self.newest())
                except OSError:
                    control.close()
                    data.close()
                    raise
        return control, data

    def newest(self) -> int:
        """The number of the certificates that new speakers get; older speakers are not used again.

        Raises:
            OSError: the nursery is dead.
        """
        now = time.monotonic()
        if now >= self.look_at:
            self.number = self.pool.renewed()
            self.look_at = now + INTERVAL
        return self.number


def check(speaker: Speaker) -> None:
    """See in a process of its own, so that the keys are in no other's memory, that the certificates are right.

    Raises:
        Temporary: they are not.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC)

    def look() -> int:
        speaker.renew()
        os.write(9, speaker.trouble.line)
        return 0 if speaker.certificates else TEMPORARY

    try:
        pid = spawn(look, {9: writing})
    except OSError as error:
        raise Temporary(b"unable to fork: " + reason(error)) from None
    finally:
        os.close(writing)
    with open(reading, "rb", buffering=0) as told:
        line = told.read()
    if os.waitpid(pid, 0)[1] != 0:
        raise Temporary(line or b"unable to read certificates")


def start(control: int) -> list[tuple[bytes, bytes]] | None:
    """In a program: have TLS started over the descriptor *control*; the variables about it, None if it could not be."""
    told = b""
    try:
        os.write(control, START_AND_TELL)
        while not (told == b"\0" or told.endswith(b"\0\0")):
            more = os.read(control, 65536)
            if not more:
                return None
            told += more
    except ConnectionError:  # the speaker is dead
        return None
    return from_entries(told)
