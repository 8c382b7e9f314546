"""Room for descriptors: each process has the limit that is meant for it."""

from __future__ import annotations

import resource
import sys

import pytest
from commands import run

CODE = """
import os, resource, sys
from supervise.room import ENOUGH, Room
LIMIT = resource.RLIMIT_NOFILE
soft, hard = (int(word) for word in sys.argv[1:3])
resource.setrlimit(LIMIT, (soft, hard))
room = Room(wide=sys.argv[3] == "wide")
mine = resource.getrlimit(LIMIT)
room.leave()
print(*mine, *resource.getrlimit(LIMIT))
"""


def limits(soft: int, hard: int, width: str) -> list[int]:
    done = run(sys.executable, "-c", CODE, str(soft), str(hard), width)
    assert (done.code, done.err) == (0, b"")
    return [int(word) for word in done.out.split()]


@pytest.mark.parametrize(("soft", "hard"), [(100, 200), (200, 200)])
def test_who_wants_more_takes_what_there_is_and_gives_away_what_it_was_given(soft: int, hard: int) -> None:
    assert limits(soft, hard, "wide") == [hard, hard, soft, hard]


def test_who_does_not_want_more_leaves_it_alone() -> None:
    assert limits(100, 200, "narrow") == [100, 200, 100, 200]


def test_nobody_takes_more_than_it_can_use() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert limits(100, hard, "wide") == [min(hard, 65536), hard, 100, hard]
