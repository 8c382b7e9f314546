"""The header of a message: split, found, folded."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.header import find, fold, name_of, split
from supervise.errors import Permanent
from supervise.fd import Reader

LINES = st.lists(
    st.one_of(
        st.sampled_from([b"To: joe\n", b" more\n", b"\tmore\n", b"\n", b"X-Y : z\n", b":\n", b"\r\n", b"text\n"]),
        st.binary(max_size=20),
    ),
    max_size=8,
).map(b"".join)


def parsed(message: bytes, longest: int = 1000) -> tuple[list[bytes], bytes]:
    """The fields, and the whole body."""
    with tempfile.TemporaryFile() as file:
        file.write(message)
        file.seek(0)
        reader = Reader(file.fileno())
        fields, beginning = split(reader, longest)
        return fields, beginning + reader.buffer + os.read(file.fileno(), 1 << 20)


@pytest.mark.parametrize(
    ("message", "fields", "body"),
    [
        (b"A: b\nC: d\n e\n\tf\n\nbody\n", [b"A: b\n", b"C: d\n e\n\tf\n"], b"\nbody\n"),
        (b"A: b\n", [b"A: b\n"], b""),
        (b"A: b", [b"A: b\n"], b""),
        (b"A: b\n c", [b"A: b\n c\n"], b""),
        (b"", [], b""),
        (b"\nbody", [], b"\nbody"),
        (b"A: b\nno field\n", [b"A: b\n"], b"\nno field\n"),
        (b" blank\n", [], b"\n blank\n"),
        (b"A: b\n\r\nc\n", [b"A: b\n"], b"\n\r\nc\n"),
        (b"From joe Mon\n more\nA: b\n\n", [b"MBOX-Line: From joe Mon\n more\n", b"A: b\n"], b"\n"),
        (b">From joe Mon\n", [], b"\n>From joe Mon\n"),
        (b"A \t: b\n\n", [b"A \t: b\n"], b"\n"),
    ],
)
def test_the_header_ends_where_the_fields_end(message: bytes, fields: list[bytes], body: bytes) -> None:
    assert parsed(message) == (fields, body)


@given(LINES)
def test_nothing_of_a_message_is_lost(message: bytes) -> None:
    fields, body = parsed(message)
    whole = b"".join(fields) + body
    assert whole.replace(b"MBOX-Line: From ", b"From ") in (message, message + b"\n") or (
        body.startswith(b"\n") and (b"".join(fields) + body[1:]).replace(b"MBOX-Line: ", b"") == message
    )
    assert all(name_of(field) and field.endswith(b"\n") for field in fields)


@pytest.mark.parametrize(
    "header", [b"A: %s\n" % (b"x" * 100), b"A: b\n" * 20, b"A: b\n" + b" c\n" * 33, b"A:" + b"x" * 99]
)
def test_a_header_has_an_end_somewhere(header: bytes) -> None:
    with pytest.raises(Permanent, match="longer than 99 bytes"):
        parsed(header + b"\n", longest=99)


def test_a_long_body_is_no_long_header() -> None:
    fields, body = parsed(b"A: b\n" + b"x" * 5000, longest=99)
    assert (fields, body) == ([b"A: b\n"], b"\n" + b"x" * 5000)


@pytest.mark.parametrize(
    ("field", "name"),
    [
        (b"Subject: hi\n", b"subject"),
        (b"X-Y\t :\n a\n b\n", b"x-y"),
        (b"!#$: x", b"!#$"),
        (b": x\n", None),
        (b" : x\n", None),
        (b"A B: x\n", None),
        (b"X\xe9: x\n", None),
        (b"X\x7f: x\n", None),
        (b"word\n", None),
    ],
)
def test_a_field_has_a_name(field: bytes, name: bytes | None) -> None:
    assert name_of(field) == name


def test_a_header_that_fills_a_read_exactly_is_still_too_long() -> None:
    with pytest.raises(Permanent):
        parsed(b"A: " + b"x" * 70_000, longest=65_536)


def test_the_first_field_of_a_name_is_found() -> None:
    fields = [b"To: a\n", b"tO : b\n", b"Cc: c\n"]
    assert (find(fields, b"to"), find(fields, b"cc"), find(fields, b"bcc")) == (b"To: a\n", b"Cc: c\n", None)


@given(st.lists(st.integers(min_value=1, max_value=120), min_size=1, max_size=30))
def test_lines_are_short_where_they_can_be(sizes: list[int]) -> None:
    field = fold([b"x" * size for size in sizes])
    assert field.count(b"x") == sum(sizes)
    assert field.endswith(b"x\n")
    for line in field[:-1].split(b"\n"):
        assert len(line) <= 80 or line.count(b"x") in sizes


def test_a_from_line_ends_the_header_for_who_reads_no_mbox(tmp_path: Path) -> None:
    (tmp_path / "message").write_bytes(b"From joe Thu\nA: b\n")
    fd = os.open(tmp_path / "message", os.O_RDONLY)
    assert split(Reader(fd), mbox=False) == ([], b"\nFrom joe Thu\n")
    os.close(fd)
