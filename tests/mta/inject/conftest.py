"""A home whose queue keeps what it gets."""

from __future__ import annotations

from pathlib import Path

import pytest
from injecting import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)
