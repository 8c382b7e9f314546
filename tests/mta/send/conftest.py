"""What the tests of qmail-send share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from sending import Home


@pytest.fixture
def home() -> Iterator[Home]:
    """A scratch home."""
    home = Home()
    yield home
    home.remove()


@pytest.fixture
def queue(home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A scratch home whose queue we stand in, as qmail-send does."""
    monkeypatch.setenv("QMAILHOME", os.fspath(home.home))
    monkeypatch.chdir(home.path)
    return home
