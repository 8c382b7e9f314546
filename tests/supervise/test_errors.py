"""The two kinds of error and their words."""

import errno
import os
import shutil
import subprocess

import pytest
from services import DEBIAN

from supervise.errors import WORDS, Permanent, Temporary, Trouble, Usage, reason


def test_a_trouble_is_one_line_with_the_reason_in_the_words_of_the_originals() -> None:
    trouble = Temporary(b"unable to open x", FileNotFoundError(errno.ENOENT, "No such file or directory"))
    assert trouble.line == b"unable to open x: file does not exist"


def test_denied_and_not_permitted_are_two_things() -> None:
    assert reason(OSError(errno.EACCES, "")) == b"access denied"
    assert reason(OSError(errno.EPERM, "")) == b"permission denied"


@pytest.mark.skipif(
    not shutil.which("strace") or not (DEBIAN / "svok").exists(), reason="needs strace and Debian's daemontools"
)
def test_the_words_are_those_of_the_original() -> None:
    """Each error is made to happen to it by strace."""

    def word(number: int) -> bytes:
        inject = f"chdir:error={number}"
        options = ["-qq", "-o", os.devnull, "-e", "trace=chdir", "-e", "inject=" + inject]
        done = subprocess.run(["strace", *options, DEBIAN / "svok", "x"], capture_output=True, check=False)
        return done.stderr.removeprefix(b"svok: fatal: unable to chdir to x: ").removesuffix(b"\n")

    assert {number: word(number) for number in WORDS} == WORDS


def test_an_error_without_a_word_of_ours_keeps_the_systems() -> None:
    assert reason(OSError(errno.ENOTEMPTY, "Directory not empty")) == b"directory not empty"
    assert reason(OSError()) == b"unknown error"


def test_the_kind_decides_the_exit_code_and_the_doubtful_is_temporary() -> None:
    assert (Trouble.code, Temporary.code, Permanent.code, Usage.code) == (111, 111, 100, 100)
