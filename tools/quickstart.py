"""What ./quickstart does once its environment is there: a plain user's instance, tried out with a real message.

The home gets one mailbox, for the user who runs it, below the home; mail to anybody else of the host goes to
alias.  The real home folder of the user is not touched.
"""

from __future__ import annotations

import argparse
import os
import pwd
import re
import signal
import smtplib
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from supervise.account import become
from supervise.loop import Signals
from supervise.program import spawn

PATIENCE = 30.0  # seconds for each step
SERVICES = ("qmail-queued", "qmail-send", "qmail-smtpd")


class Failed(Exception):
    """It cannot go on; the text is one line that says why."""


def main() -> int:
    wish = arguments()
    home = Path(os.path.abspath(wish.home))
    bin = Path(sys.executable).parent
    os.environ.update(QMAILHOME=str(home), PATH=f"{bin}:/usr/local/bin:/usr/bin:/bin")
    try:
        user = settle(home, wish.top)
        nobody_runs(home)
        port_is_free(wish.port)
        host = host_of(home, wish.host)
        lay_out(home, host, wish.port, user)
        return Instance(home, host, wish.port, user.pw_name).try_out(once=wish.once)
    except Failed as failure:
        say(f"quickstart: {failure}")
        return 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./quickstart", description="A working mail system in a folder of its own.")
    parser.add_argument("top", help=argparse.SUPPRESS)
    parser.add_argument("home", metavar="DIR", nargs="?", help="the home (default: home beside this file)")
    parser.add_argument("--once", action="store_true", help="stop everything again; exit 0 only if the message arrived")
    parser.add_argument("--port", type=int, default=2525, help="for SMTP, on 127.0.0.1 (default: 2525)")
    parser.add_argument("--host", help="the host's name in the mail addresses of a new home (default: mail.example)")
    wish = parser.parse_intermixed_args()
    if not 0 < wish.port < 65536:
        parser.error(f"no such port: {wish.port}")
    wish.home = wish.home or default_home(wish.top)
    return wish


def default_home(top: str) -> str:
    """A folder `home` beside the commands' environment or the checkout: wherever those who run it can go."""
    environment = Path(sys.prefix)
    return str(environment.parent / "home") if environment.parent == Path(top) else str(environment) + "-home"


def settle(home: Path, top: str) -> pwd.struct_passwd:
    """Make the home's folder and become the user that it is to belong to."""
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Failed(f"cannot make {home}: {error.strerror}") from None
    if os.geteuid() == 0:
        owner = os.stat(top).st_uid or home.stat().st_uid or pwd.getpwnam("nobody").pw_uid
        user = pwd.getpwuid(owner)
        if any(home.iterdir()) and home.stat().st_uid != owner:
            raise Failed(f"{home} is not empty and does not belong to {user.pw_name}")
        os.chown(home, user.pw_uid, user.pw_gid)
        become(user.pw_uid, user.pw_gid)
        say(f"Running as {user.pw_name}, not as root.")
    if not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        raise Failed(f"{home} cannot be used by {pwd.getpwuid(os.geteuid()).pw_name}; name another folder")
    os.chdir(home)
    return pwd.getpwuid(os.geteuid())


def nobody_runs(home: Path) -> None:
    if any(alive(home / "service" / name) for name in SERVICES if (home / "service" / name).exists()):
        how = f"Ctrl-C where they were started, or {sys.prefix}/bin/svc -dx {home}/service/* {home}/service/*/log"
        raise Failed(f"the services of {home} run already; stop them first: {how}")


def host_of(home: Path, wished: str | None) -> str:
    """The host whose mail *home* takes; for another one, our message would leave this machine."""
    me = home / "control" / "me"
    if not me.exists():
        return wished or "mail.example"
    host = me.read_text().partition("\n")[0].rstrip()
    if wished not in (None, host):
        raise Failed(f"{home} is the home of {host}; name another folder for {wished}")
    return host


def port_is_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Failed(f"port {port} on 127.0.0.1: {error.strerror}; --port names another one") from None


def lay_out(home: Path, host: str, port: int, user: pwd.struct_passwd) -> None:
    """A home with one mailbox; what is there already is kept, but for the port."""
    say(f"Home: {home}")
    call("qmail-setup", "--host", host, "--port", str(port), str(home))
    name, mail = user.pw_name, home / "mail" / user.pw_name
    if not mail.exists():
        mail.mkdir(parents=True, mode=0o755)
        call("maildirmake", str(mail / "Maildir"))
    assign = home / "users" / "assign"
    if not assign.exists():
        ids = f"{name}:{user.pw_uid}:{user.pw_gid}:{mail}"
        assign.write_text(f"={name}:{ids}:::\n+{name}-:{ids}:-::\n.\n")
        call("qmail-newu")
    script = home / "service" / "qmail-smtpd" / "run"
    old = script.read_text()
    new = re.sub(r" 127\.0\.0\.1 \d+ ", f" 127.0.0.1 {port} ", old)
    if new != old:
        script.write_text(new)


