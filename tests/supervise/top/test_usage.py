"""What services use, measured on real processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest
from until import until

from supervise.top.usage import Usage

FAMILY = """
import os, sys, time
kept = bytearray(50_000_000)
if os.fork() == 0:
    kept = bytearray(50_000_001)
    if os.fork() == 0:
        print("there", flush=True)
        while True: pass
time.sleep(1000)
"""


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that sleeps, its child that does too, and that one's child, which is busy."""
    process = subprocess.Popen([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"there\n"
    family = psutil.Process(process.pid).children(recursive=True)
    yield process
    for each in [*family, psutil.Process(process.pid)]:
        try:
            each.kill()
        except psutil.NoSuchProcess:
            pass
    process.stdout.close()
    process.wait()


def test_all_below_counts(process: subprocess.Popen[bytes]) -> None:
    usage = Usage()
    assert until(lambda: usage.measure([process.pid])[process.pid][0] > 5)
    assert usage.measure([process.pid])[process.pid][1] > 2 * 50_000_000


def test_a_process_that_ends_meanwhile_is_left_out(process: subprocess.Popen[bytes]) -> None:
    usage = Usage()
    below = psutil.Process(process.pid).children(recursive=True)
    whole = usage.sum_up([psutil.Process(process.pid), *below], {})
    for each in below:
        each.kill()
    until(lambda: not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in below))
    assert usage.sum_up(below, {})[1] == 0
    assert 0 < usage.sum_up([psutil.Process(process.pid), *below], {})[1] < whole[1]


def test_a_process_that_is_not_there_is_left_out() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert Usage().measure([gone.pid, 0, 1 << 31]) == {} or gone.pid not in Usage().measure([gone.pid])


def test_a_rate_is_that_since_the_last_measure(process: subprocess.Popen[bytes]) -> None:
    usage = Usage()
    below = psutil.Process(process.pid).children(recursive=True)
    until(lambda: usage.measure([process.pid])[process.pid][0] > 5)
    for each in below:
        each.suspend()
    until(lambda: all(each.status() == psutil.STATUS_STOPPED for each in below))
    until(lambda: usage.measure([process.pid])[process.pid][0] == 0)
