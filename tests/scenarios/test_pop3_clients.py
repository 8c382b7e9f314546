"""Programs that people fetch their mail with, whoever finds out who they are."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from accounts import Accounts, hashed
from commands import Result, run
from siege import SHAME
from tcp import OURS, Server

pytestmark = [
    pytest.mark.root,
    *(pytest.mark.skipif(not shutil.which(name), reason=f"{name} is not installed") for name in ("getmail", "mpop")),
]

OWNER, VMAIL = 61041, 61042
READER = 65534  # nobody, who runs the clients: getmail wants a user whom the password file has
SECRET = "the secret: 1"
SERVICE = "auth required pam_unix.so nodelay\naccount required pam_unix.so\nsession required pam_permit.so\n"
# By checker: its command line, the user's name, whose the Maildir is, and where.
CHECKERS: dict[str, tuple[tuple[str, ...], str, int, str]] = {
    "checkpassword": (("checkpassword",), "owner-test", OWNER, "owner/Maildir"),
    "checkpassword-pam": (("checkpassword-pam", "-s", "pop3", "--"), "owner-test", OWNER, "owner/Maildir"),
    "checkpassword-cdb": (("checkpassword-cdb", "logins.cdb"), "ann@cdb.example", VMAIL, "ann/Maildir"),
    "checkvpw": (("checkvpw",), "bob@dom.example", OWNER, "owner/users/bob"),
}
GETMAIL = """\
[retriever]
type = SimplePOP3Retriever
server = 127.0.0.1
port = {port}
username = {name}
password = {password}
use_apop = {apop}
[destination]
type = Maildir
path = {folder}/got/
[options]
read_all = false
delete = {delete}
"""
# getmail has a child write each message, and waits in vain when that ends before it waits; here it looks instead.
PATIENT = """\
import os, time
from getmailcore.baseclasses import ForkingBase
def wait(self, pid):
    while not self._ForkingBase__child_pid:
        time.sleep(0.01)
    return os.waitstatus_to_exitcode(self._ForkingBase__child_status)
ForkingBase._wait_for_child = wait
"""
MPOP = """\
account default
host 127.0.0.1
port {port}
tls off
auth user
user {name}
password "{password}"
delivery maildir {folder}/got
uidls_file {folder}/uidls
keep {keep}
"""


class Site:
    """A place where mail waits: a server for each checker, and a user whom it knows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, uid in ("owner", OWNER), ("ann", VMAIL):
            (folder / name).mkdir()
            os.chown(folder / name, uid, uid)
        self.accounts = Accounts(folder)
        self.accounts.add("owner-test", OWNER, hashed(SECRET), folder / "owner")
        self.accounts.serve({"pop3": SERVICE})
        logins = f"ann@cdb.example:{hashed(SECRET)}:{VMAIL}:{VMAIL}:{folder}/ann\n".encode()
        assert run("setlogins", "logins.cdb", "logins.tmp", input=logins, cwd=folder).code == 0
        (folder / "control").mkdir()
        (folder / "control/me").write_text("mail.example\n")
        (folder / "control/virtualdomains").write_text("dom.example:owner-test\n")
        home = {"HOME": str(folder / "owner"), "QMAILHOME": str(folder)}
        assert run("vadduser", "bob", input=SECRET.encode(), env=home, user=OWNER).code == 0

    def server(self, checker: str) -> Server:
        """A server of mail, with messages that are there already."""
        words, self.name, self.uid, path = CHECKERS[checker]
        self.maildir = self.folder / path
        if not self.maildir.exists():
            assert run("maildirmake", self.maildir, user=self.uid).code == 0
        for file in [*self.maildir.glob("new/*"), *self.maildir.glob("cur/*")]:
            file.unlink()
        first, *others = map(str, self.accounts.seen_by)
        return Server(
            *("qmail-popup", "pop.example", *words, "qmail-pop3d", "Maildir"),
            tcpserver=Path("/usr/bin") / first,
            options=(*others, str(OURS), "-vRHl0"),
            cwd=self.folder,
            env={"QMAILHOME": str(self.folder)},
        )

    def put(self, *texts: str) -> None:
        """Let messages come."""
        for text in texts:
            file = self.maildir / "new" / f"{time.time_ns()}.host"
            file.write_text(f"Subject: {text}\n\n.{text}\n")
            os.chown(file, self.uid, self.uid)
            os.utime(file, (0, 0))

    def waiting(self) -> int:
        """How many messages there are."""
        return len([*self.maildir.glob("new/*"), *self.maildir.glob("cur/*")])


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Site(Path(folder))


