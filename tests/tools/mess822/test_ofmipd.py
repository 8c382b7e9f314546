"""ofmipd and ofmipname: what a program that people write mail with says, and what goes into the queue."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest
from commands import Result, environment, run
from crashes import crashes_of
from faults import faults_of
from hypothesis import given
from hypothesis import strategies as st
from injecting import Home
from tcp import Server
from until import until

from supervise.pool import Pool
from supervise.worker import run_again
from tools.mess822.lines import Lines
from tools.mess822.ofmipd import main
from ucspi import cdb

ENVELOPE = b"MAIL FROM:<joe>\r\nRCPT TO:<bill@irs>\r\nDATA\r\n"
MESSAGE = ENVELOPE + b"Subject: hi\r\nBcc: sue\r\nTo: bill@irs\r\n\r\nbody\r\n.\r\nQUIT\r\n"
NAMES = b"# From: Joe\njoe@heaven.af.mil:Joe Shmoe:J.Shmoe@sun.af.mil:rest\nno colons\nann@x.y:Ann\n"


def ofmipd(home: Home, text: bytes, *words: str, **env: str) -> Result:
    return home.command("ofmipd", *words, text=text, **env)


def replies(result: Result) -> list[bytes]:
    assert result.err == b""
    return result.out.split(b"\r\n")[1:-1]


def test_a_message_is_completed_and_queued(home: Home) -> None:
    done = ofmipd(home, b"EHLO me\r\n" + MESSAGE, TCPREMOTEINFO="jo(e")
    assert done == (
        0,
        b"220 ofmipd.local ESMTP\r\n250-ofmipd.local\r\n250-PIPELINING\r\n250 8BITMIME\r\n250 ok\r\n250 ok\r\n"
        b"354 go ahead\r\n250 ok\r\n221 ofmipd.local\r\n",
        b"",
    )
    assert home.envelope == [b"Fjoe@heaven.af.mil", b"Tbill@irs.heaven.af.mil"]
    assert re.fullmatch(
        rb"Received: \(ofmipd jo\?e@192\.0\.2\.7\); \d+ \w+ \d+ [\d:]+ -0000\n"
        rb"Date: .* -0000\nMessage-ID: <\d{14}\.1\.\d+\.qmail@heaven.af.mil>\nFrom: joe@heaven.af.mil\n"
        rb"To: bill@irs.heaven.af.mil\nSubject: hi\n\nbody\n",
        home.message,
    )


def test_commands_out_of_turn_are_refused_as_ever(home: Home) -> None:
    said = (
        b"RCPT TO:<x>\r\nDATA\r\nMAIL FROM:<a@b.c>\r\nDATA\r\nRSET\r\nEXPN x\r\nVRFY x\r\nHELP\r\nNOOP\r\nSTARTTLS\r\n"
    )
    assert [reply[:3] for reply in replies(ofmipd(home, said + b"QUIT\r\n"))] == [
        *(b"503", b"503", b"250", b"503", b"250", b"502", b"252", b"214", b"250", b"502", b"221"),
    ]


def test_addresses_are_completed_before_their_length_counts(home: Home) -> None:
    said = b"MAIL FROM:<%s>\r\nRCPT TO:<%s@h.>\r\nRCPT TO:<%s@h.>\r\nQUIT\r\n" % (b"x" * 890, b"x" * 884, b"x" * 883)
    assert replies(ofmipd(home, said))[0] == b"555 syntax error (#5.5.4)"
    assert [reply[:3] for reply in replies(ofmipd(home, b"MAIL FROM:<>\r\n" + said[said.index(b"RCPT") :]))] == [
        *(b"250", b"555", b"250", b"221")
    ]


@pytest.mark.parametrize("end", [b"\r\n.\r\n", b"\n.\n", b"\n.\r\n", b"\r\n.\n"])
def test_any_line_end_will_do(home: Home, end: bytes) -> None:
    assert ofmipd(home, ENVELOPE + b"A: b\n\r\n..x\ny.\r\n.\rz" + end + b"QUIT\r\n").code == 0
    assert home.message.endswith(b"A: b\n\n.x\ny.\n\rz\n")


texts = st.lists(st.sampled_from([b"\n", b"\r\n", b".", b"\r", b"a", b"\n."]), max_size=12).map(b"".join)


@given(texts, st.lists(st.integers(1, 5)))
def test_it_is_all_one_where_the_text_is_cut(text: bytes, sizes: list[int]) -> None:
    whole = text + b"\r\n.\r\nrest"
    body, got = Lines(), b""
    for size in [*sizes, len(whole)]:
        if not body.ended:
            got += body.feed(whole[:size])
            whole = whole[size:]
    expected = []
    for line in (text + b"\r\n.\r\n").split(b"\n"):
        line = line.removesuffix(b"\r")
        if line == b".":
            break
        expected.append(line.removeprefix(b".") + b"\n")
    assert got == b"".join(expected)
    assert (body.rest + whole).endswith(b"rest")


def test_what_goes_on_has_no_bare_dot_where_none_was(home: Home) -> None:
    """A message is queued with lines that end with LF, so that no line end of the client's can smuggle in another."""
    assert ofmipd(home, ENVELOPE + b"\r\n..\n..\r\nMAIL\r\n.\r\nQUIT\r\n").code == 0
    assert home.message.endswith(b"\n\n.\n.\nMAIL\n")


