"""The reports and filters: what they make of lines that matchup has written."""

from __future__ import annotations

import pytest
from commands import run

RESULTS = b"""d k 100.5 100.5 101.0 1000 <joe@a.example> local.sue@mail.example 11 1001 did_1+0+0/
d z 100.5 100.5 104.5 1000 <joe@a.example> remote.bob@far.example 11 1001 try_again_later/
d k 100.5 400.0 402.0 1000 <joe@a.example> remote.bob@far.example 11 1001 accepted/
m 100.5 402.0 1000 2 0 1 <joe@a.example> 11 1001
d k 200.0 200.0 200.25 500 <> local.sue@mail.example 12 1002 did_1+0+0/
d d 200.0 200.0 201.0 500 <> remote.eve@far.example 12 1002 no_such_box/
m 200.0 201.0 500 1 1 0 <> 12 1002
201.5 warning: trouble
d k 300.0 300.0 301.0 0 ? local.joe@mail.example ? ? did_1+0+0/
"""


def table(name: str, results: bytes = RESULTS) -> list[str]:
    """The table of a report, line by line: what stands behind its last blank line or the text about its columns."""
    done = run(name, input=results)
    assert (done.code, done.err) == (0, b"")
    lines = done.out.decode().splitlines()
    assert lines[1] == ""
    return lines[len(lines) - lines[::-1].index("") :]


def test_zoverall_counts_everything() -> None:
    done = run("zoverall", input=RESULTS)
    assert (done.code, done.err) == (0, b"")
    assert done.out.startswith(b"Basic statistics\n\n")
    assert done.out.endswith(b"""
Completed messages: 2
Recipients for completed messages: 4
Total delivery attempts for completed messages: 5
Average delivery attempts per completed message: 2.5
Bytes in completed messages: 1500
Bytes weighted by success: 2500
Average message qtime (s): 151.25

Total delivery attempts: 6
  success: 4
  failure: 1
  deferral: 1
Total ddelay (s): 303.250000
Average ddelay per success (s): 75.812500
Total xdelay (s): 8.750000
Average xdelay per delivery attempt (s): 1.458333
Time span (days): 0.00348958
Average concurrency: 0.0290216
""")


def test_zoverall_of_nothing_has_no_averages() -> None:
    out = run("zoverall", input=b"").out
    assert out.endswith(b"\nCompleted messages: 0\n\nTotal delivery attempts: 0\n")


def test_zddist_tells_how_soon_each_tenth_was_delivered() -> None:
    assert table("zddist") == [
        "doneby    avg  pct",
        "  0.25   0.25  10",
        "  0.25   0.25  20",
        "  0.50   0.38  30",
        "  0.50   0.38  40",
        "  0.50   0.38  50",
        "  1.00   0.58  60",
        "  1.00   0.58  70",
        "301.50  75.81  80",
        "301.50  75.81  90",
        "301.50  75.81  100",
    ]


@pytest.mark.parametrize(
    ("name", "title", "rows"),
    [
        ("zsuccesses", "Reasons for success", ["  3    1.75  did 1+0+0/", "  1    2.00  accepted/"]),
        ("zfailures", "Reasons for failure", ["  1    1.00  no such box/"]),
        ("zdeferrals", "Reasons for deferral", ["  1    4.00  try again later/"]),
    ],
)
def test_reasons_are_counted_and_the_slowest_comes_last(name: str, title: str, rows: list[str]) -> None:
    lines = run(name, input=RESULTS).out.decode().splitlines()
    assert lines[0] == title
    assert lines[-len(rows) - 1 :] == ["del  xdelay  reason", *rows]


def test_zrecipients_and_zrhosts_add_up_by_recipient_and_by_host() -> None:
    assert table("zrecipients")[-5:] == [
        "sbytes  mess  tries  xdelay  recipient",
        "  1500     2      2    0.75  local.sue@mail.example",
        "     0     1      1    1.00  local.joe@mail.example",
        "     0     1      1    1.00  remote.eve@far.example",
        "  1000     1      2    6.00  remote.bob@far.example",
    ]
    assert table("zrhosts")[-3:] == [
        "sbytes  mess  tries  xdelay  host",
        "  1500     3      3    1.75  mail.example",
        "  1000     2      3    7.00  far.example",
    ]


