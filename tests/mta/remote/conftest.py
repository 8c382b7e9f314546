"""Fixtures of the tests about mail to other hosts."""

from __future__ import annotations

from pathlib import Path

import pytest
from nameserver import name_server, serving, silent_name_server  # noqa: F401


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a name and an empty table of hosts that time out."""
    for folder in "control", "queue/lock", "queue/mess/0":
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "control/me").write_text("me.example\n")
    (tmp_path / "queue/lock/tcpto").write_bytes(bytes(1024))
    monkeypatch.setenv("QMAILHOME", str(tmp_path))
    return tmp_path
