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

from supervise.errors import TEMPORARY, Temporary, reason
from supervise.pool import Pool
from supervise.program import ignore_broken_pipes, spawn
from ucspi.environ import from_entries
from ucspi.tls.settings import ASK, REQUIRE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from ucspi.tls.certificates import Certificates
    from ucspi.tls.settings import TlsSettings

    Make = Callable[[Callable[[bytes], object]], Certificates]

OUTSIDE, INSIDE, COMMANDS = 0, 1, 3  # a speaker's descriptors
CONTROL, DATA = 3, 4  # a program's
START, START_AND_TELL = b"y", b"Y"
NONE = -1  # there are no certificates, and never were
INTERVAL = 1.0  # seconds until a changed certificate is noticed


def certificates(settings: TlsSettings) -> Make:
    """What makes our certificates, as the environment names them."""

    def make(warn: Callable[[bytes], object]) -> Certificates:
        from ucspi.tls.certificates import Certificates

        ask, require = settings.client == ASK, settings.client == REQUIRE
        return Certificates(os.environb.copy(), ask, require, warn)

    return make


class Speaker:
    """What a speaker does: wait for the word, shake hands with the client, and pass on what is said.

    The certificates are read in the nursery, which may go on to read them: a speaker has those of its birth.

    Args:
        make: makes our certificates, given who is told what is wrong later; with all rights that we start with.
        become: gives those rights up.
        settings: how long a client may take.
        warn: is told, in a line, what is wrong with certificates, or why a connection is dropped.
    """

    def __init__(
        self,
        make: Make,
        become: Callable[[], object],
        settings: TlsSettings,
        warn: Callable[[bytes], object],
    ) -> None:
        self.make, self.become, self.settings, self.warn = make, become, settings, warn
        self.certificates: Certificates | None = None
        self.has_rights = True
        self.trouble = Temporary(b"")  # why there are no certificates

    def renew(self) -> int:
        """In the nursery: read what is new of the certificates; a number that grows with each change, or NONE."""
        if self.certificates:
            return self.certificates.renew()
        self.read(self.warn)
        return self.certificates.number if self.certificates else NONE

    def read(self, warn: Callable[[bytes], object]) -> None:
        """Read the certificates, or note why that cannot be done."""
        if not self.settings.with_all_rights:
            self.give_up_rights()
        try:
            self.certificates = self.make(warn)
        except Temporary as trouble:
            self.trouble = trouble

    def prepare(self, key: Hashable) -> None:
        """In a new speaker: give up the right to read the keys."""
        self.give_up_rights()
        ignore_broken_pipes()  # that nobody reads the log is no reason to stop
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
            self.warn(b"dropping connection, " + trouble.line)
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
        try:
            self.number = self.pool.renewed()  # what the nursery said last of the certificates
        except OSError as error:
            raise Temporary(b"unable to read certificates", error) from None
        self.look_at = time.monotonic() + INTERVAL  # when we ask it again

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

    @property
    def lost(self) -> bool:
        """Whether the nursery is dead, which alone may read the keys."""
        return self.pool.nursery is None

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
        speaker.read(lambda line: None)  # what is said of it is said by who goes on to read them
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