def test_zrxdelay_has_the_fastest_recipient_first() -> None:
    assert table("zrxdelay")[-5:] == [
        " avg  tries  recipient",
        "0.38      2  local.sue@mail.example",
        "1.00      1  local.joe@mail.example",
        "1.00      1  remote.eve@far.example",
        "3.00      2  remote.bob@far.example",
    ]


def test_zsenders_and_zsuids_add_up_by_who_sent() -> None:
    assert table("zsenders")[-4:] == [
        "mess  bytes  sbytes  rbytes  recips  tries    xdelay  sender",
        "   0      0       0       0       0      0  1.000000  ?",
        "   1    500     500    1000       2      2  1.250000  <>",
        "   1   1000    2000    2000       2      3  6.500000  <joe@a.example>",
    ]
    assert table("zsuids")[-3:] == [
        "   0      0       0       0       0      0  1.000000  ?",
        "   1    500     500    1000       2      2  1.250000  1002",
        "   1   1000    2000    2000       2      3  6.500000  1001",
    ]


def test_zsendmail_writes_lines_like_those_of_sendmail_and_copies_others() -> None:
    lines = run("zsendmail", input=RESULTS).out.decode().splitlines()
    assert len(lines) == 9
    assert lines[1] == (
        "104.5 qp 11: to=remote.bob@far.example, uid=1001, ddelay=4.000000, xdelay=4.000000, "
        "stat=Deferred (try_again_later/)"
    )
    assert lines[3] == "402.0 qp 11: from=<joe@a.example>, uid=1001, size=1000, nrcpts=2, deferrals=1, qtime=301.500000"
    assert [line.split("stat=")[1].split()[0] for line in (lines[0], lines[5])] == ["Sent", "Failed"]
    assert lines[7] == "201.5 warning: trouble"


def test_filters_pick_lines_by_message_sender_and_recipient() -> None:
    lines = RESULTS.splitlines(keepends=True)
    assert run("xqp", "12", input=RESULTS).out == b"".join(lines[4:7])
    assert run("xsender", "joe@a.example", input=RESULTS).out == b"".join(lines[:4])
    assert run("xsender", "", input=RESULTS).out == b"".join(lines[4:7])
    assert run("xrecipient", "remote.bob@far.example", input=RESULTS).out == b"".join(lines[1:3])


@pytest.mark.parametrize("name", ["xqp", "xsender", "xrecipient"])
def test_a_filter_needs_one_word(name: str) -> None:
    assert run(name).code == run(name, "a", "b").code == 100


def test_a_line_that_is_cut_off_is_named_and_the_others_count() -> None:
    done = run("zfailures", input=b"d d 1.0 1.0 2\n" + RESULTS)
    assert done.code == 0
    assert done.err == b"zfailures: warning: input line 1 is passed over: it is none of matchup's: d d 1.0 1.0 2\n"
    assert b"  1    1.00  no such box/" in done.out


@pytest.mark.parametrize(
    "line",
    [
        *(b"d k nan nan nan 1 <a@b> local.c@d 1 2 ok/", b"d k 1.5 1.5 inf 1 <a@b> local.c@d 1 2 ok/"),
        *(b"d k -1 1.5 2.5 1 <a@b> local.c@d 1 2 ok/", b"d k 1.5 1e300 2.5 1 <a@b> local.c@d 1 2 ok/"),
        *(b"d k 1.5 1.5 2.5 -9 <a@b> local.c@d 1 2 ok/", b"d k 1.5 1.5 2.5 1_0 <a@b> local.c@d 1 2 ok/"),
        *(b"m nan 2.5 1 1 0 0 <a@b> 1 2", b"m 1.5 2.5 1 -1 0 0 <a@b> 1 2"),
        b"m 1.5 2.5 " + b"9" * 400 + b" 1 0 0 <> 1 2",
    ],
)  # fmt: skip
def test_a_line_with_numbers_that_are_none_is_named_and_does_not_count(line: bytes) -> None:
    done = run("zoverall", input=line + b"\n" + RESULTS)
    told = b"zoverall: warning: input line 1 is passed over: it is none of matchup's: " + line + b"\n"
    assert (done.code, done.err) == (0, told)
    assert done.out == run("zoverall", input=RESULTS).out


def test_columnt_aligns_words_to_the_right_and_the_last_to_the_left() -> None:
    done = run("columnt", input=b"a bb ccc\n1000 2 3\n\nlong\n10 20 30 40\n")
    assert done.out == b"   a  bb  ccc\n1000   2  3\n\nlong\n  10  20   30  40\n"
