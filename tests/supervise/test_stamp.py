"""TAI64N labels."""

from hypothesis import given
from hypothesis import strategies as st

from supervise.stamp import SIZE, label, pack, unpack

MOMENT = 935_467_455_787_492_500  # nanoseconds


def test_the_label_that_the_manual_shows() -> None:
    assert label(MOMENT) == b"@4000000037c219c92ef02e94"
    assert len(label()) == SIZE


def test_the_external_format_is_the_label_in_bytes() -> None:
    assert pack(MOMENT) == bytes.fromhex("4000000037c219c92ef02e94")


@given(st.integers(0, 1 << 62))
def test_packing_loses_nothing(moment: int) -> None:
    assert unpack(pack(moment)) == moment


def test_labels_sort_as_moments_do() -> None:
    assert label(MOMENT - 1) < label(MOMENT) < label(MOMENT + 1_000_000_000)


def test_a_moment_before_1970_goes_there_and_back() -> None:
    assert unpack(bytes(12)) < 0
    assert pack(-5) == pack(0)[:7] + b"\x09" + (999_999_995).to_bytes(4, "big")
