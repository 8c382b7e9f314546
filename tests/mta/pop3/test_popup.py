"""Who a client says that it is, and who finds out whether that is so."""

from __future__ import annotations

import hashlib
import os
import poplib
import re
import signal
import socket
from pathlib import Path

import pytest
from authority import Authority
from commands import BIN, Result, run, start
from fetching import Box
from siege import SHAME
from tcp import Server
from tlsclient import speak
from until import until

from mta.pop3.popup import main


@pytest.fixture
def checker(tmp_path: Path) -> Path:
    """A program that keeps what it hears, accepts the password `secret`, and then runs another one."""
    path = tmp_path / "checker"
    path.write_text(
        f"#!/bin/sh\ncat <&3 >{tmp_path}/heard; exec 3<&-\n"
        f'tr "\\0" "\\n" <{tmp_path}/heard | sed -n 2p | grep -qx secret || exit 1\nexec "$@"\n'
    )
    path.chmod(0o755)
    return path


def popup(*words: str | Path, say: bytes) -> Result:
    return run("qmail-popup", *words, input=say)


def heard(checker: Path) -> list[bytes]:
    return (checker.parent / "heard").read_bytes().split(b"\0")


def test_a_name_and_a_password_go_to_the_subprogram_which_goes_on(checker: Path) -> None:
    code, out, err = popup("pop.example", checker, "echo", "hello", say=b"USER joe\r\nPASS secret\r\n")
    assert (code, err) == (1, b"")
    found = re.fullmatch(rb"\+OK (<\d+\.\d+@pop\.example>)\r\n\+OK \r\nhello\n", out)
    assert found
    assert heard(checker) == [b"joe", b"secret", found[1], b""]


