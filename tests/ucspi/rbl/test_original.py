"""The original rblsmtpd and ours, side by side: the same replies, the same line, the same end."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from blocklists import IMPOSSIBLE, ORIGINAL, OURS, RECORDS, ask
from hypothesis import given, settings
from hypothesis import strategies as st
from nameserver import serving

pytestmark = pytest.mark.skipif(not ORIGINAL.exists(), reason="the original rblsmtpd is not installed")

PLACE = "127.0.53.1"


@pytest.fixture(scope="module")
def cache() -> Iterator[str]:
    """A name server on port 53, which is the only one that the original asks."""
    if os.geteuid() != 0:
        pytest.skip("port 53 is for root")
    with serving(RECORDS, PLACE, 53):
        yield PLACE


def outcome(rblsmtpd: Path, *arguments: str, **more: object) -> tuple[int, bytes, bytes]:
    """Exit code, replies and log of *rblsmtpd*, without process ids."""
    code, out, err = ask(*arguments, rblsmtpd=rblsmtpd, **more)  # type: ignore[arg-type]
    return code, out, re.sub(rb"pid \d+", b"pid PID", err)


@pytest.mark.root
@pytest.mark.parametrize("client", ["192.0.2.1", "192.0.2.2", "abc", "1.2.3", "", None])
@pytest.mark.parametrize(
    "options",
    [
        "-r block.example",
        "-r none.example -r block.example",
        "-r empty.example -r parts.example",
        "-r strange.example",
        "-r long.example",
        "-r alias.example",
        "-r Block.Example.",
        "-r .parts..example",
        "-b -r hyphen.example",
        "-b -B -r parts.example",
        "-r parts.example -b",
        "-a allow.example -r block.example",
        "-a anything.example -r block.example",
        "-r block.example -a allow.example",
        "-cb -a none.example -r parts.example",
        f"-r {IMPOSSIBLE} -r parts.example",
        f"-b -r {IMPOSSIBLE} -r parts.example",
        f"-a {IMPOSSIBLE} -r parts.example",
        f"-c -r {IMPOSSIBLE} -a allow.example",
        f"-r {IMPOSSIBLE} -c",
        f"-cb -a {IMPOSSIBLE} -r parts.example",
        f"-cb -a {IMPOSSIBLE}",
        "-t0 -r parts.example",
        "-t 5x -r parts.example",
        "-t0 -t9 -r parts.example",
    ],
)
def test_lists_decide_alike(options: str, client: str | None, cache: str) -> None:
    ours, original = (outcome(program, *options.split(), client=client, cache=cache) for program in (OURS, ORIGINAL))
    assert ours == original


@pytest.mark.parametrize("value", ["", "soft", "-hard", "-", "--", "-" + "x" * 300, "a\tb\n\x7f\u00e9~", "%IP%"])
@pytest.mark.parametrize("options", [(), ("-b",), ("-t0",), ("-r", "never.asked", "-a", "never.asked")])
def test_the_environment_decides_alike(value: str, options: tuple[str, ...]) -> None:
    ours, original = (outcome(program, *options, cache="127.0.0.1", RBLSMTPD=value) for program in (OURS, ORIGINAL))
    assert ours == original


words = st.sampled_from(
    [
        b"helo",
        b"EHLO",
        b"mail",
        b"rset",
        b"NoOp",
        b"rcpt",
        b"data",
        b"quit",
        b"vrfy",
        b"",
        b" ",
        b"\t",
        b"\0",
        b"\r",
        b"x" * 80,
    ]
)
ends = st.sampled_from([b"\r\n", b"\n", b"\r\r\n", b" \r\n", b" me\r\n", b"\0\r\n", b""])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(words, ends), max_size=12))
def test_the_same_is_replied_to_whatever_a_client_says(lines: list[tuple[bytes, bytes]]) -> None:
    said = b"".join(word + end for word, end in lines)
    ours, original = (outcome(program, cache=None, RBLSMTPD="-no", say=said) for program in (OURS, ORIGINAL))
    assert ours == original
