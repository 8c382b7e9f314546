"""Mail systems that are measured side by side: how each is laid out, started, asked and stopped."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from usage import cpu_of_all

BIN = Path(sys.executable).parent
HOST = "bench.example"
SINK = "sink.example"
RECIPIENT = {"local": f"box@{HOST}", "relay": f"box@{SINK}"}


def until(condition: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"mail.py: {what}: not within {seconds:.0f} seconds")
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def make_maildir(maildir: Path, user: str) -> None:
    entry = pwd.getpwnam(user)
    for folder in (maildir, *(maildir / part for part in ("new", "cur", "tmp"))):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chown(folder, entry.pw_uid, entry.pw_gid)


class System:
    """A mail system in a folder of its own; `main` is the process above all others of it."""

    name = "?"

    def __init__(self, scratch: Path, sink_port: int) -> None:
        self.scratch, self.sink_port, self.port = scratch / self.name, sink_port, free_port()
        self.scratch.mkdir()
        self.scratch.chmod(0o755)
        self.maildir = self.scratch / "Maildir"
        self.main: psutil.Process | None = None

    def processes(self) -> list[psutil.Process]:
        assert self.main
        return [self.main, *self.main.children(recursive=True)]

    def cpu(self) -> float:
        """Seconds of CPU used so far by all processes, their ended children included."""
        assert self.main
        return cpu_of_all(self.main)

    def memory(self) -> float:
        """Proportional memory of all processes, in MiB."""
        total = 0
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += process.memory_full_info().pss
        return total / 2**20

    def wait_for_banner(self) -> None:
        def answers() -> bool:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
                    return connection.recv(512).startswith(b"220")
            except OSError:
                return False

        until(answers, 30, f"{self.name} does not answer on port {self.port}")

    def wait_for_queue(self) -> None:
        """Wait until messages can be submitted."""

    def queued(self) -> int:
        raise NotImplementedError

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError


class Supervised(System):
    """A qmail under svscan: ours, or one in C with Debian's daemontools and ucspi-tcp."""

    home: Path
    tools: str  # folders of its commands

    def path(self) -> str:
        return f"{self.tools}:/usr/bin:/bin"

    def configure(self) -> None:
        control = self.home / "control"
        for name, text in {
            "me": HOST,
            "locals": HOST,
            "rcpthosts": f"{HOST}\n{SINK}",
            "smtproutes": f"{SINK}:127.0.0.1:{self.sink_port}",
        }.items():
            write(control / name, text + "\n")
        nobody = pwd.getpwnam("nobody")
        box = f"=box:nobody:{nobody.pw_uid}:{nobody.pw_gid}:{self.scratch}:::\n.\n"
        write(self.home / "users" / "assign", box)
        subprocess.run(
            [f"{self.home}/bin/qmail-newu"], env={"PATH": self.path(), "QMAILHOME": str(self.home)}, check=True
        )
        make_maildir(self.maildir, "nobody")

    def start(self) -> None:
        self.configure()
        log = open(self.scratch / "svscan.log", "ab")
        environment = {"PATH": self.path(), "QMAILHOME": str(self.home)}
        svscan = subprocess.Popen(["svscan", str(self.services())], env=environment, stdout=log, stderr=log)
        self.main = psutil.Process(svscan.pid)
        self.svscan = svscan
        self.wait_for_banner()

    def services(self) -> Path:
        return self.home / "service"

    def stop(self) -> None:
        family = self.processes()
        self.svscan.terminate()
        self.svscan.wait()
        folders = [f for s in self.services().iterdir() if s.is_dir() for f in (s, s / "log") if f.is_dir()]
        subprocess.run(["svc", "-dx", *folders], env={"PATH": self.path()}, check=False)
        _, alive = psutil.wait_procs(family, timeout=20)
        for process in alive:
            process.kill()

    def queued(self) -> int:
        out = subprocess.run(
            [f"{self.home}/bin/qmail-qstat"],
            capture_output=True,
            text=True,
            check=True,
            env={"PATH": self.path(), "QMAILHOME": str(self.home)},
        ).stdout
        return sum(int(line.rsplit(":", 1)[1]) for line in out.splitlines())


