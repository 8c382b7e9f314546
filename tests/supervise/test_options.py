"""Options as the originals read them."""

from __future__ import annotations

import pytest

from supervise.errors import Usage
from supervise.options import options


@pytest.mark.parametrize(
    ("words", "found", "rest"),
    [
        ("-ab x", [("a", ""), ("b", "")], "x"),
        ("-a -b x", [("a", ""), ("b", "")], "x"),
        ("-n5 x", [("n", "5")], "x"),
        ("-n 5 x", [("n", "5")], "x"),
        ("-an5 x", [("a", ""), ("n", "5")], "x"),
        ("-n -a x", [("n", "-a")], "x"),
        ("x -a", [], "x -a"),
        ("-a -- -b", [("a", "")], "-b"),
        ("-a --long -b", [("a", "")], "-b"),
        ("-a - -b", [("a", "")], "- -b"),
        ("", [], ""),
    ],
)
def test_letters_values_and_the_end(words: str, found: list[tuple[str, str]], rest: str) -> None:
    argv = [b"prog", *(word.encode() for word in words.split())]
    pairs = [(letter.encode(), value.encode()) for letter, value in found]
    assert options(argv, b"abn:") == (pairs, [word.encode() for word in rest.split()])


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("-z", "prog: illegal option -- z\n"),
        ("-az", "prog: illegal option -- z\n"),
        ("-:", "prog: illegal option -- :\n"),
        ("-a-", "prog: illegal option -- -\n"),
        ("-n", "prog: option requires an argument -- n\n"),
    ],
)
def test_what_is_wrong_is_said_under_the_programs_last_name(
    words: str, line: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Usage):
        options([b"/some/where/prog", *(word.encode() for word in words.split())], b"abn:")
    assert capfd.readouterr().err == line


def test_the_callers_words_are_left_alone() -> None:
    argv = [b"prog", b"-a", b"x"]
    options(argv, b"a")
    assert argv == [b"prog", b"-a", b"x"]
