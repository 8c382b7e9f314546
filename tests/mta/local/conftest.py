"""Fixtures of the tests about deliveries to users of this machine."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from deliveries import Instance


def instance(rooted: bool) -> Iterator[Instance]:
    folder = Path(tempfile.mkdtemp(prefix="pyqmail-"))  # and not tmp_path, which other users may not enter
    folder.chmod(0o755)
    try:
        yield Instance(folder, rooted)
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def plain() -> Iterator[Instance]:
    """A plain user's instance."""
    yield from instance(False)


@pytest.fixture
def rooted() -> Iterator[Instance]:
    """Root's instance."""
    yield from instance(True)
