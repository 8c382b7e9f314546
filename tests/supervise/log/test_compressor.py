"""multilog z: old logs are compressed, and no crash leaves half a log under a name that says it is whole."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import zstandard
from commands import run
from crashes import crashes_of

from supervise.log.compressor import compressor
from supervise.log.logdir import LogDir

LINES = b"".join(b"line %d with some words that are always the same\n" % number for number in range(2000))


def unpacked(folder: Path) -> bytes:
    """All logs of a directory, oldest first, as they were written."""
    content = b""
    for file in [*sorted(folder.glob("@*")), folder / "current"]:
        data = file.read_bytes()
        if file.name.endswith(".zst"):
            data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
        content += data
    return content


@pytest.mark.parametrize("word", ["z", "z1", "z19"])
def test_old_logs_are_compressed_and_current_is_not(tmp_path: Path, word: str) -> None:
    assert run("multilog", word, "s4096", "n1000", "./log", input=LINES, cwd=tmp_path) == (0, b"", b"")
    old = sorted(file.name for file in (tmp_path / "log").glob("@*"))
    assert len(old) > 20
    assert all(name.endswith(".s.zst") and len(name) == 31 for name in old)
    assert unpacked(tmp_path / "log") == LINES
    assert sum(file.stat().st_size for file in (tmp_path / "log").glob("@*")) < len(LINES) / 4


@pytest.mark.skipif(not shutil.which("zstdcat"), reason="no zstdcat")
def test_zstdcat_reads_them(tmp_path: Path) -> None:
    run("multilog", "z", "s4096", "n1000", "./log", input=LINES, cwd=tmp_path)
    done = run("sh", "-c", "zstdcat @*.zst; cat current", cwd=tmp_path / "log")
    assert done == (0, LINES, b"")


def test_the_oldest_go_as_ever(tmp_path: Path) -> None:
    run("multilog", "z", "s4096", "n3", "./log", input=LINES, cwd=tmp_path)
    assert len(list((tmp_path / "log").glob("@*"))) == 2
    assert LINES.endswith(unpacked(tmp_path / "log"))


@pytest.mark.parametrize(
    ("words", "ending"), [(["z", "z0"], ".s"), (["z", "!tr a-z A-Z"], ".s"), (["!tr a-z A-Z", "z"], ".s.zst")]
)
def test_the_last_word_before_a_directory_counts(tmp_path: Path, words: list[str], ending: str) -> None:
    run("multilog", *words, "s4096", "n99", "./log", input=LINES, cwd=tmp_path)
    old = sorted((tmp_path / "log").glob("@*"))
    assert old
    assert all(file.name.partition(".")[2] == ending[1:] for file in old)
    assert old[0].read_bytes().isupper() == ("!" in words[-1][:1])


@pytest.mark.parametrize("word", ["z20", "z-1", "zx"])
def test_a_level_that_there_is_not_is_refused(tmp_path: Path, word: str) -> None:
    line = b"multilog: fatal: unable to compress: no level from 0 to 19: %b\n" % word.encode()
    assert run("multilog", word, "./log", input=LINES, cwd=tmp_path) == (111, b"", line)
    assert not (tmp_path / "log").exists()


def test_a_crash_at_every_step_leaves_each_line_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def fresh() -> None:
        shutil.rmtree("log", ignore_errors=True)

    def rotate_twice() -> None:
        log = opened()
        for text in (b"one\n", b"two\n"):
            log.put(text)
            log.flush()
            log.rotate()
        log.end()

    crashed = 0
    for _ in crashes_of(rotate_twice, fresh):
        crashed += 1
        found = unpacked(Path("log")) if Path("log/current").exists() else b""
        for file in ("previous", "processed"):
            assert found.count(b"one\n") <= 1, file
        before = b"".join(Path("log", name).read_bytes() for name in ("previous",) if Path("log", name).exists())
        reopened = opened()
        reopened.end()
        reopened.close()
        after = unpacked(Path("log"))
        assert after.count(b"one\n") <= 1 and after.count(b"two\n") <= 1
        assert all(line in after for line in (found + before).splitlines(keepends=True))
        assert sorted(os.listdir("log")) == sorted([*(file.name for file in Path("log").glob("@*")), *LEFT])
    assert crashed > 20


LEFT = ["current", "lock", "state"]


def opened() -> LogDir:
    """A directory whose old logs are compressed, in the working directory."""
    here = os.open(".", os.O_RDONLY)
    try:
        log = LogDir(b"./log", 4096, 10, None, compressor(b""))
        log.start()
    finally:
        os.fchdir(here)
        os.close(here)
    return log
