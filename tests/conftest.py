"""What all tests share: what becomes of those that need root on a machine that does not give it."""

from __future__ import annotations

import os
import pwd
import signal
from collections.abc import Generator

import pytest

from mta.home import USERS

pytest_plugins = ["leftovers"]

UMASK = 0o022  # many tests have other users read what they made, whoever starts them with whatever umask
os.umask(UMASK)
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):  # which nohup and shells have ignored by what they start
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)

HANGS = 300  # seconds after which a test is surely waiting for what never comes


def lacking() -> str:
    """What is missing here for tests that need root and the qmail users; empty when nothing is."""
    if os.geteuid() != 0:
        return "needs root"
    existing = {os.fsencode(user.pw_name) for user in pwd.getpwall()}
    missing = [os.fsdecode(name) for name in USERS if name not in existing]
    return "needs the users " + " ".join(missing) if missing else ""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what cannot run here; begin with the umask that commands of earlier tests may have changed."""
    os.umask(UMASK)
    if item.get_closest_marker("root") and (reason := lacking()):
        pytest.skip(reason)


def give_up(number: int, frame: object) -> None:
    raise AssertionError(f"still waiting after {HANGS} seconds")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """Let no test that waits for ever keep the others from being run."""
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(HANGS)
    try:
        return (yield)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where changes are accepted (CI), what is skipped for want of anything but IPv6 has failed."""
    report = yield
    if report.skipped and "CI" in os.environ and "IPv6" not in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"nothing is skipped in CI: {report.longrepr}"
    return report