def test_a_header_without_a_body_and_a_body_without_a_header(home: Home) -> None:
    for text, end in (
        (b"A: b\r\n", b"\nA: b\n"),
        (b"", b" ;\n"),
        (b"just text\r\n", b" ;\n\njust text\n"),
        (b" x\r\n", b"\n\n x\n"),
    ):
        assert ofmipd(home, ENVELOPE + text + b".\r\nQUIT\r\n").code == 0
        assert home.message.endswith(end) and home.message.startswith(b"Received: (ofmipd 192.0.2.7); ")


def test_a_header_without_an_end_is_refused_for_good(home: Home) -> None:
    said = ENVELOPE + b"X: " + b"y" * (9 << 20) + b"\r\n\r\nbody\r\n.\r\n"
    assert replies(ofmipd(home, said + MESSAGE))[3:] == [
        b"554 message header is too long (#5.3.4)",
        *(b"250 ok", b"250 ok", b"354 go ahead", b"250 ok", b"221 ofmipd.local"),
    ]


def test_a_large_message_arrives_whole(home: Home) -> None:
    lines = [b"%d" % number * 9 for number in range(100_000)]
    assert ofmipd(home, ENVELOPE + b"\r\n" + b"\r\n".join(lines) + b"\r\n.\r\nQUIT\r\n").code == 0
    assert home.message.partition(b"\n\n")[2] == b"\n".join(lines) + b"\n"


def test_who_is_in_the_database_gets_another_name(home: Home) -> None:
    names = str(home.folder / "n.cdb")
    assert run("ofmipname", names, names + ".tmp", input=NAMES) == (0, b"", b"")
    said = MESSAGE.replace(b"Subject", b"From: me@x.y\r\nSubject")
    assert ofmipd(home, said, names).code == 0
    assert home.envelope[0] == b"FJ.Shmoe@sun.af.mil"
    assert b'\nFrom: "Joe Shmoe" <J.Shmoe@sun.af.mil>\n' in home.message and b"me@x.y" not in home.message
    assert ofmipd(home, said.replace(b"<joe>", b"<ann>"), names).code == 0
    assert home.envelope[0] == b"Fann@heaven.af.mil" and b"\nFrom: me@x.y\n" in home.message


def test_without_settings_or_database_clients_are_sent_away_for_now(home: Home) -> None:
    away = (1, b"451 unable to read configuration (#4.3.0)\r\n", b"")
    assert ofmipd(home, MESSAGE, str(home.folder / "none.cdb")) == away
    names = home.folder / "bad.cdb"
    names.write_bytes(bytes(2048))
    assert replies(ofmipd(home, MESSAGE, str(names)))[:2] == [
        b"451 unable to read cdb (#4.3.0)", b"503 MAIL first (#5.5.1)",
    ]  # fmt: skip
    (home.folder / "control/rewrite").mkdir()
    assert ofmipd(home, MESSAGE) == away


def test_a_client_that_hangs_up_queues_nothing_and_is_no_success(home: Home) -> None:
    for cut in b"", b"MAIL", MESSAGE[:-10], MESSAGE[:60]:
        assert ofmipd(home, cut).code == 1
        assert not (home.folder / "envelope").exists() or home.envelope == [b""]


