"""softlimit: soft limits, as wide as the hard ones allow."""

from __future__ import annotations

import resource

import pytest
from commands import BIN, run

from supervise.chain.softlimit import LIMITS, number
from supervise.errors import Usage


def soft(name: str, *options: str) -> str:
    """The soft limit *name* of a program that runs under *options*."""
    done = run("softlimit", *options, "cat", "/proc/self/limits")
    assert done.code == 0, done.err
    (line,) = [line for line in done.out.decode().splitlines() if line.startswith(name)]
    return line[26:].split()[0]


@pytest.mark.parametrize(
    ("letter", "name"),
    [
        ("a", "Max address space"),
        ("c", "Max core file size"),
        ("d", "Max data size"),
        ("f", "Max file size"),
        ("o", "Max open files"),
        ("p", "Max processes"),
        ("r", "Max resident set"),
        ("s", "Max stack size"),
        ("t", "Max cpu time"),
    ],
)
def test_each_option_sets_its_limit(letter: str, name: str) -> None:
    wanted = {"o": "40", "p": "1000", "t": "300"}.get(letter, "200000000")
    hard = resource.getrlimit(LIMITS[letter.encode()][0])[1]
    assert soft(name, "-" + letter, wanted) == str(int(wanted) if hard < 0 else min(int(wanted), hard))


def test_a_later_option_wins() -> None:
    assert soft("Max stack size", "-m", "200000000", "-s", "3000000") == "3000000"
    assert soft("Max stack size", "-s", "3000000", "-m", "200000000") == "200000000"


def test_the_greatest_number_means_no_limit() -> None:
    assert soft("Max file size", "-f", "18446744073709551615") == "unlimited"
    assert soft("Max file size", "-f", "9223372036854775809") == "9223372036854775809"


def test_the_hard_limit_can_be_asked_for() -> None:
    chain = f"ulimit -Sn 30; ulimit -Hn 60; {BIN}/softlimit -o = sh -c 'ulimit -Sn'"
    assert run("bash", "-c", chain).out == b"60\n"


@pytest.mark.parametrize(("text", "value"), [(b"", 0), (b"007", 7), (b"18446744073709551617", 1), (b"=", None)])
def test_numbers(text: bytes, value: int | None) -> None:
    assert number(text) == value


@pytest.mark.parametrize("text", [b"-1", b"1k", b" 1", b"0x10", b"1_000", "²".encode(), b"=="])
def test_what_is_no_number(text: bytes) -> None:
    with pytest.raises(Usage):
        number(text)


def test_too_little_for_a_link_of_ours_never_shows_a_traceback() -> None:
    done = run("softlimit", "-a", "1000", "setlock", "/dev/null", "echo", "hello")
    assert done.code != 0
    assert b"Traceback" not in done.err
