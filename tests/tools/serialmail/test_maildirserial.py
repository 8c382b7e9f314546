"""maildirserial: which messages it has sent, how often it tries, what becomes of them; and links that drop."""

from __future__ import annotations

import os
import random
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import BIN, Result, run
from crashes import crashes_of
from tcp import Server
from until import until

from tools.serialmail.maildirserial import Sending
from tools.serialmail.returned import Addresses
from tools.serialmail.serialqmtp import WINDOW

MESSAGES = 1000
LONG_AGO = 1_600_000_000


class Maildir:
    """A Maildir of waiting messages, and a home whose queue keeps what it gets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "dir"
        for part in ("tmp", "new", "cur"):
            (self.folder / part).mkdir(parents=True)
        (folder / "control").mkdir()
        (folder / "control/me").write_text("here.example\n")
        queue = folder / "capture"
        queue.write_text(f"#!/bin/sh\ncat >{folder}/message\ncat <&1 >{folder}/envelope\n")
        queue.chmod(0o755)
        self.env = {"QMAILHOME": str(folder), "QMAILQUEUE": str(queue), "FILES": str(folder / "files")}
        self.home = folder

    def put(self, name: str, recipient: str = "Account-joe@far.example", sender: str = "sue@near.example") -> Path:
        file = self.folder / "new" / name
        file.write_text(f"Return-Path: <{sender}>\nDelivered-To: {recipient}\nSubject: {name}\n\nhello\n")
        age = LONG_AGO + int(name) if name.isdigit() else LONG_AGO
        os.utime(file, (age, age))
        return file

    def send(self, *argv: str, prefix: str = "Account-", options: tuple[str, ...] = ()) -> Result:
        return run("maildirserial", *options, "--", self.folder, prefix, *argv, env=self.env, timeout=120)

    def shell(self, script: str, **more: object) -> Result:
        return self.send("sh", "-c", script, **more)  # type: ignore[arg-type]

    def names(self) -> list[str]:
        return sorted(file.name for file in (self.folder / "new").iterdir())


@pytest.fixture
def box(tmp_path: Path) -> Maildir:
    return Maildir(tmp_path)


REPORT = "tr '\\0' '\\n' | while read name; do printf '%s\\0{}\\n' $name; done"


def test_a_client_gets_the_names_the_oldest_first_and_what_is_done_goes(box: Maildir) -> None:
    for name in ("3", "1", "2"):
        box.put(name)
    done = box.shell("tee $FILES | " + REPORT.format("Kthanks"))
    lines = [f"maildirserial: info: new/{name} succeeded: thanks\n" for name in "123"]
    assert done == (0, b"", "".join(lines).encode())
    assert (box.home / "files").read_bytes() == b"new/1\0new/2\0new/3\0"
    assert box.names() == []


def test_what_is_others_or_of_another_form_stays(box: Maildir) -> None:
    box.put("1", recipient="Other-joe@far.example")
    (box.folder / "new" / "2").write_text("Subject: x\n\nhello\n")
    os.utime(box.folder / "new" / "2", (LONG_AGO, LONG_AGO))
    assert box.shell("echo wrong >&2") == (0, b"", b"")
    assert box.names() == ["1", "2"]


def test_the_line_of_the_recipient_alone_makes_a_message_ours(box: Maildir) -> None:
    file = box.put("1")
    file.write_text(file.read_text().replace("Return-Path", "Other"))
    os.utime(file, (LONG_AGO, LONG_AGO))
    done = box.shell("printf 'new/1\\0Dno\\n'", options=("-b",))
    assert (done.code, box.names()) == (111, ["1"])
    assert done.err.endswith(b"maildirserial: warning: unable to bounce new/1: bad file format\n")


@pytest.mark.parametrize("code", [0, 111])
def test_a_client_that_reports_nothing_runs_three_times(box: Maildir, code: int) -> None:
    box.put("1")
    done = box.shell(f"cat >>$FILES; exit {code}")
    assert done == (111, b"", b"maildirserial: fatal: making no progress, giving up\n")
    assert (box.home / "files").read_bytes() == b"new/1\0" * 3
    assert box.names() == ["1"]


def test_a_client_may_say_that_it_is_of_no_use_or_crash_or_not_be_there(box: Maildir) -> None:
    box.put("1")
    assert box.shell("exit 100") == (100, b"", b"")
    assert box.shell("kill -9 $$") == (111, b"", b"maildirserial: fatal: client crashed\n")
    missing = box.send("no-such-program")
    assert missing.code == 111
    assert missing.err.startswith(b"maildirserial: fatal: unable to run no-such-program: file does not exist\n")


@pytest.mark.parametrize(("report", "word"), [("Znot now", "failed temporarily: not now"), ("Dnever", "failed: never")])
def test_what_is_not_done_stays_and_is_not_tried_again(box: Maildir, report: str, word: str) -> None:
    box.put("1")
    box.put("2")
    script = f"cat >>$FILES; test -e $FILES.1 || printf 'new/1\\0{report}\\n'; : >$FILES.1; printf 'new/2\\0Kok\\n'"
    done = box.shell(script)
    assert done.code == 111
    assert done.err.startswith(f"maildirserial: info: new/1 {word}\n".encode())
    assert box.names() == ["1"]


@pytest.mark.parametrize("report", ["Kthan", "\\n"])
def test_a_report_that_is_cut_off_or_empty_counts_for_nothing(box: Maildir, report: str) -> None:
    box.put("1")
    done = box.shell(f"printf 'new/1\\0{report}'", options=("-bt", "1"))
    assert (done.code, box.names()) == (111, ["1"])


def test_a_client_removes_nothing_that_it_did_not_get(box: Maildir) -> None:
    box.put("1")
    other = box.put("2", recipient="Other-joe@far.example")
    done = box.shell("printf 'new/2\\0Kok\\nnew/1\\0Kok\\n'")
    assert done.code == 0 and b"client reports of a file that it did not get: new/2\n" in done.err
    assert other.exists() and box.names() == ["2"]
    box.put("1")
    done = box.shell("printf 'new/2\\0Kok\\n'")
    assert done.code == 111 and done.err.endswith(b"maildirserial: fatal: making no progress, giving up\n")


def test_what_fails_for_good_is_returned_if_that_is_asked_for(box: Maildir) -> None:
    box.put("1")
    done = box.shell("printf 'new/1\\0Dno such user\\n'", options=("-b",))
    assert done.code == 0
    assert re.fullmatch(
        rb"maildirserial: info: new/1 bounced: no such user\nmaildirserial: info: returned new/1: qp \d+\n", done.err
    )
    assert box.names() == []
    assert (box.home / "envelope").read_bytes() == b"F\0Tsue@near.example\0\0"
    bounce = (box.home / "message").read_text()
    assert "\nFrom: MAILER-DAEMON@here.example\nTo: sue@near.example\nSubject: failure notice\n\n" in bounce
    assert "\nHi. This is the maildirbounce program at here.example.\n" in bounce
    assert "\n<joe@far.example>:\nno such user\n\n--- Below this line is a copy of the message.\n" in bounce
    assert bounce.endswith("\n\nReturn-Path: <sue@near.example>\nSubject: 1\n\nhello\n")


def test_bounces_of_bounces_go_to_the_postmaster_and_theirs_nowhere(box: Maildir) -> None:
    box.put("1", sender="")
    box.put("2", sender="#@[]")
    done = box.shell("tr '\\0' '\\n' | while read name; do printf '%s\\0Dno\\n' $name; done", options=("-b",))
    assert done.code == 0 and b"maildirserial: info: discarding new/2: triple bounce\n" in done.err
    assert (box.home / "envelope").read_bytes() == b"F#@[]\0Tpostmaster@here.example\0\0"
    assert "the bounce bounced!" in (box.home / "message").read_text()
    assert box.names() == []


def test_a_bounce_that_the_queue_does_not_take_leaves_the_message(box: Maildir) -> None:
    box.put("1")
    (box.home / "capture").write_text("#!/bin/sh\nexit 71\n")
    done = box.shell("printf 'new/1\\0Dno\\n'", options=("-b",))
    assert done.code == 111 and b"maildirserial: warning: unable to bounce new/1: qq failed: " in done.err
    assert box.names() == ["1"]


def test_a_message_that_is_too_old_has_failed(box: Maildir) -> None:
    box.put("1")
    assert box.shell("printf 'new/1\\0Znot now\\n'", options=("-bt", "2000000000")).code == 111
    done = box.shell("printf 'new/1\\0Znot now\\n'", options=("-bt", "1000"))
    assert (done.code, box.names()) == (0, [])
    assert "not now\nThis message is too old. Giving up.\n\n" in (box.home / "message").read_text()


@pytest.mark.parametrize("words", [("maildirsmtp", "25", "here.example"), ("maildirqmtp", "209")])
def test_what_a_host_does_not_take_for_two_weeks_is_returned(box: Maildir, words: tuple[str, ...]) -> None:
    command, port, *more = words
    day, now = 86400, time.time()
    for name, days in (("1", 14.5), ("2", 13.5)):
        os.utime(box.put(name), (now, now - days * day))
    client = box.home / "tcpclient"
    client.write_text(f'#!/bin/sh\necho "$@" >>{box.home}/client\n{REPORT.format("Zlater")}\n')
    client.chmod(0o755)
    env = {**box.env, "PATH": f"{box.home}:{BIN}:/usr/bin:/bin"}
    done = run(command, box.folder, "Account-", "relay.example", *more, env=env)
    assert (done.code, box.names()) == (111, ["2"])
    assert b"maildirserial: info: returned new/1: qp " in done.err
    assert "later\nThis message is too old. Giving up.\n" in (box.home / "message").read_text()
    speaking = " ".join([command.replace("maildir", "serial"), "Account-", *more])
    assert (box.home / "client").read_text() == f"-RHl0 -- relay.example {port} {speaking}\n"


@pytest.mark.long
def test_a_kill_at_any_moment_loses_no_message_that_fails(box: Maildir, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in box.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(box.folder)

    def fresh() -> None:
        for file in (box.home / "message", box.home / "envelope"):
            file.unlink(missing_ok=True)
        box.put("1")

    def bounce() -> None:
        Sending(b"Account-", [b"true"], None, Addresses()).settle(b"new/1", b"D", b"no")

    for _ in crashes_of(bounce, fresh):
        told = (box.home / "envelope").exists() and (box.home / "envelope").read_bytes().endswith(b"\0\0")
        assert told or box.names() == ["1"]


@pytest.mark.parametrize("prefix", ["Account-", ""])
def test_what_is_no_file_is_passed_over(box: Maildir, prefix: str) -> None:
    box.put("1")
    box.put("3")
    pipe = box.folder / "new" / "2"
    os.mkfifo(pipe)
    os.utime(pipe, (LONG_AGO, LONG_AGO))
    done = box.shell("tee $FILES | " + REPORT.format("Kthanks"), prefix=prefix)
    assert (done.code, (box.home / "files").read_bytes()) == (0, b"new/1\0new/3\0")
    assert b"maildirserial: warning: passing over new/2: not a regular file\n" in done.err
    assert box.names() == ["2"]


def test_a_file_that_has_become_a_pipe_is_not_waited_for(box: Maildir) -> None:
    file = box.put("1")
    script = f"rm {file}; mkfifo {file}; printf 'new/1\\0Dno\\n'"
    done = box.shell(script, options=("-b",))
    assert done.code == 111 and b"maildirserial: warning: unable to bounce new/1: bad file format\n" in done.err


def test_whatever_names_and_reports_have_each_is_one_line(box: Maildir) -> None:
    box.put("3.\x1b[31mx\ny")
    done = box.shell("xargs -0 printf '%s\\0Kwell\\033[0m\\r\\tdone\\n'; printf 'o\\001ther\\0Kno\\n'")
    first, second = done.err.splitlines()
    assert first == b"maildirserial: info: new/3.?[31mx?y succeeded: well?[0m??done"
    assert second == b"maildirserial: warning: client reports of a file that it did not get: o?ther"
    assert (done.code, box.names()) == (0, [])


# -- a link that drops -----------------------------------------------------------------------


class Dropping:
    """A relay to a port that cuts connections after so many bytes, at random, until it has cut *cuts* of them."""

    def __init__(self, port: int, cuts: int, most: int) -> None:
        self.port, self.left, self.most, self.cut = port, cuts, most, 0
        self.random = random.Random(7)
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.own = self.listening.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.port))
            budget = [self.random.randrange(self.most) if self.left else 1 << 60]
            self.left -= bool(self.left)
            ends = [
                threading.Thread(target=self.carry, args=(*pair, budget))
                for pair in ((client, server), (server, client))
            ]
            for end in ends:
                end.start()
            for end in ends:
                end.join()
            self.cut += budget[0] <= 0
            client.close()
            server.close()

    def carry(self, source: socket.socket, target: socket.socket, budget: list[int]) -> None:
        try:
            while budget[0] > 0 and (data := source.recv(4096)):
                allowed = data[: max(0, budget[0])]
                budget[0] -= len(data)
                target.sendall(allowed)
        except OSError:
            pass
        for each in (source, target):
            try:
                each.shutdown(socket.SHUT_RDWR if budget[0] <= 0 else socket.SHUT_WR)
            except OSError:
                pass


@pytest.fixture
def taken(box: Maildir) -> Iterator[Path]:
    """Where a server's queue keeps the messages, each under its time; broken packages are not kept."""
    folder = box.home / "taken"
    folder.mkdir()
    queue = box.home / "keep"
    queue.write_text(
        f"#!/bin/sh\nfile=$(date +%s.%N).$$\ncat >{folder}/.$file\ncat <&1 >{folder}/.envelope.$$\n"
        f"test -s {folder}/.envelope.$$ && test $(tail -c 1 {folder}/.envelope.$$ | od -An -tu1) = 0 || exit 54\n"
        f"mv {folder}/.$file {folder}/$file\n"
    )
    queue.chmod(0o755)
    (box.home / "control/rcpthosts").write_text("far.example\n")
    yield folder