@pytest.mark.parametrize(("code", "reply"), [(31, b"554 mail server"), (71, b"451 mail server"), (1, b"451 qq ")])
def test_250_is_said_only_when_the_queue_has_said_so(home: Home, code: int, reply: bytes) -> None:
    (home.folder / "capture").write_text(f"#!/bin/sh\ncat >/dev/null\ncat <&1 >/dev/null\nexit {code}\n")
    assert replies(ofmipd(home, MESSAGE))[3].startswith(reply)


def serve(payload: bytes) -> int:
    """What tcpserver's worker does: take the connection's environment, run the command."""
    os.environb.clear()
    os.environb.update(variable.split(b"=", 1) for variable in payload.split(b"\0"))
    return run_again([b"ofmipd"])


def test_one_worker_serves_many_and_makes_no_id_twice(home: Home) -> None:
    payload = b"\0".join(f"{name}={value}".encode() for name, value in environment(home.env).items())
    pool = Pool(lambda payload: serve(payload))
    ids, pids = set(), set()
    for number in range(5):
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                pids.add(pool.begin(payload, {0: theirs.fileno(), 1: theirs.fileno()}, "job"))
            ours.sendall(MESSAGE.replace(b"Subject: hi", b"Subject: %d\r\nDate: 1 Jan 2026 00:00 UT" % number))
            assert until(pool.ended)[0].status == 0
        assert b"Subject: %d\n" % number in home.message
        ids.update(re.findall(rb"Message-ID: .*", home.message))
    assert (len(pids), len(ids)) == (1, 5)
    pool.dismiss()
    until(lambda: pool.ended() or pool.count == 0)


def test_below_tcpserver_rules_say_who_may_write(home: Home) -> None:
    rules = str(home.folder / "rules.cdb")
    assert run("tcprules", rules, rules + ".tmp", input=b"127.0.0.1:allow\n:deny\n").code == 0
    with Server("ofmipd", options=("-RHl0", "-x", rules), env=home.env) as server:
        for _ in range(3):
            with server.connect() as client:
                client.sendall(MESSAGE)
                said = client.makefile("rb").read()
            assert said.endswith(b"354 go ahead\r\n250 ok\r\n221 ofmipd.local\r\n")
            assert home.message.startswith(b"Received: (ofmipd 127.0.0.1); ")


@pytest.mark.long
def test_a_machine_in_trouble_says_no_final_no(home: Home) -> None:
    env = {name: value for name, value in home.env.items() if value is not None}
    *failed, last = faults_of(main, [b"ofmipd"], stdin=MESSAGE, env=env, folder=str(home.folder))
    assert b"354 go ahead\r\n250 ok\r\n" in last.out
    assert len(failed) > 20
    for outcome in failed:
        assert b": bug: " not in outcome.err, outcome
        first_no = next((reply for reply in outcome.out.split(b"\r\n") if reply[:1] in (b"4", b"5")), b"")
        assert not first_no.startswith(b"5"), outcome


def test_ofmipname_crashed_at_any_call_leaves_the_old_names_or_the_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "names").write_bytes(NAMES)
    seen = set()

    def make() -> None:
        from tools.mess822.ofmipname import main as ofmipname

        os.dup2(os.open("names", os.O_RDONLY), 0)
        assert ofmipname([b"ofmipname", b"n.cdb", b"n.tmp"]) == 0

    for _ in crashes_of(make, lambda: cdb.write(b"n.cdb", b"n.tmp", [(b"old", b"Old\0o@x")])):
        found = cdb.Cdb.open(b"n.cdb")
        assert found
        seen.add((found.get(b"old"), found.get(b"joe@heaven.af.mil")))
        found.close()
    assert seen == {(b"Old\0o@x", None), (None, b"Joe Shmoe\0J.Shmoe@sun.af.mil")}


def test_ofmipname_makes_a_file_that_all_may_read_and_names_what_it_cannot_write(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        assert run("ofmipname", "n.cdb", "n.tmp", input=NAMES, cwd=tmp_path).code == 0
    finally:
        os.umask(before)
    assert (tmp_path / "n.cdb").stat().st_mode & 0o777 == 0o644
    done = run("ofmipname", "n.cdb", "none/t", input=NAMES, cwd=tmp_path)
    assert done == (111, b"", b"ofmipname: fatal: unable to create none/t: file does not exist\n")
    assert run("ofmipname", "n.cdb") == (100, b"", b"ofmipname: usage: ofmipname cdb tmp\n")
