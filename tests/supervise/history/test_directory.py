"""Log directories as they are read: files in their order, lines with their times, stretches of them."""

from __future__ import annotations

import gzip
import heapq
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from logfiles import EPOCH, SECOND, at, lines, put, put_current, put_old

from supervise.history.directory import LONGEST, UNKNOWN, entries_of, logs_in, release, select, tail
from supervise.history.svlog import Request, merged, wanted


def refuse(line: bytes) -> None:
    raise AssertionError(line)


def text_in(folder: Path) -> bytes:
    """All lines of a directory in the order in which they are read."""
    logs = logs_in(bytes(folder), refuse)
    text = b"".join(line + b"\n" for _, _, line in entries_of(logs, 0, refuse))
    release(logs)
    return text


# -- the files of a directory -----------------------------------------------------------------------------------------


def test_old_logs_come_in_the_order_of_their_labels_and_current_last(tmp_path: Path) -> None:
    put_current(tmp_path, lines(9))
    put_old(tmp_path, 8, lines(7))
    put_old(tmp_path, 6, lines(5), ".u")
    put_old(tmp_path, 4, lines(3), ".s.zst")
    put_old(tmp_path, 2, lines(1), ".u.gz")
    for other in ("lock", "state", "@x.s", at(3).decode() + ".t", at(3).decode() + ".s.part"):
        put(tmp_path, other, b"no line of a log\n")
    assert text_in(tmp_path) == lines(1, 3, 5, 7, 9)


def in_parallel(text: bytes) -> bytes:
    """*text* as pzstd compresses it: a note for itself in front."""
    return b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"note" + zstandard.compress(text)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress, in_parallel])
