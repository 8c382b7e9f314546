"""The table on paper, and what of it is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from supervise.errors import Temporary
from supervise.top.rows import Row, harmless
from supervise.top.table import Paper, duration, size
from supervise.top.view import ORDERS, View
from supervise.tree.servicedir import Status
from supervise.tree.snapshot import Snapshot

SECOND = 1_000_000_000
WIDE = "\N{CJK UNIFIED IDEOGRAPH-4E2D}".encode()

entries = st.builds(
    Row,
    st.binary(min_size=1, max_size=40).filter(lambda name: b"/" not in name),
    st.builds(Temporary, st.binary(max_size=40))
    | st.builds(
        Snapshot,
        st.builds(
            Status, st.integers(0, 1 << 62), st.integers(0, 1 << 31), st.booleans(), st.sampled_from([b"u", b"d"])
        ),
    ),
    st.binary(max_size=200) | st.just(WIDE * 100),
    st.none() | st.tuples(st.floats(0, 10_000), st.integers(0, 1 << 45)),
    st.integers(0, 1 << 62),
)


@given(st.lists(entries, max_size=8), st.integers(1, 200), st.booleans())
def test_no_line_is_wider_than_the_screen(rows: list[Row], width: int, colours: bool) -> None:
    lines = Paper(colours).table(rows, slice(0, 5), width)
    assert len(lines) == 1 + len(rows[:5])
    assert all(cell_len(Text.from_ansi(line).plain) <= width for line in lines)


@given(st.text(max_size=300), st.integers(1, 100))
def test_a_line_is_cut(text: str, width: int) -> None:
    line = Paper(colours=False).line(harmless(text.encode(errors="replace")), width)
    assert cell_len(line) <= width
    assert "\n" not in line


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "-"),
        (0, "0s"),
        (59, "59s"),
        (60, "1m00s"),
        (3599, "59m59s"),
        (3600, "1h00m"),
        (86399, "23h59m"),
        (86400, "1d00h"),
        (100 * 86400 - 1, "99d23h"),
        (100 * 86400, "100d"),
    ],
)
def test_a_time_in_its_two_largest_units(seconds: int | None, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        (None, "-"),
        (0, "0.0K"),
        (1024, "1.0K"),
        (99 * 1024, "99.0K"),
        (100 * 1024, "100K"),
        (1000 * 1024, "1.0M"),
        (2 << 30, "2.0G"),
        (1 << 52, "4096T"),
    ],
)
def test_an_amount_of_memory(amount: int | None, words: str) -> None:
    assert size(amount) == words


@given(st.binary())
def test_nothing_for_the_screen_does_anything_but_stand_there(text: bytes) -> None:
    assert harmless(text).isprintable()


@given(st.lists(entries, max_size=8), st.sampled_from(list(ORDERS)))
def test_every_order_orders_all_rows(rows: list[Row], order: str) -> None:
    view = View()
    view.order = order
    assert sorted(map(id, view.arrange(rows))) == sorted(map(id, rows))


@given(
    st.lists(st.sampled_from(["up", "down", "page up", "page down", "home", "end", "j", "k", " ", "x", "s"])), st.data()
)
def test_whatever_is_pressed_the_screen_stays_full(keys: list[str], data: st.DataObject) -> None:
    view, count, room = View(), data.draw(st.integers(0, 50)), data.draw(st.integers(0, 30))
    for key in keys:
        assert view.press(key, room)
        shown = view.shown(count, room)
        assert 0 <= shown.start <= shown.stop <= count
        assert shown.stop - shown.start == min(room, count)