class Pyqmail(Supervised):
    name = "pyqmail"

    def __init__(self, scratch: Path, sink_port: int) -> None:
        super().__init__(scratch, sink_port)
        self.home, self.tools = self.scratch / "home", str(BIN)
        subprocess.run(
            [BIN / "qmail-setup", "--host", HOST, "--address", "127.0.0.1", "--port", str(self.port), self.home],
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def wait_for_queue(self) -> None:
        def listens() -> bool:
            with socket.socket(socket.AF_UNIX) as client:
                return client.connect_ex(str(self.home / "run" / "submit")) == 0

        until(listens, 30, f"{self.name}: the submission server")


class CQmail(Supervised):
    name = "c-qmail"

    def __init__(self, scratch: Path, sink_port: int, home: Path) -> None:
        super().__init__(scratch, sink_port)
        self.home, self.tools = home, f"{home}/bin"
        files = [file for name in ("control", "users") for file in (home / name).iterdir() if file.is_file()]
        self.saved = {file: file.read_bytes() for file in files}
        smtpd = pwd.getpwnam("qmaild")
        logger = "#!/bin/sh\nexec setuidgid qmaill multilog t s1000000 n20 ./main\n"
        runs = {
            "qmail-send": "exec qmail-start ./Maildir/",
            "qmail-smtpd": f"exec softlimit -m 100000000 tcpserver -vRHl0 -c 100 -u {smtpd.pw_uid} -g {smtpd.pw_gid} "
            f"-x {self.scratch}/tcp.cdb 127.0.0.1 {self.port} qmail-smtpd",
        }
        for service, line in runs.items():
            write(self.services() / service / "run", f"#!/bin/sh\nexec 2>&1\n{line}\n", 0o755)
            write(self.services() / service / "log" / "run", logger, 0o755)
            (self.services() / service / "log" / "main").mkdir()
            shutil.chown(self.services() / service / "log" / "main", "qmaill", "nofiles")
            (self.services() / service).chmod(0o1755)
        subprocess.run(
            ["/usr/bin/tcprules", f"{self.scratch}/tcp.cdb", f"{self.scratch}/tcp.tmp"],
            input=b'127.:allow,RELAYCLIENT=""\n',
            check=True,
        )

    def services(self) -> Path:
        return self.scratch / "service"

    def stop(self) -> None:
        super().stop()
        for name in ("assign", "cdb"):
            (self.home / "users" / name).unlink()
        for file, content in self.saved.items():
            file.write_bytes(content)


class Postfix(System):
    """Debian's Postfix with its own queue and configuration, default tuning, virtual delivery."""

    name = "postfix"
    SERVICES = (
        "pickup cleanup qmgr rewrite bounce defer trace verify flush proxymap smtp relay showq "
        "error retry discard local virtual lmtp anvil scache"
    )

    def __init__(self, scratch: Path, sink_port: int) -> None:
        super().__init__(scratch, sink_port)
        (self.scratch / "spool").mkdir()

    def start(self) -> None:
        config, user = self.scratch / "config", pwd.getpwnam("nobody")
        make_maildir(self.maildir, "nobody")
        (self.scratch / "data").mkdir()
        shutil.chown(self.scratch / "data", "postfix")
        settings = {
            "compatibility_level": "3.6",
            "queue_directory": self.scratch / "spool",
            "data_directory": self.scratch / "data",
            "command_directory": "/usr/sbin",
            "daemon_directory": "/usr/lib/postfix/sbin",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "myhostname": f"mx.{HOST}",
            "mydestination": "",
            "mynetworks": "127.0.0.0/8",
            "maillog_file": "/var/log/postfix-bench.log",
            "alias_maps": "",
            "alias_database": "",
            "smtpd_tls_security_level": "none",
            "relayhost": f"[127.0.0.1]:{self.sink_port}",
            "virtual_mailbox_domains": HOST,
            "virtual_mailbox_base": self.scratch,
            "virtual_mailbox_maps": f"inline:{{{{{RECIPIENT['local']} = Maildir/}}}}",
            "virtual_minimum_uid": "1",
            "virtual_uid_maps": f"static:{user.pw_uid}",
            "virtual_gid_maps": f"static:{user.pw_gid}",
        }
        write(config / "main.cf", "".join(f"{key} = {value}\n" for key, value in settings.items()))
        lines = [f"127.0.0.1:{self.port} inet n - n - - smtpd", "postlog unix-dgram n - n - 1 postlogd"]
        kinds = {"rewrite": "trivial-rewrite", "defer": "bounce", "trace": "bounce", "relay": "smtp", "retry": "error"}
        single = {
            "pickup": "60 1",
            "qmgr": "300 1",
            "flush": "1000? 0",
            "cleanup": "- 0",
            "bounce": "- 0",
            "defer": "- 0",
            "trace": "- 0",
        }
        public = ("pickup", "cleanup", "qmgr", "flush", "showq")
        for service in self.SERVICES.split():
            private = "n" if service in public else "-"
            unprivileged = "n" if service in ("local", "virtual") else "-"
            lines.append(
                f"{service} unix {private} {unprivileged} n {single.get(service, '- -')} {kinds.get(service, service)}"
            )
        write(config / "master.cf", "\n".join(lines) + "\n")
        subprocess.run(["postfix", "-c", config, "start"], check=True, capture_output=True)
        pid = int((self.scratch / "spool" / "pid" / "master.pid").read_text())
        self.main = psutil.Process(pid)
        self.wait_for_banner()

    def stop(self) -> None:
        family = self.processes()
        subprocess.run(["postfix", "-c", self.scratch / "config", "stop"], capture_output=True, check=False)
        psutil.wait_procs(family, timeout=20)

    def queued(self) -> int:
        spool = self.scratch / "spool"
        return sum(1 for name in ("incoming", "active", "deferred") for f in (spool / name).rglob("*") if f.is_file())