def call(*words: str) -> None:
    """Run one of our commands to its end."""
    _, status = os.waitpid(spawn([os.fsencode(word) for word in words]), 0)
    if status:
        raise Failed(f"{words[0]} failed")


class Instance:
    """The running services of one home."""

    def __init__(self, home: Path, host: str, port: int, name: str) -> None:
        self.home, self.host, self.port, self.name = home, host, port, name
        self.services = [home / "service" / service for service in SERVICES]
        self.inbox = home / "mail" / name / "Maildir" / "new"
        self.signals = Signals(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def try_out(self, once: bool) -> int:
        with open(self.home / "svscan.log", "ab") as log:
            # In a session of its own: Ctrl-C is for us, who stop the services one after the other.
            argv = [b"svscan", os.fsencode(self.home / "service")]
            svscan = spawn(argv, {1: log.fileno(), 2: log.fileno()}, os.setsid)
        try:
            self.wait_for_smtp()
            arrived = self.send_one()
            self.show(arrived)
            if not once:
                self.advise()
                while not self.signals.arrived():
                    time.sleep(0.2)
            return 0
        finally:
            self.stop(svscan)

    def wait_for_smtp(self) -> None:
        def greeting() -> bool:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
                    return connection.recv(512).startswith(b"220")
            except OSError:
                return False

        logs = f"{self.home}/svscan.log and {self.home}/service/*/log/main/current"
        until(greeting, f"no SMTP greeting on port {self.port}; see {logs}", self.signals)
        say(f"The services are up; SMTP answers on 127.0.0.1 port {self.port}.")

    def send_one(self) -> Path:
        before = set(os.listdir(self.inbox))
        sender, recipient = f"quickstart@{self.host}", f"{self.name}@{self.host}"
        text = f"From: {sender}\nTo: {recipient}\nSubject: it works\n\nThis message came in over SMTP.\n"
        try:
            with smtplib.SMTP("127.0.0.1", self.port, timeout=PATIENCE) as client:
                client.sendmail(sender, [recipient], text)
        except OSError as error:  # as which smtplib reports refusals, too
            raise Failed(f"the message was not accepted: {error}; see {self.home}/service/*/log/main/current") from None
        say(f"Sent a message to {recipient}; it was accepted.")

        def new() -> list[str]:
            return [entry for entry in os.listdir(self.inbox) if entry not in before]

        until(new, f"the message did not arrive; see {self.home}/service/qmail-send/log/main/current", self.signals)
        return self.inbox / new()[0]

    def show(self, message: Path) -> None:
        say(f"It landed in {message}:\n")
        say("".join("    " + line for line in message.read_text().splitlines(keepends=True)))
        log = self.home / "service" / "qmail-send" / "log" / "main" / "current"
        until(lambda: " end msg " in log.read_text()[-99:], f"the delivery does not end; see {log}", self.signals)
        for service in ("qmail-smtpd", "qmail-send"):
            say(f"{self.home}/service/{service}/log/main/current says:\n")
            lines = (self.home / "service" / service / "log" / "main" / "current").read_text().splitlines()[-8:]
            say("".join(f"    {line}\n" for line in lines))

    def advise(self) -> None:
        bin = f"{Path(sys.executable).parent}"
        say(
            f"""What you can do now, in another terminal (export QMAILHOME={self.home} PATH={bin}:$PATH):

    svstat {self.home}/service/*                 what runs, and since when
    svc -d {self.home}/service/qmail-smtpd       stop one service; svc -u starts it again
    tai64nlocal < {self.home}/service/qmail-send/log/main/current     read a log
    qmail-qstat; qmail-qread                     what is in the queue
    echo 'Subject: hello' | qmail-inject {self.name}@{self.host}      send a message
    edit {self.home}/service/qmail-smtpd/tcp.smtp, then in that folder
    tcprules tcp.smtp.cdb tcp.smtp.tmp < tcp.smtp                     change who may relay

Ctrl-C stops everything."""
        )

    def stop(self, svscan: int) -> None:
        """svscan first, so that nothing is started again; then the services, then their logs."""
        os.kill(svscan, signal.SIGTERM)
        os.waitpid(svscan, 0)
        folders = [str(folder) for service in self.services for folder in (service, service / "log") if folder.exists()]
        call("svc", "-dx", *folders)
        until(lambda: not any(alive(Path(folder)) for folder in folders), f"not all of {self.home}/service/* stopped")
        say("Everything is stopped.")


def alive(service: Path) -> bool:
    """Whether a supervise runs on *service*."""
    _, status = os.waitpid(spawn([b"svok", os.fsencode(service)]), 0)
    return status == 0


def until(condition: Callable[[], object], failure: str, signals: Signals | None = None) -> None:
    """Wait until *condition* gives something true.

    Raises:
        Failed: *failure*, when that takes too long, or one of *signals* came.
    """
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if signals and signals.arrived():
            raise Failed("interrupted")
        if time.monotonic() > deadline:
            raise Failed(failure)
        time.sleep(0.02)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
