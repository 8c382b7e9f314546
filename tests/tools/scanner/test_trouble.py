"""qmail-scanner in trouble: whatever fails, no message is lost, half accepted, or refused for good."""

from __future__ import annotations

import os
import posix
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from commands import BIN, environment, run
from crashes import crashes_of
from faults import faults_of
from peer import CLOSE, Peer
from scanning import ASKED, ENVELOPE, MESSAGE, Scanned

from supervise.command import Argv, Become, command
from tools.scanner import scanner

REFUSING = (11, 31)  # exit codes by which a client is told never to try again
WAIT, ANSWER = ASKED["spamd"]


@pytest.fixture
def scanned(tmp_path: Path) -> Scanned:
    return Scanned(tmp_path)


@contextmanager
def daemon(serve: Callable[[socket.socket, threading.Event], None]) -> Iterator[int]:
    """A daemon that does *serve* with its one client until the event is set; its port."""
    over = threading.Event()

    def once() -> None:
        connection, _ = listening.accept()
        with connection:
            try:
                serve(connection, over)
            except OSError:  # the client has left
                pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=once)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            over.set()
            thread.join()


def drip(connection: socket.socket, over: threading.Event) -> None:
    """Say a byte now and then."""
    while not over.wait(0.2):
        connection.sendall(b"x")


