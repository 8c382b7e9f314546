from __future__ import annotations

import pytest

from mta.date import header_date, mbox_date, zoned_date

MARCH = 1741000000  # 3 March 2025, 11:06:40 in UTC


def test_dates_are_in_utc_as_the_originals_write_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "XXX-5:30")
    assert header_date(MARCH) == b"3 Mar 2025 11:06:40 -0000"
    assert mbox_date(MARCH) == b"Mon Mar 03 11:06:40 2025"


@pytest.mark.parametrize(
    ("zone", "date"),
    [
        ("UTC", b"3 Mar 2025 11:06:40 +0000"),
        ("XXX-5:30", b"3 Mar 2025 16:36:40 +0530"),
        ("XXX+8", b"3 Mar 2025 03:06:40 -0800"),
        ("XXX+0:00:40", b"3 Mar 2025 11:06:00 -0001"),  # to the nearest minute
        ("XXX-23", b"4 Mar 2025 10:06:40 +2300"),
    ],
)
def test_a_zoned_date_is_in_the_zone_that_the_environment_says_now(
    monkeypatch: pytest.MonkeyPatch, zone: str, date: bytes
) -> None:
    monkeypatch.setenv("TZ", zone)
    assert zoned_date(MARCH) == date
