"""matchup: what becomes of the lines of qmail-send, and that pieces of a log add up to the whole."""

from __future__ import annotations

import subprocess
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from commands import BIN, environment, run
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.analog.matching import Matcher

LOG = b"""901967408.113926 new msg 19287
901967408.116537 info msg 19287: bytes 530 from <Joe@Example.ORG> qp 4711 uid 1001
901967408.200000 starting delivery 1: msg 19287 to local Sue@mail.example
901967408.210000 starting delivery 2: msg 19287 to remote Bob@far.example
901967408.220000 starting delivery 3: msg 19287 to remote eve@far.example
901967408.230000 status: local 1/10 remote 2/20
901967408.300000 delivery 1: success: did_1+0+0/
901967409.300000 delivery 2: failure: Sorry,_no_mailbox_here_by_that_name._(#5.1.1)/
901967410.300000 delivery 3: deferral: Connected_to_192.0.2.1_but_greeting_failed./
901967500.000000 starting delivery 4: msg 19287 to remote eve@far.example
901967501.000000 delivery 4: report mangled, will defer
901967600.000000 starting delivery 5: msg 19287 to remote eve@far.example
901967601.000000 delivery 5: success: accepted/
901967601.500000 end msg 19287
"""
MESSAGE = b"901967408.116537"
ABOUT = b"530 <joe@example.org>"
RESULTS = (
    b"d k %b 901967408.200000 901967408.300000 %b local.sue@mail.example 4711 1001 did_1+0+0/\n"
    b"d d %b 901967408.210000 901967409.300000 %b remote.bob@far.example 4711 1001"
    b" Sorry,_no_mailbox_here_by_that_name._(#5.1.1)/\n"
    b"d z %b 901967408.220000 901967410.300000 %b remote.eve@far.example 4711 1001"
    b" Connected_to_192.0.2.1_but_greeting_failed./\n"
    b"d z %b 901967500.000000 901967501.000000 %b remote.eve@far.example 4711 1001 report_mangled\n"
    b"d k %b 901967600.000000 901967601.000000 %b remote.eve@far.example 4711 1001 accepted/\n"
    b"m 901967408.116537 901967601.500000 530 2 1 2 <joe@example.org> 4711 1001\n"
) % ((MESSAGE, ABOUT) * 5)


def matchup(log: bytes, folder: Path) -> tuple[bytes, bytes]:
    """What matchup writes to descriptors 1 and 5."""
    words = ["sh", "-c", 'exec "$0" 5>"$1"', str(BIN / "matchup"), str(folder / "pending")]
    done = subprocess.run(words, input=log, capture_output=True, env=environment(), check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout, (folder / "pending").read_bytes()


def test_deliveries_and_messages_come_out_as_one_line_each(tmp_path: Path) -> None:
    assert matchup(LOG, tmp_path) == (RESULTS, b"")


def test_tai64n_labels_become_seconds_since_1970(tmp_path: Path) -> None:
    log = (
        b"@4000000037c219bf2ef02e94 info msg 7: bytes 2 from <> qp 8 uid 9\n"
        b"@4000000037c219bf2ef02e95 starting delivery 1: msg 7 to local joe@mail.example\n"
        b"@4000000037c219c000000001 delivery 1: success: did_1+0+0/\n"
        b"@4000000037c219c000000002 end msg 7\n"
    )
    assert matchup(log, tmp_path) == (
        b"d k 935467445.787492500 935467445.787492501 935467446.000000001 2 <> local.joe@mail.example 8 9 did_1+0+0/\n"
        b"m 935467445.787492500 935467446.000000002 2 1 0 0 <> 8 9\n",
        b"",
    )


def test_what_is_pending_goes_to_descriptor_5_as_lines_for_the_next_run(tmp_path: Path) -> None:
    head, tail = LOG[: LOG.index(b"901967501")], LOG[LOG.index(b"901967501") :]
    out, pending = matchup(head + tail[:20], tmp_path)
    assert pending == (
        b"901967408.116537 info msg 19287: bytes 530 from <joe@example.org> qp 4711 uid 1001\n"
        b"901967408.116537 extra 19287 1 1 1\n"
        b"901967500.000000 starting delivery 4: msg 19287 to remote eve@far.example\n" + tail[:20]
    )
    assert out + matchup(pending + tail[20:], tmp_path)[0] == RESULTS


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, len(LOG)), max_size=6))
def test_pieces_cut_anywhere_give_what_the_whole_log_gives(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(LOG)]
    found, pending = [], b""
    for begin, end in pairwise(places):
        matcher = Matcher()
        *lines, rest = (pending + LOG[begin:end]).split(b"\n")
        found += matcher.take(lines)
        pending = matcher.pending() + rest
    assert b"".join(line + b"\n" for line in found) == RESULTS
    assert pending == b""


