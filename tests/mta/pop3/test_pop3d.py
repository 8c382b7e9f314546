"""A user fetches mail, and none of it is lost."""

from __future__ import annotations

import os
import poplib
import signal
import socket
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from commands import BIN, run, start
from crashes import crashes_of
from fetching import Box
from hypothesis import given
from hypothesis import strategies as st
from until import until

from mta.mailbox import maildir, reading
from mta.pop3.client import Client
from mta.pop3.pop3d import Session, beginning, transparent

ONE, TWO, THREE = b"Subject: one\n\n.dot\n", b"Subject: two\n\na\nb\nno end", b"Subject: three\n"


@pytest.fixture
def full(box: Box) -> Box:
    """A Maildir with three messages."""
    box.put("new/1.host", ONE, 300)
    box.put("cur/2.host:2,S", TWO, 200)
    box.put("new/3.host", THREE, 100)
    return box


def test_a_user_looks_around_and_fetches(full: Box) -> None:
    assert full.replies(b"STAT") == [b"+OK 3 %d" % len(ONE + TWO + THREE)]
    assert full.replies(b"LIST") == [b"+OK ", b"1 19", b"2 24", b"3 15", b"."]
    assert full.replies(b"UIDL") == [b"+OK ", b"1 1.host", b"2 2.host", b"3 3.host", b"."]
    assert full.replies(b"LIST 2", b"UIDL 3") == [b"+OK 2 24", b"+OK 3 3.host"]
    assert full.replies(b"RETR 1") == [b"+OK ", b"Subject: one", b"", b"..dot", b"", b"."]
    assert full.replies(b"TOP 2 1") == [b"+OK ", b"Subject: two", b"", b"a", b"", b"."]
    assert full.replies(b"NOOP", b"XTND") == [b"+OK ", b"-ERR unimplemented"]


def test_what_is_deleted_is_gone_after_quit_and_the_rest_is_seen(full: Box) -> None:
    assert full.replies(b"DELE 2", b"QUIT") == [b"+OK "] * 2
    assert full.content() == {"cur/1.host:2,": ONE, "cur/3.host:2,": THREE}


def test_without_quit_nothing_changes(full: Box) -> None:
    before = full.content()
    full.replies(b"DELE 1", b"DELE 2", b"RETR 3")
    assert full.content() == before


def test_a_session_that_is_killed_changes_nothing(full: Box) -> None:
    before = full.content()
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            more = {"stdin": theirs, "stdout": theirs, "cwd": full.home}
            process = start("qmail-pop3d", "Maildir", user=full.user, group=full.user, **more)
        ours.sendall(b"DELE 1\r\nDELE 2\r\nDELE 3\r\n")
        heard = b""
        while heard.count(b"+OK") < 4:
            heard += ours.recv(100)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert full.content() == before


def test_rset_takes_everything_back(full: Box) -> None:
    assert full.replies(b"DELE 1", b"DELE 3", b"LAST", b"RSET", b"LAST", b"QUIT")[2::2] == [b"+OK 3", b"+OK 0"]
    assert len(full.content()) == 3


def test_a_deleted_message_cannot_be_had_any_more(full: Box) -> None:
    replies = full.replies(b"DELE 2", b"LIST 2", b"UIDL 2", b"RETR 2", b"TOP 2 0", b"DELE 2", b"LIST", b"STAT")
    assert replies[1:6] == [b"-ERR already deleted"] * 5
    assert replies[6:] == [b"+OK ", b"1 19", b"3 15", b".", b"+OK 3 34"]


@pytest.mark.parametrize(
    ("number", "reply"),
    [
        (b"", b"-ERR syntax error"),
        (b"x", b"-ERR syntax error"),
        (b"-1", b"-ERR syntax error"),
        (b"0", b"-ERR messages are counted from 1"),
        (b"4", b"-ERR not that many messages"),
        (b"18446744073709551617", b"-ERR not that many messages"),  # 2 to the 64 and one more
        (b"9" * 5000, b"-ERR not that many messages"),
    ],
)
def test_a_number_that_no_message_has_is_refused(full: Box, number: bytes, reply: bytes) -> None:
    assert full.replies(b"DELE " + number, b"RETR " + number, b"TOP " + number) == [reply] * 3
    assert full.replies(b"DELE " + number, b"QUIT")[1] == b"+OK "
    assert len(full.content()) == 3


