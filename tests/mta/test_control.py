"""Control files."""

from __future__ import annotations

from mta.control import leading_number


def test_a_number_is_what_its_digits_say() -> None:
    texts = (b"40", b"007", b"0", b"7x", b"1" * 19)
    assert [leading_number(text, 5) for text in texts] == [40, 7, 0, 7, int("1" * 19)]


def test_without_a_digit_in_front_the_default_counts() -> None:
    assert [leading_number(text, 5) for text in (b"", b"x7", b"-1")] == [5, 5, 5]


def test_a_number_of_any_length_can_be_read() -> None:
    assert leading_number(b"0" * 9000 + b"7") == 7
    assert leading_number(b"9" * 9000) > 1 << 62