class Client:
    """A program that fetches mail from *server* into a Maildir of its own."""

    def __init__(self, folder: Path, site: Site, server: Server) -> None:
        self.folder, self.site, self.server = Path(tempfile.mkdtemp(dir=folder)), site, server
        for name in "", "got", "got/tmp", "got/new", "got/cur":
            (self.folder / name).mkdir(mode=0o700, exist_ok=True)
            os.chown(self.folder / name, READER, READER)

    def run(self, settings: str, *words: str, password: str = SECRET, **more: object) -> Result:
        """Run it with *settings*."""
        file = self.folder / "settings"
        named = {"port": self.server.port, "name": self.site.name, "folder": self.folder, "password": password}
        file.write_text(settings.format(**named, **more))
        file.chmod(0o600)
        os.chown(file, READER, READER)
        env = {"HOME": str(self.folder), "PYTHONPATH": str(self.folder)}
        return run(*words, user=READER, env=env, cwd=self.folder)

    def getmail(self, delete: bool = False, apop: bool = False, **more: str) -> Result:
        (self.folder / "sitecustomize.py").write_text(PATIENT)
        words = ("getmail", "--getmaildir", str(self.folder), "--rcfile", "settings")
        return self.run(GETMAIL, *words, delete=delete, apop=apop, **more)  # type: ignore[arg-type]

    def mpop(self, delete: bool = False, **more: str) -> Result:
        keep = "off" if delete else "on"
        return self.run(MPOP, "mpop", "-C", str(self.folder / "settings"), keep=keep, **more)  # type: ignore[arg-type]

    def got(self) -> list[str]:
        """What has been fetched, by the text behind the dot of each message."""
        return sorted(file.read_text().rstrip().rpartition("\n.")[2] for file in self.folder.glob("got/new/*"))


def refused(done: Result) -> None:
    """What a client did when it was not let in."""
    assert done.code != 0
    assert b"authorization failed" in done.out + done.err


@pytest.mark.parametrize("program", ["getmail", "mpop"])
@pytest.mark.parametrize("checker", CHECKERS)
def test_each_message_is_fetched_once_and_deleted_when_that_is_wanted(site: Site, checker: str, program: str) -> None:
    with site.server(checker) as server:
        client = Client(site.folder, site, server)
        fetch = getattr(client, program)
        site.put("one", "two")
        refused(fetch(password="a guess"))
        assert (client.got(), site.waiting()) == ([], 2)
        for _ in range(2):
            assert fetch().code == 0
            assert client.got() == ["one", "two"]
        site.put("three")
        assert fetch().code == 0
        assert (client.got(), site.waiting()) == (["one", "three", "two"], 3)
        site.put("four")
        assert fetch(delete=True).code == 0
        assert (client.got(), site.waiting()) == (["four", "one", "three", "two"], 0)
        assert not SHAME.search(server.log())


def test_apop_is_refused_and_loses_nothing(site: Site) -> None:
    with site.server("checkpassword") as server:
        client = Client(site.folder, site, server)
        site.put("one")
        refused(client.getmail(apop=True))
        assert (client.got(), site.waiting()) == ([], 1)
        assert client.getmail().code == 0
        assert client.got() == ["one"]
