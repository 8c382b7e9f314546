"""One connection, as a worker serves it.

The order is that of the original and can be seen from outside: socket options, the banner,
the names of both ends, the remote user, the rules, the log line, the program.
"""

from __future__ import annotations

import fcntl
import marshal
import os
import socket

from supervise.command import Become, say
from supervise.errors import PERMANENT, TEMPORARY, Temporary, reason
from supervise.fd import write_all
from supervise.program import DEFAULT_PATH, find, ignore_broken_pipes
from supervise.title import Title
from supervise.worker import run_again
from ucspi import ip
from ucspi.cdb import Cdb
from ucspi.ends import find_name, find_user
from ucspi.environ import End, put, shown_ip, variables
from ucspi.rules import rules
from ucspi.tcp import metrics
from ucspi.tcp.crowd import message, reached
from ucspi.tcp.settings import ALL, ERRORS, Settings
from ucspi.tls.speakers import CONTROL, DATA, start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.environment import Variable
    from ucspi.tcp.crowd import Counts

DENIED = PERMANENT
LONGEST = 100  # characters of a name in the log
# A log line has its fields between colons and blanks; some loggers do not like a percent sign.
VISIBLE = bytes(c if 33 <= c <= 126 and c not in b":%" else ord("?") for c in range(256))


