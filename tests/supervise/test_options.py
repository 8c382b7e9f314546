"""Options as the originals read them."""

from __future__ import annotations

import pytest

from supervise.errors import Usage
from supervise.options import anywhere, each, options


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


def test_an_optional_value_stands_in_the_same_word() -> None:
    assert options([b"prog", b"-oa", b"-o", b"-ao", b"x"], b"ao::") == (
        [(b"o", b"a"), (b"o", b""), (b"a", b""), (b"o", b"")],
        [b"x"],
    )


def test_an_option_acts_before_the_next_turns_out_to_be_wrong() -> None:
    rest = [b"-a", b"-z", b"x"]
    found = each(b"prog", rest, b"a")
    assert next(found) == (b"a", b"")
    assert rest == [b"-z", b"x"]
    with pytest.raises(Usage):
        next(found)


@pytest.mark.parametrize(
    ("words", "found", "rest"),
    [
        ("x -a y -n5 z", [("a", ""), ("n", "5")], "x y z"),
        ("--all --number 5", [("a", ""), ("n", "5")], ""),
        ("--number=5 x --number= -n 7", [("n", "5"), ("n", ""), ("n", "7")], "x"),
        ("--since=a=b --since -a", [("since", "a=b"), ("since", "-a")], ""),
        ("-a -- -b --all", [("a", "")], "-b --all"),
        ("-n -- - x", [("n", "--")], "- x"),
        ("", [], ""),
    ],
)
def test_long_words_and_letters_stand_anywhere(words: str, found: list[tuple[str, str]], rest: str) -> None:
    argv = [b"prog", *(word.encode() for word in words.split())]
    long = {b"all": b"a", b"number": b"n:", b"since": b"since:"}
    pairs = [(letter.encode(), value.encode()) for letter, value in found]
    assert anywhere(argv, b"an:", long) == (pairs, [word.encode() for word in rest.split()])


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("x --nosuch", "prog: illegal option -- nosuch\n"),
        ("--al", "prog: illegal option -- al\n"),
        ("--all=1", "prog: illegal option -- all=1\n"),
        ("--number", "prog: option requires an argument -- number\n"),
        ("x -z", "prog: illegal option -- z\n"),
    ],
)
def test_what_is_wrong_with_long_words_is_said(words: str, line: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Usage):
        anywhere([b"prog", *(word.encode() for word in words.split())], b"an:", {b"all": b"a", b"number": b"n:"})
    assert capfd.readouterr().err == line
