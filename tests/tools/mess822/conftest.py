"""A home whose queue keeps what it gets."""

from __future__ import annotations

from pathlib import Path

import pytest
from injecting import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.env |= {"QMAILREWRITEFILE": None, "RELAYCLIENT": None, "TCPREMOTEINFO": None, "TCPREMOTEIP": "192.0.2.7"}
    return home
