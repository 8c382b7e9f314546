"""Moments as people write them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from supervise.errors import Permanent
from supervise.history.moment import SECOND, UNITS, moment
from supervise.log.tai64nlocal import Dates
from supervise.stamp import label

NOW = 1_795_640_623 * SECOND + 5  # 2026-11-25 21:03:43 UTC


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An hour ahead of UTC in winter, two in summer."""
    monkeypatch.setenv("TZ", "Europe/Vienna")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("when", "back"),
    [
        ("90s", 90),
        ("10m", 600),
        ("2h", 7200),
        ("3d", 259200),
        ("1w", 604800),
        ("1h30m", 5400),
        ("1d1s", 86401),
        ("0s", 0),
    ],
)
def test_a_span_counts_back_from_now(when: str, back: int) -> None:
    assert moment(when.encode(), now=NOW) == label(NOW - back * SECOND)


@given(st.lists(st.tuples(st.integers(0, 1000), st.sampled_from(sorted(UNITS))), min_size=1))
def test_the_parts_of_a_span_add_up(parts: list[tuple[int, str]]) -> None:
    when = "".join(f"{count}{unit}" for count, unit in parts).encode()
    assert moment(when, now=NOW) == label(NOW - sum(count * UNITS[unit] for count, unit in parts))


@pytest.mark.parametrize(
    ("when", "utc", "local"),
    [
        ("today", 1_795_564_800, 1_795_561_200),
        ("yesterday", 1_795_478_400, 1_795_474_800),
        ("2026-11-25", 1_795_564_800, 1_795_561_200),
        ("21:03", 1_795_640_580, 1_795_636_980),
        ("9:03", 1_795_597_380, 1_795_593_780),
        ("21:03:43", 1_795_640_623, 1_795_637_023),
        ("2026-11-25 21:03", 1_795_640_580, 1_795_636_980),
        ("2026-11-25T21:03:43", 1_795_640_623, 1_795_637_023),
        ("2026-07-01 12:00", 1_782_907_200, 1_782_900_000),
        ("2026-11-25 21:03:43Z", 1_795_640_623, 1_795_640_623),
        ("2026-11-25T21:03:43-05:00", 1_795_658_623, 1_795_658_623),
    ],
)
def test_a_time_is_local_unless_it_says_otherwise(when: str, utc: int, local: int) -> None:
    assert moment(when.encode(), now=NOW) == label(local * SECOND)
    assert moment(when.encode(), utc=True, now=NOW) == label(utc * SECOND)


def test_a_day_begins_at_midnight_also_when_the_clock_is_changed() -> None:
    noon = 1_774_778_400 * SECOND  # 2026-03-29 12:00 in Vienna, where this day has 23 hours
    assert moment(b"today", now=noon) == label(1_774_738_800 * SECOND)
    assert moment(b"yesterday", now=noon + 86400 * SECOND) == label(1_774_738_800 * SECOND)


def test_a_fraction_counts_to_the_nanosecond() -> None:
    assert moment(b"2026-11-25 21:03:43.787492501", utc=True) == label(1_795_640_623_787_492_501)
    assert moment(b"2026-11-25T22:03:43.5+01:00") == label(1_795_640_623_500_000_000)


def test_a_label_is_itself() -> None:
    assert moment(b"@4000000037c219bf2ef02e94") == b"@4000000037c219bf2ef02e94"


@given(st.integers(0, 4_000_000_000), st.integers(0, 999_999_999), st.booleans())
@example(0, 0, True)
def test_a_date_that_svlog_has_shown_is_read_back(second: int, nano: int, utc: bool) -> None:
    stamp = label(second * SECOND + nano)
    read = moment(Dates(time.gmtime if utc else time.localtime).replaced(stamp), utc)
    assert read == stamp or read == label(second * SECOND + nano - 3600 * SECOND)  # an hour that the clock has twice
    assert read == stamp or not utc


@pytest.mark.parametrize(
    "when",
    [
        "",
        " ",
        "10",
        "m",
        "10x",
        "10m5",
        "-5m",
        "1.5h",
        "25:00",
        "21",
        "2026-13-01",
        "2026-02-30",
        "2026-11-25 21:03:43.",
        "tomorrow",
        "@",
        "@4000000037c219bf",
        "@4000000037C219BF2EF02E94",
        "1-1-1",
        "0001-01-01 00:00",
        "x\n",
        "²m",
        "\xff",
    ],
)
def test_what_is_none_is_refused_in_one_line(when: str) -> None:
    with pytest.raises(Permanent) as caught:
        moment(when.encode("latin-1"), now=NOW)
    assert caught.value.line.startswith(b"unknown time " + when.encode("latin-1"))
