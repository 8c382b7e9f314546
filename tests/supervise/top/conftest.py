from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from services import Tree
from terminal import Terminal


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    """A scratch tree of services; whatever was started on it is stopped."""
    folder = tmp_path / "service"
    folder.mkdir()
    tree = Tree(folder)
    yield tree
    tree.end()


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    """Makes terminals with programs in them, which are ended afterwards."""
    made: list[Terminal] = []

    def make(*argv: str | Path, **more: Any) -> Terminal:
        made.append(Terminal(*argv, **more))
        return made[-1]

    yield make
    for each in made:
        each.close()
