"""Fixtures of the tests about forwarding."""

from __future__ import annotations

from pathlib import Path

import pytest
from forwarding import Forwarding


@pytest.fixture
def forwarding(tmp_path: Path) -> Forwarding:
    return Forwarding(tmp_path)