@pytest.mark.long
@pytest.mark.parametrize("protocol", ["smtp", "qmtp"])
def test_over_a_link_that_drops_each_message_arrives_and_in_order(box: Maildir, taken: Path, protocol: str) -> None:
    for number in range(1, MESSAGES + 1):
        box.put(str(number))
    program = {"smtp": "qmail-smtpd", "qmtp": "qmail-qmtpd"}[protocol]
    env = {**box.env, "QMAILQUEUE": str(box.home / "keep"), "TCPREMOTEIP": None}
    client = {"smtp": ("serialsmtp", "Account-", "here.example"), "qmtp": ("serialqmtp", "Account-")}[protocol]
    with Server(program, options=("-qRHl0",), env=env) as server:
        link = Dropping(server.port, cuts=40, most=20_000)
        connecting = ("tcpclient", "-qRHl0", "--", "127.0.0.1", str(link.own))
        until(lambda: box.send(*connecting, *client).code == 0, seconds=300)
        link.listening.close()
    assert box.names() == []
    assert link.cut >= 10
    arrived = [subject(file) for file in sorted(taken.glob("[0-9]*"))]
    first_of_each = list(dict.fromkeys(arrived))
    assert first_of_each == [str(number) for number in range(1, MESSAGES + 1)]
    unanswered = {"smtp": 1, "qmtp": WINDOW}[protocol]  # messages, at a time
    assert len(arrived) <= MESSAGES + link.cut * unanswered


def subject(file: Path) -> str:
    found = re.search(r"^Subject: (.*)$", file.read_text(), re.MULTILINE)
    assert found
    return found[1]