def sip(connection: socket.socket, over: threading.Event) -> None:
    """Read a little now and then."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    while not over.wait(0.2):
        connection.recv(1000)


def flood(connection: socket.socket, over: threading.Event) -> None:
    """Say more than anybody wants to hear, in a header or, after a good one, in a body."""
    while not over.is_set():
        connection.sendall(b"x" * 65536)


def flood_behind_a_header(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n")
    flood(connection, over)


@pytest.mark.parametrize("name", list(ASKED))
@pytest.mark.parametrize("serve", [drip, sip])
def test_a_slow_daemon_has_one_time_limit_for_all(scanned: Scanned, name: str, serve: Callable[..., None]) -> None:
    with daemon(serve) as port:
        scanned.home.control(scanner=f"{name}:127.0.0.1:{port}\ntimeout:1\nspamsize:100000000")
        done = scanned.send(b"x" * 8_000_000 if serve is sip else MESSAGE)
    assert (done.code, done.err) == (71, b"qmail-scanner: %s: defer: no answer: timed out\n" % name.encode())
    assert not scanned.home.messages()


@pytest.mark.parametrize("name", list(ASKED))
@pytest.mark.parametrize("serve", [flood, flood_behind_a_header])
def test_an_answer_without_end_takes_little_memory(scanned: Scanned, name: str, serve: Callable[..., None]) -> None:
    with daemon(serve) as port:
        scanned.home.control(scanner=f"{name}:127.0.0.1:{port}")
        limited = f"ulimit -v 200000; exec {BIN}/qmail-scanner"
        (scanned.home.folder / "envelope").write_bytes(ENVELOPE)
        with open(scanned.home.folder / "envelope", "rb") as addresses:
            done = subprocess.run(
                ["sh", "-c", limited], input=MESSAGE, stdout=addresses, stderr=subprocess.PIPE,
                env=environment(scanned.env), timeout=60, check=False,
            )  # fmt: skip
    assert done.returncode == 71 and b": no answer: " in done.stderr and b"timed out" not in done.stderr
    assert not scanned.home.messages()


@pytest.mark.root
def test_a_full_spool_takes_no_message(scanned: Scanned, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    scanned.home.control(scanner="clamd:/none")
    mounted = f"mount -t tmpfs -o size=64k none {spool} && TMPDIR={spool} exec {BIN}/qmail-scanner"
    done = run("unshare", "-m", "sh", "-c", mounted, input=b"x" * 200_000, env=scanned.env)
    if b"mount: " in done.err or b"unshare: " in done.err:
        pytest.skip("nothing can be mounted here")
    assert done.code == 53 and not scanned.home.messages()


class Quarantine:
    """A quarantine, and a daemon that finds all to be spam."""

    def __init__(self, scanned: Scanned, port: int, more: str = "") -> None:
        self.folder = scanned.home.folder
        self.maildir = self.folder / "quarantine"
        (self.folder / "in").write_bytes(ENVELOPE)
        assert run("maildirmake", self.maildir).code == 0
        text = f"spamd:127.0.0.1:{port}\nspam:quarantine\nquarantine:quarantine\n{more}"
        scanned.home.control(scanner=text, me="heaven.af.mil")

    def fresh(self) -> None:
        shutil.rmtree(self.maildir)
        for name in ("tmp", "new", "cur"):
            (self.maildir / name).mkdir(parents=True)

    def kept(self) -> list[bytes]:
        return [file.read_bytes() for file in (self.maildir / "new").iterdir()]


@pytest.mark.long
def test_whatever_call_fails_the_message_is_deferred_or_put_away(scanned: Scanned) -> None:
    with Peer(*([WAIT, ANSWER, CLOSE] for _ in range(2000))) as peer:
        quarantine = Quarantine(scanned, peer.port)
        given = bytes(quarantine.folder / "in")

        @command(b"qmail-scanner")
        def scan(argv: Argv) -> int:
            posix.dup2(posix.open(given, os.O_RDONLY), 1)  # these do not fail
            return scanner.main(argv)

        env = {"QMAILHOME": str(quarantine.folder)}
        runs = 0
        for outcome in faults_of(scan, [b"qmail-scanner"], fresh=quarantine.fresh, stdin=MESSAGE, env=env):
            runs += 1
            assert outcome.code not in REFUSING and b"bug" not in outcome.err + outcome.out, outcome
            kept = quarantine.kept()
            assert all(message.endswith(b"\n" + MESSAGE) for message in kept), outcome
            assert len(kept) == 1 or outcome.code != 0, outcome
        assert outcome.code == 0 and runs > 50


@pytest.mark.long
def test_killed_at_any_moment_it_leaves_nothing_behind(scanned: Scanned, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = scanned.home.folder
    spool = folder / "spool"
    spool.mkdir()
    (folder / "message").write_bytes(MESSAGE)
    (folder / "in").write_bytes(ENVELOPE)
    monkeypatch.setenv("QMAILHOME", str(folder))
    monkeypatch.setenv("TMPDIR", str(spool))
    with Peer(*([WAIT, ANSWER, CLOSE] for _ in range(500))) as peer:
        scanned.home.control(scanner=f"spamd:127.0.0.1:{peer.port}")

        def scan() -> None:
            for fd, name in enumerate(("message", "in")):
                os.dup2(os.open(folder / name, os.O_RDONLY), fd)
            with pytest.raises(Become):  # its last step, which a kill comes before or after
                scanner.main([b"qmail-scanner"])

        for _ in crashes_of(scan, lambda: None):
            assert list(spool.iterdir()) == [] == scanned.home.messages()


def test_scanners_at_once_share_the_quarantine(scanned: Scanned) -> None:
    many = 6
    with Peer(*([WAIT, ANSWER, CLOSE] for _ in range(many))) as peer:
        quarantine = Quarantine(scanned, peer.port)
        script = f"for n in {'x ' * many}; do printf '%s' \"$MESSAGE\" | {BIN}/qmail-scanner 1<in & done; wait"
        env = {**scanned.env, "MESSAGE": MESSAGE.decode() + "."}
        assert run("sh", "-c", script, env=env, cwd=quarantine.folder).err.count(b"quarantine: ") == many
    assert len(quarantine.kept()) == many


def test_a_notice_to_the_officer_is_not_scanned_again(scanned: Scanned) -> None:
    with Peer(*([WAIT, ANSWER, CLOSE] for _ in range(3))) as peer:
        quarantine = Quarantine(scanned, peer.port, "officer:postmaster@heaven.af.mil")
        assert scanned.send().code == 0
        assert len(peer.heard) == 1
    assert len(quarantine.kept()) == 1
    (notice,) = scanned.home.messages()
    assert b"\nSubject: quarantined: score=15.0 " in notice
