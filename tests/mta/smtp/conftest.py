"""Fixtures of the tests about mail that comes in."""

from __future__ import annotations

from pathlib import Path

import pytest
from deliveries import plain, rooted  # noqa: F401
from receiving import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)
