"""The two kinds of error and their words."""

import errno

from supervise.errors import Permanent, Temporary, Trouble, Usage, reason


def test_a_trouble_is_one_line_with_the_reason_in_the_words_of_the_originals() -> None:
    trouble = Temporary(b"unable to open x", FileNotFoundError(errno.ENOENT, "No such file or directory"))
    assert trouble.line == b"unable to open x: file does not exist"


def test_denied_and_not_permitted_are_two_things() -> None:
    assert reason(OSError(errno.EACCES, "")) == b"access denied"
    assert reason(OSError(errno.EPERM, "")) == b"permission denied"


def test_an_error_without_a_word_of_ours_keeps_the_systems() -> None:
    assert reason(OSError(errno.ENOTEMPTY, "Directory not empty")) == b"directory not empty"
    assert reason(OSError()) == b"unknown error"


def test_the_kind_decides_the_exit_code_and_the_doubtful_is_temporary() -> None:
    assert (Trouble.code, Temporary.code, Permanent.code, Usage.code) == (111, 111, 100, 100)
