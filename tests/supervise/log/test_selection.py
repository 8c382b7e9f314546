"""Patterns of multilog, against their definition."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.log.selection import Selection

few = st.text(alphabet="ab*\0", max_size=7).map(str.encode)


def matches(pattern: bytes, line: bytes) -> bool:
    """The definition, a byte at a time."""
    if not pattern:
        return not line
    if pattern == b"*":
        return True
    if not line:
        return False
    if pattern[:1] == b"*":
        return matches(pattern[1:], line) if line[0] == pattern[1] else matches(pattern, line[1:])
    return line[0] == pattern[0] and matches(pattern[1:], line[1:])


def selects(pattern: bytes, line: bytes) -> bool:
    """Whether our pattern matches: it must deselect the line and no other, and select nothing but it."""
    kept = Selection([b"-" + pattern]).of(line + b"\n")
    assert Selection([b"-*", b"+" + pattern]).of(line + b"\n") == (b"" if kept else line + b"\n")
    return not kept


@given(few, few)
def test_a_pattern_matches_by_its_definition(pattern: bytes, line: bytes) -> None:
    assert selects(pattern, line) == matches(pattern, line)


@pytest.mark.parametrize(
    ("pattern", "line", "matched"),
    [
        (b"", b"", True),
        (b"", b"x", False),
        (b"*ab", b"aab", False),  # the star stops at the first a
        (b"*an*", b"banana", True),
        (b"*nd*", b"bread and", True),
        (b"*nd*", b"banana and", False),
        (b"**", b"a*b", True),
        (b"**", b"ab", False),
        (b"a?", b"ab", False),
        (b"\\*", b"\\anything", True),
        (b"*b", b"a" * 999 + b"bc", True),  # only the first 1000 bytes count
        (b"*b", b"a" * 1000 + b"b", False),
    ],
)
def test_what_patterns_match(pattern: bytes, line: bytes, matched: bool) -> None:
    assert selects(pattern, line) is matched


@given(st.lists(st.tuples(st.sampled_from([b"+", b"-"]), few), max_size=5), st.lists(few, min_size=1, max_size=8))
def test_the_last_pattern_that_matches_a_line_decides(words: list[tuple[bytes, bytes]], lines: list[bytes]) -> None:
    expected = b""
    for line in lines:
        signs = [sign for sign, pattern in words if matches(pattern, line)]
        if not signs or signs[-1] == b"+":
            expected += line + b"\n"
    assert Selection([sign + pattern for sign, pattern in words]).of(b"\n".join(lines) + b"\n") == expected


@given(st.lists(st.binary(min_size=1, max_size=3).map(lambda part: part.replace(b"\0", b"")), max_size=4), st.binary())
def test_every_byte_but_the_star_stands_for_itself(parts: list[bytes], line: bytes) -> None:
    pattern, line = b"*".join(parts), line.replace(b"\n", b"")
    assert selects(pattern, line) == (b"\n" not in pattern and matches(pattern, line))
    assert selects(line, line) or b"*" in line