def test_what_is_compressed_is_known_by_what_is_in_it(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    text = lines(*range(5000))
    put_old(tmp_path, 5000, pack(text[:70000]) + pack(text[70000:]))
    put_old(tmp_path, 5001, lines(5000), ".s.zst").write_bytes(lines(5000))
    assert text_in(tmp_path) == text + lines(5000)


STATES = {
    "between two logs": {at(1) + b".s": lines(0)},
    "the processor has not begun": {at(1) + b".s": lines(0), b"previous": lines(1), b"current": lines(2)},
    "the processor runs": {b"previous": lines(0, 1), b"processed": lines(0), b"current": lines(2)},
    "the processor is done": {b"previous": lines(0, 1), b"processed!": lines(0), b"current": lines(2)},
    "the full log is gone": {b"processed!": lines(0, 1), b"current": lines(2)},
    "the full log is gone, compressed": {
        b"processed!": zstandard.ZstdCompressor().compress(lines(*range(299))),
        b"current": lines(299),
    },
    "both forms of an old log": {at(1) + b".s": lines(0), at(1) + b".s.zst": b"not all of it", b"current": lines(1)},
}
EXPECTED = {
    "between two logs": lines(0),
    "the processor has not begun": lines(0, 1, 2),
    "the processor runs": lines(0, 1, 2),
    "the processor is done": lines(0, 1, 2),
    "the full log is gone": lines(0, 1, 2),
    "the full log is gone, compressed": lines(*range(300)),
    "both forms of an old log": lines(0, 1),
}


@pytest.mark.parametrize("state", STATES)
def test_each_line_is_read_once_whatever_multilog_is_about(tmp_path: Path, state: str) -> None:
    for name, content in STATES[state].items():
        done = name.endswith(b"!")
        put(tmp_path, name.decode().rstrip("!"), content, 0o744 if done else 0o644)
    assert text_in(tmp_path) == EXPECTED[state]


def test_a_current_that_has_been_put_away_by_a_link_is_read_once(tmp_path: Path) -> None:
    put_old(tmp_path, 2, lines(1))
    os.link(put_current(tmp_path, lines(3)), tmp_path / (at(4).decode() + ".u"))
    assert text_in(tmp_path) == lines(1, 3)


def test_what_comes_while_we_read_waits_for_the_next_time(tmp_path: Path) -> None:
    current = put_current(tmp_path, lines(1))
    put_old(tmp_path, 1, lines(0))
    logs = logs_in(bytes(tmp_path), refuse)
    with current.open("ab") as file:
        file.write(lines(2))
    current.rename(tmp_path / (at(3).decode() + ".s"))
    put_current(tmp_path, lines(4))
    assert [line for _, _, line in entries_of(logs, 0, refuse)] == lines(0, 1).splitlines()
    release(logs)


def test_an_old_log_that_has_been_compressed_since_is_read_and_one_that_was_removed_is_not_missed(
    tmp_path: Path,
) -> None:
    first, second = put_old(tmp_path, 2, lines(1)), put_old(tmp_path, 4, lines(2, 3))
    put_current(tmp_path, lines(5))
    logs = select(logs_in(bytes(tmp_path), refuse), at(3), b"")
    all_logs = logs_in(bytes(tmp_path), refuse)
    first.unlink()
    second.unlink()
    put_old(tmp_path, 4, lines(2, 3), ".s.gz")
    assert [line for _, _, line in entries_of(logs, 0, refuse)] == lines(2, 3, 5).splitlines()
    assert [line for _, _, line in entries_of(all_logs, 0, refuse)] == lines(2, 3, 5).splitlines()
    release(logs + all_logs)


# -- lines and their times --------------------------------------------------------------------------------------------


def times(folder: Path) -> list[tuple[bytes, bytes]]:
    logs = logs_in(bytes(folder), refuse)
    found = [(time, line) for time, _, line in entries_of(logs, 0, refuse)]
    release(logs)
    return found


def test_a_line_without_a_stamp_has_the_time_of_the_line_before_it(tmp_path: Path) -> None:
    put_old(tmp_path, 3, b"lost\n" + lines(1) + b"more\n" + lines(2) + b"\n@12 odd\n")
    put_current(tmp_path, b"and more\n" + lines(4) + b"@" + b"4" * 25 + b" long\n")
    assert times(tmp_path) == [
        (UNKNOWN, b"lost"),
        (at(1), at(1) + b" line 1"),
        (at(1), b"more"),
        (at(2), at(2) + b" line 2"),
        (at(2), b""),
        (at(2), b"@12 odd"),
        (at(2), b"and more"),
        (at(4), at(4) + b" line 4"),
        (at(4), b"@" + b"4" * 25 + b" long"),
    ]


def test_in_a_file_without_stamps_lines_have_the_time_of_the_file(tmp_path: Path) -> None:
    put_old(tmp_path, 3, b"one\ntwo\n")
    current = put_current(tmp_path, b"three\n")
    os.utime(current, ns=(0, EPOCH + 5 * SECOND))
    assert times(tmp_path) == [(at(3), b"one"), (at(3), b"two"), (at(5), b"three")]


def test_a_line_that_multilog_has_split_between_two_logs_is_one_again(tmp_path: Path) -> None:
    put_old(tmp_path, 2, at(1) + b" on")
    put_old(tmp_path, 3, b"e lo", ".s.gz")
    put_old(tmp_path, 4, b"ng line\n" + at(3) + b" cut", ".u")
    put_current(tmp_path, at(5) + b" last")
    expected = at(1) + b" one long line\n" + at(3) + b" cut\n" + at(5) + b" last\n"
    assert text_in(tmp_path) == expected
    for number in range(4):
        logs, _ = tail(logs_in(bytes(tmp_path), refuse), number)
        got = b"".join(line + b"\n" for _, _, line in entries_of(logs, 0, refuse))
        release(logs)
        assert expected.endswith(got) and got.count(b"\n") >= number


def test_a_line_without_end_comes_in_pieces(tmp_path: Path) -> None:
    put_current(tmp_path, at(1) + b" " + b"x" * 3 * LONGEST)
    pieces = text_in(tmp_path).splitlines()
    assert b"".join(pieces) == at(1) + b" " + b"x" * 3 * LONGEST
    assert all(len(piece) < 2 * LONGEST for piece in pieces)


# -- stretches of histories that nobody has thought of -----------------------------------------------------------------

texts = st.binary(max_size=20).map(lambda text: text.replace(b"\n", b"_"))
steps = st.integers(0, 3)
spoken = st.lists(st.tuples(steps, st.lists(texts, max_size=2), texts), max_size=40)
endings = st.sampled_from([".s", ".u", ".s.zst", ".s.gz"])
cuts = st.lists(st.tuples(st.integers(0, 120), endings), max_size=4)


class History:
    """A directory made of random lines, and what is in it: (second, line)."""

    def __init__(self, folder: Path, said: list[tuple[int, list[bytes], bytes]], cuts: list[tuple[int, str]]) -> None:
        self.folder = folder
        self.lines: list[tuple[bytes, bytes]] = []
        second = 0
        seconds = []
        for step, more, text in said:
            second += step
            self.lines.append((at(second), at(second) + b" " + text))
            self.lines += [(at(second), b"-" + each) for each in more]
            seconds += [second] * (1 + len(more))
        begin = 0
        for number, (end, ending) in enumerate(sorted(cuts, key=lambda cut: cut[0])):
            if self.stamped(begin, end) and self.stamped(end, len(self.lines)):
                put_old(folder, seconds[end - 1] + (number + 1) / 1000, self.text(begin, end), ending)
                begin = end
        put_current(folder, self.text(begin, len(self.lines)))

    def stamped(self, begin: int, end: int) -> bool:
        """Whether there is a line with a stamp; a file without any is of another kind."""
        return any(line.startswith(b"@") for _, line in self.lines[begin:end])

    def text(self, begin: int, end: int) -> bytes:
        return b"".join(line + b"\n" for _, line in self.lines[begin:end])


@pytest.fixture(scope="module")
def room() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(spoken, cuts), min_size=1, max_size=3),
    st.integers(0, 50),
    st.integers(0, 50),
    st.integers(0, 30),
)
def test_what_is_asked_for_is_what_a_reader_of_everything_would_keep(
    room: Path,
    histories: list[tuple[list[tuple[int, list[bytes], bytes]], list[tuple[int, str]]]],
    since: int,
    until: int,
    last: int,
) -> None:
    made = []
    for number, (said, where) in enumerate(histories):
        shutil.rmtree(room / str(number), ignore_errors=True)
        made.append(History(room / str(number), said, where))
    every = list(
        heapq.merge(*([(t, n, line) for t, line in one.lines] for n, one in enumerate(made)), key=lambda e: e[0])
    )

    def asked(*words: str) -> list[tuple[bytes, int, bytes]]:
        request = Request([b"svlog", *(word.encode() for word in words)])
        read = [(n, logs_in(bytes(one.folder), refuse)) for n, one in enumerate(made)]
        parts = [(n, select(logs, request.since, request.until)) for n, logs in read]
        entries = list(wanted(request, parts, refuse))
        for _, logs in read:
            release(logs)
        return entries

    between = [entry for entry in every if at(since) <= entry[0] < at(until)]
    bounds = ("--since", at(since).decode(), "--until", at(until).decode())
    assert asked() == every
    assert asked(*bounds) == between
    assert asked("-n", str(last)) == every[len(every) - min(last, len(every)) :]
    assert asked(*bounds, "-n", str(last)) == between[len(between) - min(last, len(between)) :]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 20)), min_size=1, max_size=4))
