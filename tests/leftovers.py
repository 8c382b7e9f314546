"""No module of tests leaves anything behind in the process that runs them: neither an open descriptor nor a child.

What one test leaves, every child that a later test forks inherits: the other ends of pipes, whose end
nobody sees then.  What a session shares, such as a name server, may stay.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Generator, Iterator

import psutil
import pytest

PATIENCE = 5  # seconds for threads that are about to close something

shared: set[str | psutil.Process] = set()  # what the module that runs now has not made


def holdings() -> set[str | psutil.Process]:
    """The open descriptors, in words, and the children of this process, zombies included."""
    found: set[str | psutil.Process] = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{number} ({os.readlink(f'/proc/self/fd/{number}')})")
        except FileNotFoundError:  # the one that listed them
            pass
    if os.getpid() != 1:  # who inherits the orphans of the whole machine
        found.update(psutil.Process().children())
    return found


def in_words(item: str | psutil.Process) -> str:
    if isinstance(item, str):
        return item
    try:
        return f"process {item.pid} ({' '.join(item.cmdline())})"
    except psutil.NoSuchProcess:  # or a zombie, which has no arguments any more
        return str(item)


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Fail a module of tests that leaves descriptors open or children unreaped."""
    shared.clear()
    shared.update(holdings())
    yield
    deadline = time.monotonic() + PATIENCE
    while left := holdings() - shared:
        gc.collect()
        if time.monotonic() > deadline:
            pytest.fail("left open: " + ", ".join(sorted(map(in_words, left))), pytrace=False)
        time.sleep(0.05)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object]) -> Generator[None, object, object]:
    """What belongs to more than a module may stay, also when it is made in the midst of one."""
    if fixturedef.scope not in ("session", "package"):
        return (yield)
    before = holdings()
    try:
        return (yield)
    finally:
        shared.update(holdings() - before)
