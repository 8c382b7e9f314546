"""splogger, with a log of our own in place of the system's."""

from __future__ import annotations

import subprocess
import syslog
from pathlib import Path

import pytest
from commands import environment, start
from systemlog import SystemLog
from until import until


class Log(SystemLog):
    """What becomes of splogger's lines."""

    def tell(self, given: bytes, *arguments: str) -> list[list[object]]:
        """What splogger makes of *given*."""
        self.file.unlink(missing_ok=True)
        words = ["splogger", *arguments]
        done = subprocess.run(words, input=given, capture_output=True, env=environment(self.env), check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        return self.read()

    def lines(self, given: bytes) -> list[tuple[int, str]]:
        """Levels and texts, without their stamps."""
        found = []
        for level, text in self.tell(given)[1:]:
            stamp, rest = str(text)[:17], str(text)[17:]
            seconds, _, micro = stamp.partition(".")
            assert seconds.isdigit() and len(seconds) == 10 and micro.isdigit() and len(micro) == 6
            found.append((int(str(level)), rest))
        return found


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


def test_each_line_is_sent_with_a_stamp_and_the_level_of_its_first_word(log: Log) -> None:
    given = b"status: local 0/10\nwarning: hm\n\nalert: oh\n Alert: no\nwarning:"
    levels = syslog.LOG_INFO, syslog.LOG_WARNING, syslog.LOG_ALERT, syslog.LOG_INFO, syslog.LOG_WARNING
    texts = " status: local 0/10", " warning: hm", " alert: oh", "  Alert: no", " warning:"
    assert log.lines(given) == list(zip(levels, texts, strict=True))


def test_a_byte_that_is_not_printable_is_a_question_mark(log: Log) -> None:
    assert log.lines(b"a\0\t\xc3\xa9\x7f\r%s\n") == [(syslog.LOG_INFO, " a??????%s")]


@pytest.mark.parametrize("size", [799, 800, 1598, 1599])
def test_a_long_line_comes_in_pieces_with_one_stamp_and_one_level(log: Log, size: int) -> None:
    line = b"alert: " + b"x" * (size - 7)
    told = log.tell(line + b"\nnext\n")[1:]
    pieces = [line[at : at + 799].decode() for at in range(0, size, 799)]
    assert [level for level, _ in told] == [syslog.LOG_ALERT] * len(pieces) + [syslog.LOG_INFO]
    stamp = str(told[0][1]).partition(" ")[0]
    assert [text for _, text in told[:-1]] == [f"{stamp} {pieces[0]}", *(f"{stamp}+{piece}" for piece in pieces[1:])]
    assert str(told[-1][1]).endswith(" next")


def test_tag_and_facility_are_the_arguments(log: Log) -> None:
    assert log.tell(b"") == [["splogger", 0, syslog.LOG_MAIL]]
    assert log.tell(b"", "qmail") == [["qmail", 0, syslog.LOG_MAIL]]
    assert log.tell(b"", "qmail", "3", "more") == [["qmail", 0, syslog.LOG_DAEMON]]
    assert log.tell(b"", "qm\udcff", "9" * 30)[0][1:] == [0, 0xFFFF << 3]


def test_a_line_is_sent_when_it_is_there(log: Log) -> None:
    splogger = start("splogger", env=log.env, stdin=subprocess.PIPE)
    assert splogger.stdin
    splogger.stdin.write(b"first\nsec")
    splogger.stdin.flush()
    until(lambda: len(log.read()) == 2, what="the first line is in the log")
    splogger.stdin.close()
    assert splogger.wait() == 0
    assert [str(text)[17:] for _, text in log.read()[1:]] == [" first", " sec"]