def test_apop_sends_a_digest_of_the_greeting(checker: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, ours.makefile("rb") as replies:
        with theirs:
            start("qmail-popup", "pop.example", checker, "true", stdin=theirs, stdout=theirs)
        timestamp = replies.readline().split()[1]
        digest = hashlib.md5(timestamp + b"secret").hexdigest().encode()
        ours.sendall(b"APOP joe " + digest + b"\r\n")
        assert replies.readline() == b"-ERR authorization failed\r\n"
    assert heard(checker) == [b"joe", digest, timestamp, b""]


def test_no_two_greetings_are_the_same(checker: Path) -> None:
    with Server("qmail-popup", "pop.example", checker, "true") as server:
        greetings = [server.ask(say=b"QUIT\r\n") for _ in range(30)]
        assert len(set(greetings)) == 30
        assert not SHAME.search(server.log())


@pytest.mark.parametrize(
    ("script", "reply"),
    [
        ("exit 1", b"-ERR authorization failed\r\n"),
        ("exit 2", b"-ERR authorization failed\r\n"),
        ("exit 111", b"-ERR authorization failed\r\n"),
        ("kill -9 $$", b"-ERR aack, child crashed\r\n"),
        ("exit 0", b""),
    ],
)
def test_the_subprogram_s_exit_code_is_the_verdict(checker: Path, script: str, reply: bytes) -> None:
    checker.write_text(f"#!/bin/sh\ncat <&3 >/dev/null\n{script}\n")
    code, out, err = popup("pop.example", checker, say=b"USER joe\r\nPASS x\r\n")
    assert (code, out.partition(b"+OK \r\n")[2], err) == (1, reply, b"")


def test_a_subprogram_that_does_not_listen_decides_all_the_same(checker: Path) -> None:
    checker.write_text("#!/bin/sh\nexec 3<&-\nexit 1\n")
    long = b"USER joe\r\nPASS " + b"x" * 60_000 + b"\r\n"
    assert popup("pop.example", checker, say=long).out.endswith(b"\r\n+OK \r\n-ERR authorization failed\r\n")


def test_a_subprogram_that_is_missing_lets_nobody_in() -> None:
    code, out, err = popup("pop.example", "/nonexistent", say=b"USER joe\r\nPASS x\r\n")
    assert (code, err) == (1, b"")
    assert out.endswith(b"\r\n+OK \r\n-ERR authorization failed\r\n")


@pytest.mark.parametrize(
    ("said", "replies"),
    [
        (b"PASS x\r\n", [b"-ERR USER first"]),
        (b"USER\r\nUSER \r\n", [b"-ERR syntax error"] * 2),
        (b"USER joe\r\nPASS\r\n", [b"+OK ", b"-ERR syntax error"]),
        (b"APOP\r\nAPOP joe\r\n", [b"-ERR syntax error"] * 2),
        (b"STAT\r\nCAPA\r\n\r\n", [b"-ERR authorization first"] * 3),
        (b"NOOP\r\n", [b"+OK "]),
    ],
)
def test_what_is_no_login_is_answered_and_the_client_may_go_on(said: bytes, replies: list[bytes]) -> None:
    out = popup("pop.example", "false", say=said + b"QUIT\r\nNOOP\r\n").out
    assert out.split(b"\r\n")[1:] == [*replies, b"+OK ", b""]


def test_a_name_and_a_password_may_have_any_bytes_but_nul_and_lf(checker: Path) -> None:
    popup("pop.example", checker, say=b"USER joe \xff smith\r\nPASS  my \r pass\xe9 \r\n")
    assert heard(checker)[:2] == [b"joe \xff smith", b"my \r pass\xe9 "]


def test_a_password_cannot_smuggle_in_a_timestamp(checker: Path) -> None:
    popup("pop.example", checker, say=b"USER joe\0root\r\nPASS x\0<1.2@pop.example>\r\n")
    assert [part for part in heard(checker) if not part.startswith(b"<")] == [b"joe", b"x", b""]


def test_wrong_usage_is_told_to_the_client() -> None:
    for words in ([], ["pop.example"]):
        assert popup(*words, say=b"QUIT\r\n") == (1, b"-ERR usage: popup hostname subprogram\r\n", b"")


def test_a_client_that_hangs_up_is_nobody(checker: Path) -> None:
    for cut in b"", b"USER joe\r\n", b"USER joe\r\nPASS secret":
        assert popup("pop.example", checker, say=cut).code == 1
    assert not (checker.parent / "heard").exists()


def test_the_subprogram_finds_the_connection_the_login_and_nothing_else() -> None:
    script = "for fd in $(seq 0 100); do test -e /proc/$$/fd/$fd && echo $fd; done"
    with Server("qmail-popup", "pop.example", "sh", "-c", script) as server:
        out = server.ask(say=b"USER joe\r\nPASS x\r\n")
    assert out.partition(b"+OK \r\n")[2].split(b"-ERR")[0].split() == [b"0", b"1", b"2", b"3"]


def test_a_user_fetches_mail_through_tcpserver(box: Box, checker: Path) -> None:
    box.put("new/1.host", b"Subject: x\n\nhello\n")
    become = ("setuidgid", "nobody") if box.user else ()
    with Server("qmail-popup", "pop.example", checker, *become, "qmail-pop3d", "Maildir", cwd=box.home) as server:
        for password in "wrong", "secret":
            client = poplib.POP3("127.0.0.1", server.port, timeout=20)
            client.user("joe")
            if password == "wrong":
                with pytest.raises(poplib.error_proto, match="authorization failed"):
                    client.pass_(password)
                client.close()
                continue
            client.pass_(password)
            assert client.retr(1)[1] == [b"Subject: x", b"", b"hello", b""]
            client.dele(1)
            client.quit()
        until(lambda: not box.content())
        assert not SHAME.search(server.log())


def test_a_user_fetches_mail_over_tls(box: Box, checker: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    box.put("new/1.host", b"Subject: x\n\n" + b"y\n" * 100_000)
    become = ("setuidgid", "nobody") if box.user else ()
    program = ("qmail-popup", "pop.example", checker, *become, "qmail-pop3d", "Maildir")
    env = {"CERTFILE": str(authority.certify("mail.example.org"))}
    with Server(*program, options=["-vRHl0", "--tls"], env=env, cwd=box.home) as server:
        with speak(server, authority) as client:
            client.sendall(b"USER joe\r\n")
            replies = client.makefile("rb")
            assert [replies.readline()[:3] for _ in range(2)] == [b"+OK"] * 2
            for command in b"PASS secret", b"RETR 1":
                client.sendall(command + b"\r\n")
                assert replies.readline() == b"+OK \r\n"
            client.sendall(b"QUIT\r\n")
            assert replies.read() == b"Subject: x\r\n\r\n" + b"y\r\n" * 100_000 + b"\r\n.\r\n+OK \r\n"
        assert not SHAME.search(server.log())
    assert list(box.content()) == ["cur/1.host:2,"]


def test_a_process_that_has_heard_a_password_serves_no_other_client(checker: Path) -> None:
    assert not main.again
    with Server("qmail-popup", "pop.example", checker, "true") as server:
        for _ in range(4):
            server.ask(say=b"USER joe\r\nPASS secret\r\n")
        server.logged("tcpserver: end ", 4)
        assert len(set(server.pids())) == 4


def test_a_client_that_leaves_while_it_is_served_ends_what_serves_it(checker: Path) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        process = start("qmail-popup", "pop.example", checker, "cat", stdin=theirs, stdout=theirs)
    ours.sendall(b"USER joe\r\nPASS secret\r\n")
    until((checker.parent / "heard").exists)
    ours.close()
    assert process.wait() == 1


def test_a_terminated_server_has_no_effect_on_who_is_in(checker: Path) -> None:
    """Each user is served by a process of its own."""
    ours, theirs = socket.socketpair()
    with ours, ours.makefile("rb") as replies:
        with theirs:
            process = start("qmail-popup", "pop.example", checker, "cat", stdin=theirs, stdout=theirs)
        replies.readline()
        ours.sendall(b"USER joe\r\nPASS secret\r\n")
        replies.readline()
        until((checker.parent / "heard").exists)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == -signal.SIGTERM
        ours.sendall(b"hello\n")
        assert replies.readline() == b"hello\n"


def test_the_command_is_where_users_find_it() -> None:
    assert os.access(BIN / "qmail-popup", os.X_OK)