class Server:
    """What a worker knows of the server; called for each connection, which is on descriptors 0 and 1."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.busy, self.idle = Title(settings.program), Title([settings.name + b":", b"worker"])

    def __call__(self, payload: bytes) -> int:
        try:
            remote, local, counts = marshal.loads(payload)
            return self.serve(End(*remote), End(*local) if local else None, counts)
        except Temporary as trouble:
            self.warn(trouble.line)
            self.count(metrics.TROUBLE)
            return TEMPORARY

    def count(self, why: bytes) -> None:
        """Have it counted that the connection is refused."""
        if self.settings.metrics:
            metrics.tell(why)

    def serve(self, remote: End, told: End | None, counts: Counts | None) -> int:
        """Serve the connection with *remote*; the exit code.

        Args:
            told: our end, if a proxy has told both.
            counts: how many connections the other end has, if somebody may set a limit.

        Raises:
            Temporary: it must be dropped, and why.
            Become: the worker is to become the program.
        """
        settings = self.settings
        ignore_broken_pipes()  # that nobody reads the log is no reason to stop
        if settings.verbosity >= ALL:
            shown = shown_ip(remote.ip, settings.as_ipv6).encode()
            say(b"%s: pid %d from %s" % (settings.name, os.getpid(), shown))
        own = prepare(remote, settings)
        local = told or own
        if settings.local_host is None:
            local.host = find_name(local)
        else:
            local.host = settings.local_host
        if settings.look_up:
            remote.host = find_name(remote, settings.paranoid)
        info = find_user(local, remote, settings.patience) if settings.identify and not told else None
        allowed, changes = self.decide(remote, info)
        limit = reached(counts, changes) if counts and allowed else None
        refused = metrics.RULES if not allowed else limit[0] if limit else None
        if settings.verbosity >= ALL:
            self.log(b"deny" if refused else b"ok", local, remote, info)
        if limit:
            shown = shown_ip(remote.ip, settings.as_ipv6).encode()
            self.warn(b"limit of %d for %s reached, %s" % (limit[1], shown, limit[0]))
            if not settings.speaks_tls:
                tell(message(changes))
        if refused:
            self.count(refused)
            return DENIED
        path = os.environb.get(b"PATH", DEFAULT_PATH)  # as the original: rules do not change where we look
        put(settings.shown(variables(local, remote, info, settings.as_ipv6)))
        put(changes)
        if settings.tls and not have_tls(settings):
            self.count(metrics.TLS)
            return TEMPORARY
        ignore_broken_pipes(False)
        return self.run(path)

    def decide(self, remote: End, info: bytes | None) -> tuple[bool, list[Variable]]:
        """Whether the rules allow the connection, and the variables that they set.

        Raises:
            Temporary: they cannot be read.
        """
        settings = self.settings
        if settings.rules is None:
            return True, []
        cdb = Cdb.open(settings.rules)
        if cdb is None:
            if settings.rules_may_miss:
                return True, []
            raise Temporary(b"unable to read " + settings.rules + b": file does not exist")
        try:
            allowed, changes = rules.decide(cdb, shown_ip(remote.ip, settings.as_ipv6).encode(), remote.host, info)
        finally:
            cdb.close()
        return allowed, [*changes]

    def run(self, path: bytes) -> int:
        """Run the program, looked for along *path*; the exit code if it left this process as it was.

        Raises:
            Become: it is not ours, or may not run twice in one process.
        """
        program = self.settings.program
        command = find(program[0], path)
        if self.settings.metrics:
            fcntl.fcntl(metrics.TELLER, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
        if command is None:
            raise Foreign(self, path)
        if self.settings.metrics:
            os.close(metrics.TELLER)
        self.busy.show()
        code = run_again(program, path, command)
        self.idle.show()
        return code

    def log(self, verdict: bytes, local: End, remote: End, info: bytes | None) -> None:
        """Say that a connection is accepted or denied."""
        here, there = (
            b"%s:%s:" % (visible(end.host), log_ip(end.ip, self.settings.as_ipv6)) for end in (local, remote)
        )
        here += b"%d" % local.port
        there += b"%s:%d" % (visible(info), remote.port)
        say(b"%s: %s %d %s %s" % (self.settings.name, verdict, os.getpid(), here, there))

    def warn(self, line: bytes) -> None:
        """Say why the connection is dropped, unless we are to be quiet."""
        if self.settings.verbosity >= ERRORS:
            say(self.settings.drop + line)


class Foreign(Become):
    """Run the program of *server*, which is none of ours."""

    foreign = True

    def __init__(self, server: Server, path: bytes) -> None:
        super().__init__(server.settings.program, path)
        self.server = server

    def refuse(self, error: OSError) -> int:
        self.server.warn(b"unable to run " + self.argv[0] + b": " + reason(error))
        self.server.count(metrics.TROUBLE)
        return TEMPORARY


def tell(text: bytes) -> None:
    """Send *text* to the other side, if it still listens."""
    try:
        write_all(1, text)
    except OSError:
        pass


def have_tls(settings: Settings) -> bool:
    """Have descriptors 0 and 1 speak TLS, or tell the program how to; False: the client cannot, which was said."""
    assert settings.tls
    if not settings.tls.at_once:
        put([(b"SSLCTLFD", b"%d" % CONTROL), (b"SSLREADFD", b"%d" % DATA), (b"SSLWRITEFD", b"%d" % DATA)])
        return True
    told = start(CONTROL)
    os.dup2(DATA, 0)
    os.dup2(DATA, 1)
    os.close(CONTROL)
    os.close(DATA)
    if told is None:
        return False
    if settings.tls.tell:
        put(told)
    tell(settings.banner)
    return True


def prepare(remote: End, settings: Settings) -> End:
    """Set the socket up, send the banner; our end of the connection.

    Raises:
        Temporary: the other side is gone already.
    """
    connection = socket.socket(ip.family(remote.ip), socket.SOCK_STREAM, 0, 0)
    try:
        if not settings.route:
            forget_route(connection)
        if not settings.delay:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if settings.banner and not settings.speaks_tls:
            try:
                connection.sendall(settings.banner)
            except OSError as error:
                raise Temporary(b"unable to print banner", error) from None
        try:
            return End.of(connection.getsockname())
        except OSError as error:
            raise Temporary(b"unable to get local address", error) from None
    finally:
        connection.detach()


def forget_route(connection: socket.socket) -> None:
    """Send packets along the ordinary route, whatever route the other side asked for."""
    try:
        connection.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, None, 0)
    except OSError:  # an IPv6 socket has none
        pass


def visible(name: bytes | None) -> bytes:
    """*name* as the log shows it: what others chose must neither break a line nor look like another field."""
    if not name:
        return b""
    return name[:LONGEST].translate(VISIBLE) + (b"..." if len(name) > LONGEST else b"")


def log_ip(address: str, as_ipv6: bool) -> bytes:
    """*address* as its socket has it, so that a log shows what kind of socket it was."""
    return (ip.mapped(address) if as_ipv6 else address).encode()
