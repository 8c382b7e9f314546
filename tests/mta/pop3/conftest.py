"""Fixtures of the tests about POP3."""

from __future__ import annotations

from pathlib import Path

import pytest
from counting import Counting
from fetching import Box

from mta.pop3 import passwords


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path / "user")


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    library = Counting()
    monkeypatch.setattr(passwords, "crypt_library", lambda: library)
    return library
