"""qmail-scanner: what daemons say of a message, and what becomes of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import scanning
from commands import BIN, run
from crashes import crashes_of
from peer import CLOSE, STALL, Peer, Step
from scanning import ASKED, EICAR, ENVELOPE, MESSAGE, Scanned
from tcp import Server

from tools.scanner import scanner


@pytest.fixture
def scanned(tmp_path: Path) -> Scanned:
    return Scanned(tmp_path)


@pytest.fixture
def clamd(tmp_path: Path) -> Iterator[Path]:
    """A real clamd; its socket."""
    with scanning.clamd(tmp_path / "clamd") as socket:
        yield socket


def test_a_virus_is_refused_at_the_door_and_other_mail_passes(scanned: Scanned, clamd: Path, tmp_path: Path) -> None:
    scanned.home.control(scanner=f"clamd:{clamd}", me="heaven.af.mil", rcpthosts="heaven.af.mil")
    rule = f':allow,QMAILQUEUE="{BIN}/qmail-scanner"\n'
    assert run("tcprules", "rules.cdb", "rules.tmp", input=rule.encode(), cwd=tmp_path).code == 0
    options = ("-vRHl0", "-x", str(tmp_path / "rules.cdb"))
    dialog = b"MAIL FROM:<joe@irs.gov>\r\nRCPT TO:<sue@heaven.af.mil>\r\nDATA\r\nSubject: x\r\n\r\n%s\r\n.\r\nQUIT\r\n"
    with Server(BIN / "qmail-smtpd", options=options, env={**scanned.home.env, "QMAILQUEUE": None}) as server:
        refused = server.ask(say=dialog % EICAR)
        assert b"554 mail server permanently rejected message (#5.3.0)" in refused
        assert not scanned.home.messages()
        assert b"250 ok " in server.ask(say=dialog % b"hello")
    assert scanned.passed().startswith(b"X-Virus-Status: Clean\nReceived: ")


def test_a_virus_goes_into_the_quarantine_and_the_officer_hears_of_it(scanned: Scanned, clamd: Path) -> None:
    folder = scanned.home.folder
    assert run("maildirmake", folder / "quarantine").code == 0
    text = f"clamd:{clamd}\nvirus:quarantine\nquarantine:quarantine\nofficer:postmaster@heaven.af.mil"
    scanned.home.control(scanner=text, me="heaven.af.mil")
    assert scanned.send(MESSAGE + EICAR + b"\n").code == 0
    (kept,) = (folder / "quarantine" / "new").iterdir()
    head = b"Return-Path: <joe@irs.gov>\nX-Envelope-To: sue@heaven.af.mil\nX-Virus-Status: Infected ("
    assert kept.read_bytes().startswith(head) and kept.read_bytes().endswith(MESSAGE + EICAR + b"\n")
    (notice,) = scanned.home.messages()
    assert b"quarantined: Eicar-Test" in notice and EICAR not in notice
    assert [file.read_bytes() for file in scanned.home.kept.glob("*.e")] == [b"F\0Tpostmaster@heaven.af.mil\0\0"]


@pytest.mark.parametrize("daemon", ["spamd", "rspamd"])
def test_spam_gets_fields_or_is_rejected(scanned: Scanned, daemon: str) -> None:
    wait, answer = ASKED[daemon]
    script: list[Step] = [wait, answer, CLOSE]
    with Peer(script, script) as peer:
        scanned.home.control(scanner=f"{daemon}:127.0.0.1:{peer.port}")
        assert scanned.send().code == 0
        assert scanned.passed().startswith(b"X-Spam-Flag: YES\nX-Spam-Status: Yes, score=")
        assert scanned.passed().endswith(b"\n" + MESSAGE)
        scanned.home.control(scanner=f"{daemon}:127.0.0.1:{peer.port}\nspam:reject")
        assert scanned.send().code == 31
    assert len(scanned.home.messages()) == 1


@pytest.mark.parametrize("daemon", list(ASKED))
def test_a_daemon_that_leaves_at_any_byte_has_not_answered(scanned: Scanned, daemon: str) -> None:
    wait, answer = ASKED[daemon]
    with Peer(*([wait, answer[:size], CLOSE] for size in range(len(answer)))) as peer:
        scanned.home.control(scanner=f"{daemon}:127.0.0.1:{peer.port}")
        for _ in answer:
            assert scanned.send().code == 71
    assert not scanned.home.messages()


@pytest.mark.parametrize("script", [[STALL], [b"nonsense\r\n\r\n\0", CLOSE], [b"x" * 100_000], [CLOSE]])
@pytest.mark.parametrize("daemon", list(ASKED))
def test_a_daemon_in_trouble_defers_mail_unless_it_shall_pass(
    scanned: Scanned, daemon: str, script: list[Step]
) -> None:
    with Peer(script, script) as peer:
        text = f"{daemon}:127.0.0.1:{peer.port}\ntimeout:1"
        scanned.home.control(scanner=text)
        assert scanned.send().code == 71
        peer.over.set()
    with Peer(script) as peer:
        scanned.home.control(scanner=f"{daemon}:127.0.0.1:{peer.port}\ntimeout:1\nfailure:pass")
        assert scanned.send().code == 0
        peer.over.set()
    assert b"Status: Failed (" in scanned.passed()


@pytest.mark.parametrize("text", ["clamd:nowhere", "clamd:/x\nspam:maybe", "# no daemon", "clamd:/x\nvirus:quarantine"])
def test_a_wrong_setting_is_named(scanned: Scanned, text: str) -> None:
    scanned.home.control(scanner=text)
    result = scanned.send()
    assert result.code == 55 and result.err.startswith(b"qmail-scanner: fatal: control/scanner")


def test_a_full_disk_and_a_broken_envelope_take_no_message(scanned: Scanned) -> None:
    scanned.home.control(scanner="clamd:/none")
    limited = run("sh", "-c", f"ulimit -f 1; exec {BIN}/qmail-scanner", input=b"x" * 100_000, env=scanned.env)
    assert limited.code == 53
    assert scanned.send(envelope=b"Fjoe@irs.gov\0Tsue@x").code == 54
    assert scanned.send(envelope=b"nonsense\0\0").code == 91
    assert scanned.send().code == 71


def test_a_crash_leaves_the_quarantine_without_halves(scanned: Scanned, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever call the scanner dies at, the quarantine has the whole message or none."""
    folder = scanned.home.folder
    (folder / "message").write_bytes(MESSAGE)
    (folder / "envelope").write_bytes(ENVELOPE)
    monkeypatch.setenv("QMAILHOME", str(folder))
    new = folder / "quarantine" / "new"
    wait, answer = ASKED["spamd"]
    with Peer(*([wait, answer, CLOSE] for _ in range(200))) as peer:
        text = f"spamd:127.0.0.1:{peer.port}\nspam:quarantine\nquarantine:quarantine"
        scanned.home.control(scanner=text)

        def fresh() -> None:
            shutil.rmtree(folder / "quarantine", ignore_errors=True)
            assert run("maildirmake", folder / "quarantine").code == 0

        def scan() -> None:
            for fd, name in enumerate(("message", "envelope")):
                os.dup2(os.open(folder / name, os.O_RDONLY), fd)
            assert scanner.main([b"qmail-scanner"]) == 0

        for _ in crashes_of(scan, fresh):
            kept = [file.read_bytes() for file in new.iterdir()]
            assert all(message.startswith(b"Return-Path: ") and message.endswith(MESSAGE) for message in kept)
        assert len(kept) == 1