def test_a_message_that_somebody_else_removed_is_missed_where_it_is_asked_for(full: Box) -> None:
    ours, theirs = socket.socketpair()
    with ours, ours.makefile("rb") as replies:
        with theirs:
            more = {"stdin": theirs, "stdout": theirs, "cwd": full.home}
            process = start("qmail-pop3d", "Maildir", user=full.user, group=full.user, **more)
        replies.readline()
        (full.maildir / "new/1.host").unlink()
        for command, reply in (
            (b"LIST 1", b"+OK 1 19"),
            (b"RETR 1", b"-ERR unable to open that message"),
            (b"DELE 1", b"+OK "),
            (b"QUIT", b"-ERR unable to unlink all deleted messages"),
        ):
            ours.sendall(command + b"\r\n")
            assert replies.readline() == reply + b"\r\n"
        assert replies.read() == b"+OK \r\n"
    assert process.wait() == 0
    assert full.content() == {"cur/2.host:2,S": TWO, "cur/3.host:2,": THREE}


def test_what_cannot_be_deleted_is_said_and_the_rest_of_quit_is_done(full: Box) -> None:
    (full.maildir / "cur/0.host").mkdir()
    os.utime(full.maildir / "cur/0.host", (1, 1))
    replies = full.replies(b"DELE 1", b"DELE 3", b"QUIT")
    assert replies[2:] == [b"-ERR unable to unlink all deleted messages", b"+OK "]
    (full.maildir / "cur/0.host").rmdir()
    assert full.content() == {"cur/1.host:2,": ONE, "cur/3.host:2,": THREE}


def test_a_message_that_cannot_be_read_ends_the_session(full: Box) -> None:
    folder = full.maildir / "cur/0.host"
    folder.mkdir()
    full.own(folder)
    os.utime(folder, (1, 1))
    assert full.replies(b"RETR 1", b"NOOP") == [b"+OK "]


def test_a_maildir_that_is_not_there_is_said(box: Box) -> None:
    for words in ([], ["Nosuch"], [""]):
        reply = (0, b"-ERR this user has no $HOME/Maildir\r\n", b"")
        assert run("qmail-pop3d", *words, cwd=box.home, user=box.user) == reply
    (box.maildir / "new").rmdir()
    assert box.pop3d(b"STAT").out == b"-ERR unable to scan $HOME/Maildir\r\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_fetches_no_mail(full: Box) -> None:
    full.user = None
    assert full.pop3d(b"STAT") == (1, b"", b"qmail-pop3d invoked as uid 0, terminating\n")


def test_a_line_without_end_needs_no_memory(full: Box) -> None:
    limited = (BIN / "softlimit", "-a", str(64 << 20), "qmail-pop3d", "Maildir")
    text = b"x" * (70 << 20) + b"\r\nNOOP\r\n" + b"DELE 1" + b" " * (70 << 20)
    reply = b"+OK \r\n-ERR unimplemented\r\n+OK \r\n"
    assert run(*limited, input=text, cwd=full.home, user=full.user) == (0, reply, b"")
    assert len(full.content()) == 3


def test_a_message_of_any_size_needs_no_memory(box: Box) -> None:
    content = b"Subject: x\n\n" + b"y" * (70 << 20) + b"\n.\n" * 1000
    box.put("new/1.host", content)
    limited = (BIN / "softlimit", "-a", str(64 << 20), "qmail-pop3d", "Maildir")
    for command in b"RETR 1", b"TOP 1 5000":
        out = run(*limited, input=command + b"\r\n", cwd=box.home, user=box.user).out
        assert out == b"+OK \r\n+OK \r\n" + content.replace(b"\n.", b"\n..").replace(b"\n", b"\r\n") + b"\r\n.\r\n"


