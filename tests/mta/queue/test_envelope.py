from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from mta.queue import codes, envelope
from mta.queue.codes import Refused
from mta.queue.source import Source


def copied(data: bytes, size: int | None = None) -> tuple[int, bytes]:
    """The code for an envelope (0 for a good one), and what was copied of it; read *size* bytes at a time."""
    source, writing = os.pipe()
    result = os.memfd_create("result")
    pieces = [data[at : at + size] for at in range(0, len(data), size)] if size else [data]
    try:
        if os.fork() == 0:
            os.close(source)
            try:
                for piece in pieces:
                    os.write(writing, piece)
            finally:
                os._exit(0)
        os.close(writing)
        try:
            envelope.copy(Source(source).chunks(), result)
            code = codes.OK
        except Refused as refused:
            code = refused.code
        return code, os.pread(result, 1 << 20, 0)
    finally:
        os.close(source)
        os.wait()
        os.close(result)


@pytest.mark.parametrize("size", [None, 1, 3])
def test_a_good_envelope_is_copied_without_its_last_record(size: int | None) -> None:
    assert copied(b"Fjoe@irs.gov\0Tbill\0Tsue@x\0\0", size) == (0, b"Fjoe@irs.gov\0Tbill\0Tsue@x\0")


def test_nobody_need_send_it_and_nobody_need_get_it() -> None:
    assert copied(b"F\0\0") == (0, b"F\0")


def test_what_follows_the_end_is_ignored() -> None:
    assert copied(b"Fa\0Tb\0\0Xanything\0Fa") == (0, b"Fa\0Tb\0")


@pytest.mark.parametrize("data", [b"", b"F", b"Fjoe", b"Fjoe\0", b"Fjoe\0T", b"Fjoe\0Tbill\0", b"Fjoe\0Tbill\0Ts"])
def test_an_envelope_that_ends_early_is_a_read_error(data: bytes) -> None:
    assert copied(data)[0] == 54


@pytest.mark.parametrize(
    "data", [b"\0", b"fjoe\0\0", b"T", b"Tjoe\0\0", b"Fjoe\0Fsue\0\0", b"Fjoe\0Xbill\0\0", b"Fjoe\0x"]
)
@pytest.mark.parametrize("size", [None, 1])
def test_a_wrong_letter_is_told_as_soon_as_it_is_seen(data: bytes, size: int | None) -> None:
    assert copied(data, size)[0] == 91


@pytest.mark.parametrize("size", [None, 700])
def test_an_address_has_at_most_1002_bytes(size: int | None) -> None:
    longest = b"a" * 1002
    assert copied(b"F%s\0T%s\0\0" % (longest, longest), size) == (0, b"F%s\0T%s\0" % (longest, longest))
    assert copied(b"F%sa\0\0" % longest, size)[0] == 11
    assert copied(b"Fjoe\0T%sa\0\0" % longest, size)[0] == 11
    assert copied(b"Fjoe\0T%sa" % longest, size)[0] == 11  # its end need not have come


def test_a_source_that_cannot_be_read_and_a_full_target_are_told_apart(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(Refused) as refused:
        envelope.copy(Source(folder).chunks(), 1)
    assert refused.value.code == codes.READ
    os.close(folder)
    (tmp_path / "envelope").write_bytes(b"Fa\0Tb\0\0")
    source, full = os.open(tmp_path / "envelope", os.O_RDONLY), os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(Refused) as refused:
        envelope.copy(Source(source).chunks(), full)
    assert refused.value.code == codes.WRITE
    os.close(source)
    os.close(full)


def test_a_long_list_of_recipients_is_written_and_copied_in_bounded_memory(tmp_path: Path) -> None:
    count = 100_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open(tmp_path / "envelope", "wb") as file:
        for piece in envelope.pieces(b"joe", (b"recipient%d@irs.gov" % n for n in range(count))):
            assert len(piece) < 2 * envelope.PIECE
            file.write(piece)
    with open(tmp_path / "envelope", "rb") as source, open(tmp_path / "intd", "wb", buffering=0) as target:
        target.write(envelope.origin(1, 2))
        envelope.copy(Source(source.fileno()).chunks(), target.fileno())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 << 10
    _, _, _, recipients = envelope.parse((tmp_path / "intd").read_bytes())
    assert len(recipients) == count and recipients[-1] == b"recipient99999@irs.gov"


def test_an_address_cannot_smuggle_in_another_one() -> None:
    assert b"".join(envelope.pieces(b"a\0Tb", [b"c\0Td", b"e"])) == b"Fa\0Tc\0Te\0\0"


def test_what_is_in_todo_can_be_parsed() -> None:
    assert envelope.parse(b"u0\0p77\0Fjoe\0Ta\0Tb\0") == (0, 77, b"joe", [b"a", b"b"])
    for wrong in (b"", b"u0\0p77\0", b"u0\0p77\0Fjoe", b"u0\0Fjoe\0p77\0", b"u0\0p77\0Fjoe\0Xa\0", b"ux\0p7\0F\0"):
        with pytest.raises(ValueError):
            envelope.parse(wrong)
