"""Fixtures of the tests about QMTP and QMQP."""

from __future__ import annotations

from pathlib import Path

import pytest
from capture import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.control(me="heaven.af.mil", rcpthosts="heaven.af.mil\n.example")
    return home