def test_the_lines_of_one_directory_keep_their_order_also_when_the_clock_was_set_back(
    room: Path, clocks: list[list[int]]
) -> None:
    histories = []
    for number, seconds in enumerate(clocks):
        folder = room / f"clock{number}"
        shutil.rmtree(folder, ignore_errors=True)
        put_current(folder, lines(*seconds))
        histories.append((number, logs_in(bytes(folder), refuse)))
    entries = list(merged(histories, refuse))
    for number, seconds in enumerate(clocks):
        assert [time for time, origin, _ in entries if origin == number] == [at(second) for second in seconds]
    if all(seconds == sorted(seconds) for seconds in clocks):
        assert [time for time, _, _ in entries] == sorted(time for time, _, _ in entries)
    for _, logs in histories:
        release(logs)


def test_the_last_lines_are_found_behind_a_long_one(tmp_path: Path) -> None:
    put_current(tmp_path / "a", lines(1) + b"traceback\n" * 20000)
    put_current(tmp_path / "b", lines(0, 2))
    request = Request([b"svlog", b"-n", b"3"])
    histories = [(n, logs_in(bytes(tmp_path / name), refuse)) for n, name in enumerate("ab")]
    assert [line for _, _, line in wanted(request, histories, refuse)] == [
        b"traceback",
        b"traceback",
        at(2) + b" line 2",
    ]
    for _, logs in histories:
        release(logs)


@pytest.mark.parametrize("words", [["--until", at(10).decode()], ["-g", "odd"]])
def test_the_last_lines_of_one_directory_do_not_hide_those_of_another(tmp_path: Path, words: list[str]) -> None:
    put_current(tmp_path / "a", lines(1, what="odd"))
    put_current(tmp_path / "b", lines(2, what="odd") + lines(*range(20, 20020)))
    request = Request([b"svlog", b"-n", b"1", *(word.encode() for word in words)])
    histories = [(n, logs_in(bytes(tmp_path / name), refuse)) for n, name in enumerate("ab")]
    assert [line for _, _, line in wanted(request, histories, refuse)] == [at(2) + b" odd 2"]
    for _, logs in histories:
        release(logs)
