"""Fixtures of the tests about POP3."""

from __future__ import annotations

from pathlib import Path

import pytest
from fetching import Box


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path / "user")
