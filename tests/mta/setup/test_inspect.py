"""Comparing a home with its plan, and mending it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mta.setup.inspect import findings
from mta.setup.plan import FILE, Piece


@pytest.mark.parametrize("size", [None, 5])
def test_a_link_put_in_the_place_of_what_is_being_mended_leads_nowhere(
    size: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QMAILHOME", str(tmp_path))
    file, precious = tmp_path / "file", tmp_path / "precious"
    for path in (file, precious):
        path.write_bytes(b"words of somebody")
        path.chmod(0o600)
    mending = findings(Piece(b"file", FILE, b"root", b"root", 0o644, size), mend=True)
    assert next(mending)
    file.rename(tmp_path / "moved")
    file.symlink_to(precious)
    list(mending)
    assert (precious.stat().st_mode & 0o777, precious.read_bytes()) == (0o600, b"words of somebody")
    assert (tmp_path / "moved").stat().st_mode & 0o777 == 0o644
    assert os.readlink(file) == str(precious)
