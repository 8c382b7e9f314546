"""Constant databases, against pure-cdb's reader and tinycdb's writer."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
from contextlib import closing
from pathlib import Path

import cdblib
import pytest
from crashes import crashes_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supervise.errors import Temporary
from ucspi.cdb import HEADER, PAIR, SCANNED, Cdb, write

TINYCDB = Path("/usr/bin/cdb")
NO_HASH = [b"s9nra7e", b"9ydxukg", b"9yf87kg", b"vpbzd6i", b"ootpwgq"]  # their hash is 0

keys = st.binary(max_size=12) | st.sampled_from([b"", b"1.2.3.4", *NO_HASH])
records = st.lists(st.tuples(keys, st.binary(max_size=20)), max_size=40)


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def opened(name: bytes = b"x.cdb") -> Cdb:
    cdb = Cdb.open(name)
    assert cdb is not None
    return cdb


def found(key: bytes) -> bytes | None:
    """What a new reader finds."""
    with closing(opened()) as cdb:
        return cdb.get(key)


def mentions(text: bytes) -> bool:
    with closing(opened()) as cdb:
        return cdb.mentions(text)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records, st.lists(keys, max_size=10))
def test_the_first_record_of_every_key_is_found_and_no_other(
    given: list[tuple[bytes, bytes]], others: list[bytes]
) -> None:
    write(b"x.cdb", b"x.tmp", given)
    first = dict(reversed(given))
    cdb = opened()
    try:
        for key in [*first, *others]:
            assert cdb.get(key) == first.get(key)
    finally:
        cdb.close()


@pytest.mark.skipif(not TINYCDB.exists(), reason="tinycdb is not installed")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records)
def test_the_file_is_the_one_that_cdbmake_makes(given: list[tuple[bytes, bytes]]) -> None:
    write(b"x.cdb", b"x.tmp", given)
    lines = [b"+%d,%d:%b->%b\n" % (len(key), len(data), key, data) for key, data in given]
    subprocess.run([TINYCDB, "-c", "-t", "y.tmp", "y.cdb"], input=b"".join(lines) + b"\n", check=True)
    assert Path("x.cdb").read_bytes() == Path("y.cdb").read_bytes()


def test_keys_without_a_hash_are_not_lost() -> None:
    many = [(b"%d" % number, b"n") for number in range(3000)]
    write(b"x.cdb", b"x.tmp", [(key, key) for key in NO_HASH] + many)
    assert [found(key) for key in NO_HASH] == NO_HASH


def test_a_cdb_of_pure_cdb_is_read_alike() -> None:
    with Path("x.cdb").open("wb") as file, cdblib.Writer(file) as writer:
        for number in range(5000):
            writer.put(b"key %d" % number, b"%d" % number)
    with closing(opened()) as cdb:
        assert all(cdb.get(b"key %d" % number) == b"%d" % number for number in range(5000))
        assert cdb.get(b"key 5000") is None


def test_a_missing_file_is_none() -> None:
    assert Cdb.open(b"no.cdb") is None
    Path("file").touch()
    with pytest.raises(Temporary) as caught:
        Cdb.open(b"file/no.cdb")
    assert caught.value.line == b"unable to read file/no.cdb: not a directory"


@pytest.mark.parametrize("content", [b"", b"x" * (HEADER - 1)])
def test_a_short_header_is_temporary(content: bytes) -> None:
    Path("x.cdb").write_bytes(content)
    with pytest.raises(Temporary) as caught:
        Cdb.open(b"x.cdb")
    assert caught.value.line == b"unable to read x.cdb: protocol error"


def test_a_damaged_file_is_temporary_wherever_it_is_cut_and_never_a_wrong_answer() -> None:
    write(b"whole.cdb", b"x.tmp", [(b"%d" % number, b"data %d" % number) for number in range(20)])
    whole = Path("whole.cdb").read_bytes()
    for size in range(HEADER, len(whole)):
        Path("x.cdb").write_bytes(whole[:size])
        cdb = opened()
        for number in range(20):
            try:
                found = cdb.get(b"%d" % number)
            except Temporary:
                continue
            assert found == b"data %d" % number
        cdb.close()


def test_a_table_without_a_free_slot_ends_the_search() -> None:
    position = HEADER
    header = PAIR.pack(position, 3) * 256
    Path("x.cdb").write_bytes(header + PAIR.pack(1, HEADER) * 3)
    assert found(b"key") is None


def test_a_length_beyond_the_file_asks_for_no_memory() -> None:
    key = b"key"
    slot = PAIR.pack(cdblib.djb_hash(key), HEADER + 8)
    Path("x.cdb").write_bytes(PAIR.pack(HEADER, 1) * 256 + slot + PAIR.pack(3, 0xFFFFFFF0) + key)
    with pytest.raises(Temporary) as caught:
        found(key)
    assert caught.value.line == b"unable to read x.cdb: protocol error"


def test_a_directory_and_a_pipe_are_temporary() -> None:
    os.mkdir("d.cdb")
    os.mkfifo("p.cdb")
    for name in (b"d.cdb", b"p.cdb"):
        with pytest.raises(Temporary):
            Cdb.open(name)


def test_mentions_may_be_wrong_only_by_saying_yes() -> None:
    write(b"x.cdb", b"x.tmp", [(b"10.0.0.0/8", b""), (b"key", b"data")])
    assert mentions(b"/")
    assert mentions(b"data")
    assert not mentions(b"@")
    write(b"x.cdb", b"x.tmp", [])
    assert not mentions(b"/")


def test_a_large_file_is_looked_through_for_who_asks_again_and_each_version_by_itself() -> None:
    write(b"x.cdb", b"x.tmp", [(b"key", b"x" * SCANNED), (b"10.0.0.0/8", b"")])
    assert [mentions(b"/"), mentions(b"/"), mentions(b"/8")] == [True, True, True]
    write(b"x.cdb", b"x.tmp", [(b"key", b"x" * SCANNED)])
    assert [mentions(b"/") for _ in range(3)] == [True, False, False]
    write(b"x.cdb", b"x.tmp", [(b"key", b"x" * (SCANNED - len("key") - 8 - 1) + b"/8")])
    assert [mentions(b"/8") for _ in range(3)] == [True, True, True], "it lies across two reads"


def test_a_file_is_the_same_whatever_the_pieces_in_which_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [(b"key %d" % number, b"x" * (number % 50)) for number in range(1000)]
    write(b"x.cdb", b"x.tmp", records)
    monkeypatch.setattr("ucspi.cdb.PIECE", 100)
    write(b"y.cdb", b"y.tmp", records)
    assert Path("x.cdb").read_bytes() == Path("y.cdb").read_bytes()


def test_a_reader_keeps_the_file_that_it_opened() -> None:
    write(b"x.cdb", b"x.tmp", [(b"key", b"old")])
    with closing(opened()) as cdb:
        write(b"x.cdb", b"x.tmp", [(b"key", b"new")])
        assert cdb.get(b"key") == b"old"
    assert found(b"key") == b"new"


def test_records_that_fail_leave_the_old_file_alone() -> None:
    write(b"x.cdb", b"x.tmp", [(b"key", b"old")])

    def failing() -> object:
        yield b"key", b"new"
        raise KeyError

    with pytest.raises(KeyError):
        write(b"x.cdb", b"x.tmp", failing())  # type: ignore[arg-type]
    assert found(b"key") == b"old"
    assert os.listdir() == ["x.cdb"]


def test_the_error_tells_what_could_not_be_done() -> None:
    with pytest.raises(OSError) as caught:
        write(b"x.cdb", b"no/x.tmp", [])
    assert (caught.value.filename, caught.value.filename2) == (b"no/x.tmp", None)
    with pytest.raises(OSError) as caught:
        write(b"no/x.cdb", b"x.tmp", [])
    assert (caught.value.errno, caught.value.filename2) == (errno.ENOENT, b"no/x.cdb")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (HEADER, limits[1]))
    try:
        with pytest.raises(OSError) as caught:
            write(b"x.cdb", b"x.tmp", [(b"key", b"data")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, None)
    assert os.listdir() == []


def test_a_crash_at_any_call_leaves_the_old_cdb_or_the_new_one() -> None:
    seen = set()

    def fresh() -> None:
        write(b"x.cdb", b"x.tmp", [(b"key", b"old")])

    for _ in crashes_of(lambda: write(b"x.cdb", b"x.tmp", [(b"key", b"new"), (b"more", b"new")]), fresh):
        cdb = opened()
        seen.add((cdb.get(b"key"), cdb.get(b"more")))
        cdb.close()
    assert seen == {(b"old", None), (b"new", b"new")}


def test_all_records_come_in_their_order(tmp_path: Path) -> None:
    pairs = [(b"one", b"1"), (b"two", b""), (b"one", b"again"), (b"", b"empty")]
    write(bytes(tmp_path / "x"), bytes(tmp_path / "draft"), pairs)
    table = Cdb.open(bytes(tmp_path / "x"))
    assert table and list(table.records()) == pairs
    table.close()
