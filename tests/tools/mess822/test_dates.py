"""Dates: what is one, and the moment that it means."""

from __future__ import annotations

import calendar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.mess822.dates import Date, parse


@pytest.mark.parametrize(
    ("text", "header"),
    [
        (b"1 jan 0 0:0:0 jst", b"1 Jan 2000 00:00:00 +0900"),
        (b"1 jan 49 0:0 gmt", b"1 Jan 2049 00:00:00 +0000"),
        (b"1 jan 10 0:0:0 met dst", b"1 Jan 2010 00:00:00 +0200"),
        (b"1 jan 100 0:0:0 ut", b"1 Jan 2000 00:00:00 +0000"),
        (b"29 feb 2000 12:34:56 -0000", b"29 Feb 2000 12:34:56 -0000"),
        (b" Mon, 4(quatre)May (Mai) 1998(1998-05-04)03 : 04 : 12 +0130", b"4 May 1998 03:04:12 +0130"),
        (b"by x; 2 Jan 10000 00:00:00 -0130", b"2 Jan 10000 00:00:00 -0130"),
    ],
)
def test_old_ways_to_write_a_date_are_understood(text: bytes, header: bytes) -> None:
    date = parse(text)
    assert date and date.header() == header


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"today", b"1 Jan 2026", b"1 Jan 2026 10:00", b"1 Jan 2026 10:00:00", b"1 Foo 2026 10:00:00 GMT"),
        *(b"x Jan 2026 10:00 GMT", b"1 Jan 2026 10 00 GMT", b"1 Jan 2026 10:00 XYZ"),
        b"1 Jan " + b"9" * 5000 + b" 1:1 UT",
    ],
)
def test_what_lacks_anything_is_no_date(text: bytes) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    "text",
    [
        *(b"27 Nov 2026 99:00:00 +0000", b"27 Nov 2026 24:00 GMT", b"27 Nov 2026 10:60 GMT"),
        *(b"27 Nov 2026 10:00:61 GMT", b"27 Nov 2026 10:-5:00 GMT", b"-1 Nov 2026 10:00 GMT"),
        *(b"99 Nov 999999999 1:1 UT", b"31 Nov 2026 10:00 GMT", b"0 Nov 2026 10:00 GMT", b"29 Feb 2100 10:00 GMT"),
        *(b"29 Feb 10001 10:00 GMT", b"1 Nov 2026 10:00 +9999", b"1 Nov 2026 10:00 +0060", b"1 Nov 2026 10:00 -2400"),
        *(b"1 Nov 2026 10:00 +-100", b"1 Nov -5 10:00 GMT"),
    ],
)
def test_what_no_calendar_or_clock_shows_is_no_date(text: bytes) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    "text",
    [
        *(b"31 Dec 2016 23:59:60 +0000", b"29 Feb 2000 00:00:00 +2359", b"29 Feb 999999996 00:00:00 -2359"),
        *(b"29 Feb 10000 00:00:00 +1245", b"31 Oct 1000 00:00:00 -0330"),
    ],
)
def test_what_stands_at_the_edge_is_a_date(text: bytes) -> None:
    date = parse(text)
    assert date and date.header() == text


@given(st.binary(max_size=40))
def test_any_text_is_a_date_or_none(text: bytes) -> None:
    parse(text)


@given(st.integers(0, 1 << 33))
def test_a_moment_written_and_read_is_the_same(seconds: int) -> None:
    date = Date.at(seconds)
    assert date.seconds() == seconds == calendar.timegm((date.year, date.month, date.day, *clock(date)))
    again = parse(date.header())
    assert again and (again.seconds(), again.zoned) == (seconds, False)


def clock(date: Date) -> tuple[int, int, int]:
    return date.hour, date.minute, date.second


@given(st.integers(-(1 << 45), 1 << 45))
def test_the_calendar_goes_on_before_1970_and_after_2038(seconds: int) -> None:
    assert Date.at(seconds).seconds() == seconds