@pytest.mark.parametrize("size", [1, 2, 3])
def test_several_messages_stay_apart_over_pieces(size: int) -> None:
    log = b"".join(
        b"%d.5 info msg %d: bytes %d from <a@b> qp %d uid 1\n"
        b"%d.6 starting delivery %d: msg %d to local c@d\n" % (at, at % 5, at, at, at, at, at % 5)
        + (b"%d.7 delivery %d: success: ok/\n%d.8 end msg %d\n" % (at, at - 2, at, (at - 2) % 5) if at > 2 else b"")
        for at in range(1, 50)
    )  # fmt: skip
    whole = Matcher().take(log.split(b"\n")[:-1])
    found, pending, lines = [], b"", log.splitlines()
    for begin in range(0, len(lines), size):
        matcher = Matcher()
        found += matcher.take(pending.splitlines() + lines[begin : begin + size])
        pending = matcher.pending()
    assert Counter(found) == Counter(whole)
    assert len(whole) == 94


def test_a_delivery_of_an_unknown_message_is_told_without_it(tmp_path: Path) -> None:
    log = b"5.5 starting delivery 9: msg 1 to remote a@b\n6.5 delivery 9: success: ok/\n"
    assert matchup(log, tmp_path)[0] == b"d k 5.5 5.5 6.5 0 ? remote.a@b ? ? ok/\n"


PENDING = b"""1.5 info msg 1: bytes 2 from <a@b> qp 3 uid 4
2.5 starting delivery 1: msg 1 to local c@d
2.6 starting delivery 2: msg 1 to remote e@f
2.7 starting delivery 3: msg 1 to remote g@h
"""
KEPT = b"1.5 info msg 1: bytes 2 from <a@b> qp 3 uid 4\n1.5 extra 1 0 0 0\n"


@pytest.mark.parametrize("line", [b"status: exiting", b"running", b"exiting"])
def test_a_new_start_of_qmail_send_forgets_deliveries_and_keeps_messages(tmp_path: Path, line: bytes) -> None:
    assert matchup(PENDING + b"3.5 " + line + b"\n4.5 delivery 1: success: ok/\n", tmp_path) == (b"", KEPT)


def test_a_qmail_send_that_will_exit_waits_for_its_deliveries(tmp_path: Path) -> None:
    log = PENDING + b"3.5 status: local 1/10 remote 2/20 exitasap\n4.5 delivery 3: success: ok/\n"
    out, pending = matchup(log, tmp_path)
    assert out == b"d k 1.5 2.7 4.5 2 <a@b> remote.g@h 3 4 ok/\n"
    assert pending.count(b" starting ") == 2


@pytest.mark.parametrize(("before", "number"), [(b"", 1), (b"2.8 delivery 1: success: ok/\n", 1), (b"", 3)])
def test_after_a_crash_a_number_that_begins_anew_tells_of_the_start(tmp_path: Path, before: bytes, number: int) -> None:
    start = b"9.5 starting delivery %d: msg 1 to remote i@j\n" % number
    log = PENDING + before + start + b"9.6 delivery 2: success: late/\n"
    out, pending = matchup(log, tmp_path)
    assert out.count(b"\n") == before.count(b"\n")
    assert pending.endswith(b"\n" + start) and pending.count(b" starting ") == 1


def test_a_number_that_is_used_again_ends_the_message_without_a_line(tmp_path: Path) -> None:
    log = PENDING[: PENDING.index(b"2.5")] + b"8.5 new msg 1\n9.5 end msg 1\n"
    assert matchup(log, tmp_path) == (b"", b"")


def test_warnings_are_copied_and_unknown_lines_marked_and_status_lines_dropped(tmp_path: Path) -> None:
    log = (
        b"1.5 warning: unable to stat mess/1\n1.6 alert: out of memory\n1.7 status: local 0/10 remote 0/20\n"
        b"1.8 triple bounce: discarding bounce/1\nhello\n\n1.9 info msg 1: bytes many from <a@b> qp 3 uid 4\n"
        b"@40 end msg 1\n"
    )
    assert matchup(log, tmp_path) == (
        b"1.5 warning: unable to stat mess/1\n1.6 alert: out of memory\n"
        b"? 1.8 triple bounce: discarding bounce/1\n? hello\n? \n? 1.9 info msg 1: bytes many from <a@b> qp 3 uid 4\n"
        b"? @40 end msg 1\n",
        b"",
    )


def test_without_descriptor_5_the_results_are_written_and_the_end_tells(tmp_path: Path) -> None:
    done = run("matchup", input=LOG + b"and more")
    assert done.out == RESULTS
    assert (done.code, done.err) == (111, b"matchup: fatal: unable to write descriptor 5: file descriptor not open\n")