def test_a_client_in_the_library_of_python_is_content(full: Box) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        more = {"stdin": theirs, "stdout": theirs, "cwd": full.home}
        process = start("qmail-pop3d", "Maildir", user=full.user, group=full.user, **more)

    class Connected(poplib.POP3):
        def _create_socket(self, timeout: float) -> socket.socket:
            return ours

    client = Connected("")
    assert client.stat() == (3, 58)
    assert client.retr(1)[1] == [b"Subject: one", b"", b".dot", b""]
    assert client.top(2, 2)[1] == [b"Subject: two", b"", b"a", b"b", b""]
    assert client.uidl()[1] == [b"1 1.host", b"2 2.host", b"3 3.host"]
    client.dele(3)
    client.quit()
    assert process.wait() == 0
    assert set(full.content()) == {"cur/1.host:2,", "cur/2.host:2,S"}


def test_a_client_that_takes_nothing_is_left_when_it_goes(box: Box) -> None:
    box.put("new/1.host", b"x" * (4 << 20))
    ours, theirs = socket.socketpair()
    with theirs:
        more = {"stdin": theirs, "stdout": theirs, "cwd": box.home}
        process = start("qmail-pop3d", "Maildir", user=box.user, group=box.user, **more)
    ours.sendall(b"RETR 1\r\nDELE 1\r\nQUIT\r\n")
    until(lambda: ours.recv(1000, socket.MSG_PEEK).count(b"x"))
    ours.close()
    assert process.wait() == 0
    assert set(box.content()) == {"new/1.host"}


# -- crashes ---------------------------------------------------------------------------------


@pytest.fixture
def standing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes a Maildir, in which we stand, what it was at first."""
    maildir.make(bytes(tmp_path / "Maildir"))
    monkeypatch.chdir(tmp_path / "Maildir")

    def fresh() -> None:
        for folder in "new", "cur":
            for file in Path(folder).iterdir():
                file.unlink()
        for number in range(6):
            file = Path("new" if number % 2 else "cur", f"{number}.host")
            file.write_text(f"message {number}")
            os.utime(file, (1_600_000_000 + number, 1_600_000_000 + number))

    return fresh


def test_a_kill_at_any_moment_of_quit_loses_and_doubles_no_message(standing: Callable[[], None]) -> None:
    deleted = {2, 3}

    def quit_it() -> None:
        client = Client()
        client.writer.fd = os.open(os.devnull, os.O_WRONLY)
        session = Session(client, reading.messages())
        session.deleted |= deleted
        session.quit(b"")

    steps = 0
    for _ in crashes_of(quit_it, standing):
        steps += 1
        left = sorted(file.read_text() for folder in ("new", "cur") for file in Path(folder).iterdir())
        assert len(set(left)) == len(left)
        assert {f"message {number}" for number in range(6) if number not in deleted} <= set(left)
    assert steps > 5
    assert len(left) == 4 and not list(Path("new").iterdir())


# -- on the wire -----------------------------------------------------------------------------

TEXTS = st.lists(st.sampled_from([b"\n", b"\r", b".", b"a", b"\n.\n", b"\n\n", b"\0", b"xyz"])).map(b"".join)


def cut(text: bytes, data: st.DataObject) -> list[bytes]:
    """*text* in pieces."""
    places = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=5)) | {0, len(text)})
    return [text[start:end] for start, end in pairwise(places)]


@given(TEXTS, st.data())
def test_each_line_ends_in_cr_lf_and_a_dot_in_front_is_doubled(text: bytes, data: st.DataObject) -> None:
    lines = text.split(b"\n") if text else []
    if lines and not lines[-1]:
        lines.pop()
    wanted = b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines) + b"\r\n.\r\n"
    assert b"".join(transparent(cut(text, data))) == wanted


@given(TEXTS, st.integers(0, 5), st.data())
def test_the_beginning_is_the_header_and_so_many_lines(text: bytes, count: int, data: st.DataObject) -> None:
    *whole, last = text.split(b"\n")
    lines = [line + b"\n" for line in whole] + ([last] if last else [])
    blank = next((place for place, line in enumerate(lines) if line == b"\n"), len(lines))
    wanted = b"".join(lines[: blank + 1 + count])
    assert b"".join(beginning(cut(text, data), count)) == wanted
    if wanted:
        assert all(beginning(cut(text, data), count))  # no empty piece, which has no end of a line
