"""A whole mail system in a scratch folder: a home made by qmail-setup, its services under svscan, and its users.

    with Instance(rooted=False) as mail:
        text = mail.send("joe@mail.example")
        mail.joe.received(text)

Root's instance needs root and the qmail users; a plain user's belongs to who runs the tests, or to nobody
when root runs them.  Every process stands in a folder below the scratch folder, or has a parent that does;
that is how they are found again, also those that were orphaned.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

from commands import BIN, Result, environment, run
from processes import descendants, talks_to
from until import until

from mta.setup.controls import ADDITIONS

HOST = "mail.example"
NOBODY = 65534
JOE, SUE = 61001, 61002  # uids of users whom no password file knows
SERVICES = ("qmail-queued", "qmail-send", "qmail-smtpd")


class Box:
    """A user of this host.

    Attributes:
        name, uid: the user.
        address: where mail for the user goes.
        home: the user's home, in which there is a Maildir.
    """

    def __init__(self, name: str, uid: int, gid: int, home: Path) -> None:
        self.name, self.uid, self.gid, self.home = name, uid, gid, home
        self.address = f"{name}@{HOST}"
        if not home.exists():
            home.mkdir()
            self.own(home)
            self.maildir("Maildir")

    def maildir(self, name: str) -> None:
        """Make a Maildir in the home."""
        for part in ("", "tmp", "new", "cur"):
            folder = self.home / name / part
            folder.mkdir(mode=0o700)
            self.own(folder)

    def write(self, name: str, text: str) -> Path:
        """Write a file into the home."""
        file = self.home / name
        file.write_text(text)
        file.chmod(0o644)
        self.own(file)
        return file

    def own(self, *files: Path) -> None:
        if os.geteuid() == 0:
            for file in files:
                os.chown(file, self.uid, self.gid)

    def messages(self, maildir: str = "Maildir") -> list[bytes]:
        """The messages in a Maildir."""
        return [file.read_bytes() for file in (self.home / maildir / "new").iterdir()]

    def received(self, text: str, maildir: str = "Maildir") -> bytes:
        """Wait until a message with *text* in it is in a Maildir; that message."""

        def found() -> bytes:
            return next((message for message in self.messages(maildir) if text.encode() in message), b"")

        return until(found, what=f"{text!r} in {self.home / maildir}")


class Instance:
    """The mail system; use it in a with statement.

    Args:
        rooted: whether it is root's instance; else a plain user's.
        home: the name of its home below the scratch folder.
        rules: lines for tcp.smtp above those that it has.
        controls: control files to write; the text gets a newline.
    """

    def __init__(
        self,
        rooted: bool,
        home: str = "home",
        rules: Iterable[str] = (),
        controls: Mapping[str, str] | None = None,
    ) -> None:
        self.rooted = rooted
        self.runner = None if rooted or os.geteuid() else NOBODY  # who runs it, if not we
        self.uid = os.geteuid() if self.runner is None else self.runner
        self.scratch = Path(tempfile.mkdtemp(prefix="instance-"))  # not pytest's, into which nobody else can go
        self.scratch.chmod(0o755)
        if self.runner is not None:
            os.chown(self.scratch, self.runner, self.runner)
        self.home, self.queue = self.scratch / home, self.scratch / home / "queue"
        self.service = self.home / "service"
        self.env: dict[str, str | None] = {"QMAILHOME": str(self.home), "QMAILQUEUE": None}
        self.port = free_port()
        self.routes: dict[str, int] = {}
        self.numbers = itertools.count(1)
        self.svscan: subprocess.Popen[bytes] | None = None
        self.lay_out()
        self.joe, self.sue = (
            Box(name, uid, uid, self.scratch / name)
            for name, uid in (("joe", JOE if rooted else self.uid), ("sue", SUE if rooted else self.uid))
        )
        self.assign()
        alias = self.home / "alias"
        self.alias = Box("alias", alias.stat().st_uid, alias.stat().st_gid, alias)
        for name, text in (controls or {}).items():
            self.control(name, text)
        self.compile_rules(*rules)

    def __enter__(self) -> Instance:
        try:
            self.start()
            self.wait_for_submission()
            self.wait_for_smtp()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind:
            print(self.log("qmail-send"), self.log("qmail-smtpd")[-5000:], (self.scratch / "svscan.log").read_text())
        try:
            self.stop()
        finally:
            self.remove()

    # -- laying out ------------------------------------------------------------------------
    def lay_out(self) -> None:
        self.run(
            "qmail-setup", "--host", HOST, "--address", "127.0.0.1", "--port", str(self.port), self.home
        )  # fmt: skip
        for name in map(os.fsdecode, ADDITIONS):  # for what a test needs not to know of
            (self.home / "control" / name).unlink()

    def assign(self) -> None:
        """Give joe and sue their addresses."""
        lines = [f"={box.name}:{entry(box)}:::\n+{box.name}-:{entry(box)}:-::\n" for box in (self.joe, self.sue)]
        self.write(self.home / "users" / "assign", "".join(lines) + ".\n")
        self.run("qmail-newu")

    def write(self, file: Path, text: str) -> None:
        """Write a file of the home."""
        new = file.with_name(file.name + ".new")
        new.write_text(text)
        new.chmod(0o644)
        if self.runner is not None:
            os.chown(new, self.runner, self.runner)
        new.rename(file)

    def control(self, name: str, text: str) -> None:
        """Write a control file."""
        self.write(self.home / "control" / name, text + "\n")

    def route(self, host: str, port: int) -> None:
        """Send mail for *host* to a port of this machine."""
        self.routes[host] = port
        self.control("smtproutes", "\n".join(f"{host}:127.0.0.1:{port}" for host, port in self.routes.items()))

    def compile_rules(self, *lines: str) -> None:
        """Put *lines* above the first rules for SMTP clients, as the README says it is done."""
        folder = self.service / "qmail-smtpd"
        rules, first = folder / "tcp.smtp", folder / "tcp.smtp.first"
        if not first.exists():
            self.write(first, rules.read_text())
        text = "".join(line + "\n" for line in lines) + first.read_text()
        self.write(rules, text)
        self.run("tcprules", "tcp.smtp.cdb", "tcp.smtp.tmp", input=text.encode(), cwd=folder)
        (folder / "tcp.smtp.cdb").chmod(0o644)  # whatever the umask: qmaild reads it

    # -- running ---------------------------------------------------------------------------
    def run(self, *argv: str | Path, input: bytes = b"", cwd: Path | None = None, code: int = 0) -> Result:
        """Run one of our commands on this home, as who runs it; it must end with *code*."""
        result = run(*argv, input=input, env=self.env, cwd=cwd or self.scratch, user=self.runner)
        assert result.code == code, (argv, result)
        return result

    def start(self) -> None:
        """Start svscan."""
        who = {} if self.runner is None else {"user": self.runner, "group": self.runner, "extra_groups": []}
        with open(self.scratch / "svscan.log", "ab") as log:
            self.svscan = subprocess.Popen(  # type: ignore[call-overload]
                [BIN / "svscan", self.service],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment({"QMAILHOME": None}),  # the services know their home
                cwd=self.scratch,
                start_new_session=True,
                **who,
            )

    def svc(self, options: str, *services: str) -> None:
        """Control services (by default all of them) and their logs if named."""
        self.run("svc", options, *(self.service / name for name in services or SERVICES))

    def pid(self, service: str) -> int:
        """The process of a service as supervise knows it; 0 when it is down."""
        try:
            return int.from_bytes((self.service / service / "supervise" / "status").read_bytes()[12:16], "little")
        except FileNotFoundError:
            return 0

    def log(self, service: str) -> str:
        """What a service has logged."""
        file = self.service / service / "log" / "main" / "current"
        return file.read_text(errors="replace") if file.exists() else ""

    def logged(self, service: str, text: str, after: int = 0) -> str:
        """Wait until a service has logged *text* in more than the first *after* characters of its log; those lines."""

        def found() -> str:
            return "\n".join(line for line in self.log(service)[after:].splitlines() if text in line)

        return until(found, what=f"{text!r} in the log of {service}")

    def stop(self) -> None:
        """Stop everything, svscan first, so that nothing is started again; assert that nothing is left."""
        if self.svscan is None:
            return
        self.svscan.terminate()
        self.svscan.wait()
        self.svscan = None
        self.svc("-dx", *SERVICES, *(f"{name}/log" for name in SERVICES))
        try:
            until(lambda: not self.processes(), what="the end of all processes")
        finally:
            left = self.processes()
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            until(lambda: not self.processes())
        assert not left

    def remove(self) -> None:
        """Remove all traces."""
        if self.svscan:
            self.svscan.kill()
            self.svscan.wait()
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        until(lambda: not self.processes())
        shutil.rmtree(self.scratch)

    def processes(self) -> dict[int, str]:
        """All processes of the instance, with what they are called."""
        table = {int(name): process(int(name)) for name in os.listdir("/proc") if name.isdigit()}
        scratch = os.fsencode(self.scratch)
        ours = {pid for pid, (_, folder) in table.items() if folder == scratch or folder.startswith(scratch + b"/")}
        if self.svscan:
            ours.add(self.svscan.pid)
        while more := {pid for pid, (parent, _) in table.items() if parent in ours and pid not in ours}:
            ours |= more
        return {pid: title for pid in sorted(ours) if (title := title_of(pid))}

    # -- mail ------------------------------------------------------------------------------
    def wait_for_smtp(self) -> None:
        """Wait until somebody answers."""

        until(self.answers, what="a greeting")

    def answers(self) -> bool:
        """Whether somebody greets SMTP clients."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 20) as connection:
                return connection.recv(512).startswith(b"220")
        except OSError:
            return False

    def wait_for_submission(self) -> None:
        """Wait until qmail-queued listens."""

        def listening() -> bool:
            folder = os.open(self.home / "run", os.O_PATH)
            with socket.socket(socket.AF_UNIX) as client:
                try:
                    client.connect(f"/proc/self/fd/{folder}/submit")  # short, whatever the home is called
                except OSError:
                    return False
                finally:
                    os.close(folder)
                return True

        until(listening, what="qmail-queued")

    def server_of(self, client: socket.socket) -> int:
        """The process that serves *client*."""
        port, server = client.getsockname()[1], self.pid("qmail-smtpd")
        return until(lambda: [pid for pid in descendants(server) if talks_to(pid, port)])[0]

    def smtp(self, source: str = "127.0.0.1") -> smtplib.SMTP:
        """A client at the address *source*, for which there may be rules."""
        return smtplib.SMTP("127.0.0.1", self.port, "client.example", timeout=30, source_address=(source, 0))

    def send(
        self, *recipients: str, sender: str = "peer@far.example", source: str = "127.0.0.1", text: str = ""
    ) -> str:
        """Send a message by SMTP; a text in it that is in no other message."""
        token = f"message number {next(self.numbers)}."
        with self.smtp(source) as client:
            message = f"From: {sender}\nTo: {', '.join(recipients)}\nSubject: test\n\n{token}\n{text}"
            assert client.sendmail(sender, recipients, message) == {}
        return token

    def left(self) -> list[str]:
        """The files of messages in the queue."""
        found = []
        for folder, _, names in os.walk(self.queue):
            place = os.path.relpath(folder, self.queue)
            found += [f"{place}/{name}" for name in names if not place.startswith("lock")]
        return sorted(found)

    def wait_until_empty(self, seconds: float = 20) -> None:
        """Wait until the queue is empty."""
        until(lambda: not self.left(), seconds, what=f"an empty queue: {self.left()}")


def entry(box: Box) -> str:
    return f"{box.name}:{box.uid}:{box.gid}:{box.home}"


def process(pid: int) -> tuple[int, bytes]:
    """The parent of a process and the folder in which it stands, as far as we may know."""
    try:
        parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0, b""
    try:
        return parent, os.readlink(b"/proc/%d/cwd" % pid)
    except OSError:
        return parent, b""


def title_of(pid: int) -> str:
    """What a process is called; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def free_port() -> int:
    """A loopback port that is free, and that no client gets by chance."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
