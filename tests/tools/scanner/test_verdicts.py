"""qmail-scanner: every answer that a daemon gives, and how large a message may be for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import run
from peer import CLOSE, Peer, Step, Until
from scanning import ASKED, MESSAGE, Scanned, clamd

HELLO = Until(b"hello\n")


@pytest.fixture
def scanned(tmp_path: Path) -> Scanned:
    return Scanned(tmp_path)


def verdict(**answer: object) -> list[Step]:
    """rspamd, which gives this answer once."""
    body = json.dumps({"action": "no action", "score": 7, "required_score": 15, **answer}).encode()
    return [HELLO, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body, CLOSE]


YES, NO, FLAG = b"X-Spam-Status: Yes, ", b"X-Spam-Status: No, ", b"X-Spam-Flag: YES\n"


@pytest.mark.parametrize(
    ("action", "code", "fields"),
    [
        ("no action", 0, NO),
        ("greylist", 0, NO),
        ("add header", 0, FLAG + YES),
        ("rewrite subject", 0, FLAG + YES),
        ("soft reject", 71, b""),
        ("reject", 31, b""),
        ("discard", 31, b""),
        ("quarantine", 31, b""),
        ("phishing", 0, NO),  # a site's own
        ("phi\nshing\ud800\u00e9", 0, NO),
        ("", 0, NO),
    ],
)
def test_each_action_of_rspamd_has_its_end(scanned: Scanned, action: str, code: int, fields: bytes) -> None:
    with Peer(verdict(action=action)) as peer:
        scanned.home.control(scanner=f"rspamd:127.0.0.1:{peer.port}\nspam:reject")
        done = scanned.send()
    assert done.code == code
    if fields:
        name = action.replace("\n", "?").encode("ascii", "replace")
        score = b"score=7.00 required=15.00 action=%s scanner=rspamd\n" % name
        assert scanned.passed() == fields + score + MESSAGE
    else:
        assert not scanned.home.messages()
        end = b"defer" if code == 71 else b"reject"
        words = b"qmail-scanner: rspamd: %s: %s, score=7.00 required=15.00\n" % (end, action.encode())
        assert done.err == words


def test_what_rspamd_finds_to_be_quarantined_goes_where_spam_goes(scanned: Scanned) -> None:
    assert run("maildirmake", scanned.home.folder / "quarantine").code == 0
    with Peer(verdict(action="quarantine")) as peer:
        text = f"rspamd:127.0.0.1:{peer.port}\nspam:quarantine\nquarantine:quarantine"
        scanned.home.control(scanner=text)
        assert scanned.send().code == 0
    assert len(list((scanned.home.folder / "quarantine/new").iterdir())) == 1
    assert not scanned.home.messages()


@pytest.mark.parametrize(
    "wrong",
    [
        *({"action": ["reject"]}, {"action": {"reject": 1}}, {"action": None}, {"action": 1}, {"score": "high"}),
        *({"score": None}, {"required_score": []}, {"score": 10**400}),
    ],
)
def test_an_answer_of_another_form_is_none(scanned: Scanned, wrong: dict[str, object]) -> None:
    with Peer(verdict(**wrong), verdict(**wrong)) as peer:
        scanned.home.control(scanner=f"rspamd:127.0.0.1:{peer.port}\nspam:reject")
        words = b"qmail-scanner: rspamd: %s: no answer: said what is no verdict\n"
        assert scanned.send() == (71, b"", words % b"defer")
        scanned.home.control(scanner=f"rspamd:127.0.0.1:{peer.port}\nspam:reject\nfailure:pass")
        assert scanned.send() == (0, b"", words % b"pass")


def test_rspamd_is_told_who_sends(scanned: Scanned) -> None:
    with Peer(verdict(), verdict()) as peer:
        scanned.home.control(scanner=f"rspamd:127.0.0.1:{peer.port}")
        assert scanned.send(TCPREMOTEIP="192.0.2.1", TCPREMOTEHOST="a.example\r\nX: y").code == 0
        assert scanned.send(TCPREMOTEIP="", TCPREMOTEHOST="").code == 0
    known, unknown = (said.split(b"\r\n\r\n")[0].split(b"\r\n") for said in peer.heard)
    usual = [b"POST /checkv2 HTTP/1.0", b"Content-Length: 18", b"From: joe@irs.gov", b"Rcpt: sue@heaven.af.mil"]
    assert known == [*usual, b"IP: 192.0.2.1", b"Hostname: a.example??X: y"]
    assert unknown == usual


@pytest.mark.parametrize("daemon", list(ASKED))
def test_a_message_of_the_largest_size_is_looked_at(scanned: Scanned, daemon: str) -> None:
    wait, answer = ASKED[daemon]
    with Peer([wait, answer, CLOSE]) as peer:
        size = f"virussize:{len(MESSAGE)}\nspamsize:{len(MESSAGE)}"
        scanned.home.control(scanner=f"{daemon}:127.0.0.1:{peer.port}\n{size}")
        assert scanned.send().code == 0
        assert peer.heard
    assert b"Status: Skipped" not in scanned.passed()


@pytest.mark.parametrize(
    ("daemon", "failure", "end", "code"),
    [
        *(("clamd", "defer", "reject", 31), ("clamd", "pass", "pass", 0)),
        *(("spamd", "defer", "pass", 0), ("rspamd", "defer", "pass", 0)),
    ],
)
def test_a_larger_one_is_not(scanned: Scanned, daemon: str, failure: str, end: str, code: int) -> None:
    size = f"virussize:{len(MESSAGE) - 1}\nspamsize:{len(MESSAGE) - 1}"
    scanned.home.control(scanner=f"{daemon}:/nobody/is/asked\nfailure:{failure}\n{size}")
    assert scanned.send() == (code, b"", f"qmail-scanner: {daemon}: {end}: too large\n".encode())
    if code:
        assert not scanned.home.messages()
    else:
        kind = "Virus" if daemon == "clamd" else "Spam"
        assert scanned.passed() == f"X-{kind}-Status: Skipped (too large)\n".encode() + MESSAGE


@pytest.mark.parametrize(("daemon", "most"), [("clamd", 25 << 20), ("spamd", 512 << 10), ("rspamd", 512 << 10)])
def test_there_are_limits_without_a_setting(scanned: Scanned, daemon: str, most: int) -> None:
    scanned.home.control(scanner=f"{daemon}:/nobody/is/there")
    assert b"no answer" in scanned.send(b"x" * most).err
    assert b"too large" in scanned.send(b"x" * (most + 1)).err


def test_what_is_too_large_for_clamd_itself_ends_as_what_is_too_large_for_us(scanned: Scanned) -> None:
    script: list[Step] = [HELLO, b"INSTREAM size limit exceeded. ERROR\0", CLOSE]
    with Peer(script, script) as peer:
        scanned.home.control(scanner=f"clamd:127.0.0.1:{peer.port}")
        assert scanned.send() == (31, b"", b"qmail-scanner: clamd: reject: too large\n")
        assert not scanned.home.messages()
        scanned.home.control(scanner=f"clamd:127.0.0.1:{peer.port}\nfailure:pass")
        assert scanned.send().code == 0
    assert scanned.passed() == b"X-Virus-Status: Skipped (too large)\n" + MESSAGE


def test_a_real_clamd_with_a_lower_limit_has_no_mail_wait(scanned: Scanned, tmp_path: Path) -> None:
    with clamd(tmp_path / "clamd", "StreamMaxLength 1M\n") as socket:
        scanned.home.control(scanner=f"clamd:{socket}")
        assert scanned.send(b"Subject: x\n\n" + b"hello\n" * 1_000_000).code == 31
        assert scanned.send().code == 0
    assert scanned.passed().startswith(b"X-Virus-Status: Clean\n")


def test_words_behind_the_command_are_wrong(scanned: Scanned) -> None:
    scanned.home.control(scanner="clamd:/none")
    done = run("qmail-scanner", "foo", "bar", input=MESSAGE, env=scanned.env)
    assert done == (100, b"", b"qmail-scanner: usage: qmail-scanner \n")
