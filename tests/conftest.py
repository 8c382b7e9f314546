"""What all tests share: what becomes of those that need root on a machine that does not give it."""

from __future__ import annotations

import os
import pwd

import pytest

from mta.home import USERS


def lacking() -> str:
    """What is missing here for tests that need root and the qmail users; empty when nothing is."""
    if os.geteuid() != 0:
        return "needs root"
    existing = {os.fsencode(user.pw_name) for user in pwd.getpwall()}
    missing = [os.fsdecode(name) for name in USERS if name not in existing]
    return "needs the users " + " ".join(missing) if missing else ""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what cannot run here; where changes are accepted (CI), fail it."""
    if item.get_closest_marker("root") and (reason := lacking()):
        if "CI" in os.environ:
            pytest.fail(f"nothing is skipped in CI: {reason}")
        pytest.skip(reason)
