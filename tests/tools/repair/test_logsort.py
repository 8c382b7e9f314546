"""qmLogsort puts the lines of each message together."""

from __future__ import annotations

from pathlib import Path

from commands import run

STAMP = "@4000000065a0000000000000 "
FIRST = ["new msg 7", "info msg 7: bytes 9 from <a@x> qp 1 uid 2", "starting delivery 1: msg 7 to local joe@x"]
SECOND = ["new msg 8", "starting delivery 2: msg 8 to remote eve@y", "delivery 2: deferral: no/"]
LOG = [*FIRST, "status: local 1/10 remote 0/20", *SECOND, "delivery 1: success: did_1+0+0/", "end msg 7"]
SORTED = [*FIRST, "delivery 1: success: did_1+0+0/", "end msg 7", "", *SECOND, ""]


def text(lines: list[str], stamp: str = "") -> bytes:
    return "".join(f"{stamp}{line}\n" if line else "\n" for line in lines).encode()


def test_the_lines_of_a_message_stand_together() -> None:
    for stamp in ("", STAMP, "2026-11-25 21:03:43.787492500 ", "Nov 25 21:03:43 host qmail: 1764104623.787492 "):
        assert run("qmLogsort", input=text(LOG, stamp)) == (0, text(SORTED, stamp), b"")


def test_it_reads_log_directories(tmp_path: Path) -> None:
    (tmp_path / "current").write_bytes(text(LOG, STAMP))
    assert run("qmLogsort", tmp_path) == (0, text(SORTED, STAMP), b"")


def test_a_delivery_of_an_older_qmail_send_ends_no_delivery_of_a_newer_one() -> None:
    lines = ["new msg 7", "starting delivery 1: msg 7 to local a", "status: exiting", "delivery 1: success: late"]
    assert run("qmLogsort", input=text(lines)).out == text([*lines[:2], ""])


def test_after_a_crash_the_numbers_of_deliveries_that_begin_anew_tell_of_it() -> None:
    before = ["new msg 7", "starting delivery 4: msg 7 to local a", "starting delivery 5: msg 7 to local b"]
    after = ["new msg 8", "starting delivery 1: msg 8 to local c"]
    log = [*before, *after, "delivery 4: success: late", "delivery 5: success: late", "delivery 1: success: ok"]
    sorted_log = [*before, "", *after, "delivery 1: success: ok", ""]
    assert run("qmLogsort", input=text(log)).out == text(sorted_log)


def test_a_number_that_is_used_again_is_another_message() -> None:
    lines = ["new msg 7", "starting delivery 1: msg 7 to local a", "new msg 7", "end msg 7"]
    assert run("qmLogsort", input=text(lines)).out == text([*lines[:2], "", *lines[2:], ""])


def test_a_log_that_is_not_there_is_named(tmp_path: Path) -> None:
    code, out, err = run("qmLogsort", tmp_path / "none")
    assert (code, out) == (111, b"")
    assert str(tmp_path / "none").encode() in err
