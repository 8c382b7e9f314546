from __future__ import annotations

import pytest

from mta.queue import codes


@pytest.mark.parametrize("code", range(256))
def test_11_to_40_and_115_mean_never_and_all_others_later(code: int) -> None:
    text = codes.verdict(code)
    assert text[:1] == (b"" if code == 0 else b"D" if 11 <= code <= 40 or code == 115 else b"Z")


def test_a_program_may_say_why_in_its_own_words() -> None:
    assert codes.verdict(82, b"Dno thanks (#5.7.1)") == b"Dno thanks (#5.7.1)"
    assert codes.verdict(82, b"Dno\0thanks") == b"Dno"
    assert codes.verdict(82, b"Zx") == codes.LATER
    assert codes.verdict(83, b"Dno thanks (#5.7.1)") == codes.LATER
