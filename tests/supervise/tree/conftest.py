from collections.abc import Iterator
from pathlib import Path

import pytest
from services import Tree


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    """A scratch tree of services; whatever was started on it is stopped."""
    folder = tmp_path / "service"
    folder.mkdir()
    tree = Tree(folder)
    yield tree
    tree.end()
