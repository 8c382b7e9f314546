"""The process that speaks TLS for a client, between its program and the server, and alone has the key."""

from __future__ import annotations

import os
import signal
import socket

from supervise.command import say
from supervise.errors import TEMPORARY, Temporary
from supervise.fd import read_all, write_all
from supervise.program import spawn
from ucspi.client.trying import THIS_HOST
from ucspi.environ import from_entries

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from supervise.environment import Variable

OUTSIDE, INSIDE, TELLING = 0, 1, 3  # descriptors of the process


class Wishes:
    """What is wanted of TLS.

    Args:
        files: has the variables CAFILE, CADIR, CERTFILE, KEYFILE and CIPHERS, as far as they are set.
    """

    __slots__ = ("check_name", "files", "patience", "rest", "verify")

    def __init__(self, files: Mapping[bytes, bytes]) -> None:
        self.files = dict(files)
        self.verify = True  # the server's certificate
        self.check_name = True  # whether it is for the name of the server
        self.patience = 60.0  # seconds to shake hands
        self.rest = 3600.0  # seconds without a byte

    def context(self) -> ssl.SSLContext:
        """A context for a handshake.

        Raises:
            Temporary: a file cannot be read, or is wrong.
        """
        import ssl

        from ucspi.tls.certificates import no_password, step, use_choices

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF  # else we could not go on to speak after it
        context.check_hostname = self.verify and self.check_name
        context.verify_mode = ssl.CERT_REQUIRED if self.verify else ssl.CERT_NONE
        if self.verify and not (self.files.get(b"CAFILE") or self.files.get(b"CADIR")):
            context.load_default_certs()
        use_choices(context, self.files)
        own = self.files.get(b"CERTFILE")
        if own:
            key = self.files.get(b"KEYFILE") or own
            step(b"use certificate in " + own, lambda: context.load_cert_chain(own, key, no_password))
        return context


def start(
    connection: socket.socket, host: bytes, wishes: Wishes, warn: bytes | None
) -> tuple[socket.socket, list[Variable]]:
    """Have TLS spoken over *connection*, in a process that ends with it; *connection* is closed here.

    Args:
        host: the server's name or address, as it has to be in its certificate.
        warn: what a line begins with that says what goes wrong later; None: nothing is said.

    Returns:
        The socket of a program that does not speak TLS, and variables about TLS.

    Raises:
        Temporary: it cannot be done.
    """
    try:
        ours, inside = socket.socketpair()
        reading, writing = os.pipe2(os.O_CLOEXEC)
        with connection, inside:
            fds = {OUTSIDE: connection.fileno(), INSIDE: inside.fileno(), TELLING: writing}
            spawn(lambda: speak(host, wishes, warn), fds)
    except OSError as error:
        raise Temporary(b"unable to start TLS", error) from None
    os.close(writing)
    told = read_all(reading)
    os.close(reading)
    if not told.endswith(b"\0"):
        ours.close()
        raise Temporary(told or b"unable to start TLS: connection closed")
    return ours, list(from_entries(told))


def speak(host: bytes, wishes: Wishes, warn: bytes | None) -> int:
    """In the process: shake hands, tell the variables or what is wrong, and pass on what is said; an exit code."""
    from ucspi.tls.relay import Ended, Relay
    from ucspi.tls.told import variables

    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        with socket.socket(fileno=OUTSIDE) as outside, socket.socket(fileno=INSIDE) as inside:
            try:
                relay = Relay(wishes.context(), outside, inside, server_name(host))
            except ValueError:
                raise Temporary(b"unable to start TLS: no server can be called " + host) from None
            relay.shake_hands(wishes.patience)
            write_all(TELLING, variables(relay.tls))
            os.close(TELLING)
            try:
                relay.pass_on(wishes.rest)
            finally:
                if relay.trouble and warn is not None:
                    say(warn + relay.trouble)
    except Ended:
        return 0
    except Temporary as trouble:
        write_all(TELLING, trouble.line)
        return TEMPORARY
    return 0


def server_name(host: bytes) -> str:
    """The name of *host* as a certificate has it.

    Raises:
        ValueError: none can have it.
    """
    if host in THIS_HOST:
        return "localhost"
    return host.removesuffix(b".").partition(b"%")[0].decode("idna")
