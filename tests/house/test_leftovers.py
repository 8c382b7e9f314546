"""What a module of tests leaves behind is seen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]

SHARED = """
import os, pytest, subprocess

pytest_plugins = ["leftovers"]

@pytest.fixture(scope="session")
def shared():
    with open(os.devnull), subprocess.Popen("cat", stdin=subprocess.PIPE):
        yield
"""


def outcome(top: Path, module: str) -> str:
    """What pytest says of *module* when it stands below *top* as our tests stand in the house."""
    folder = top / "tests"
    folder.mkdir()
    (top / "pytest.ini").write_text("[pytest]\n")
    (folder / "conftest.py").write_text(SHARED)
    (folder / "test_module.py").write_text(module)
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    env = {**os.environ, "PYTHONPATH": str(TESTS)}
    return subprocess.run(command, stdout=subprocess.PIPE, cwd=top, env=env, text=True, check=False).stdout


def test_an_open_descriptor_and_a_child_fail_the_module_that_leaves_them(tmp_path: Path) -> None:
    said = outcome(
        tmp_path,
        "import os\n"
        "def test_leaving():\n"
        "    os.open('/dev/zero', os.O_RDONLY)\n"
        "    os.posix_spawn('/bin/true', ['true'], {})\n"
        "def test_more(): pass\n",
    )
    assert "2 passed, 1 error" in said
    assert "ERROR at teardown of test_more" in said
    assert "(/dev/zero), psutil.Process(pid=" in said


def test_what_is_closed_in_time_and_what_a_session_shares_fails_nobody(tmp_path: Path) -> None:
    said = outcome(
        tmp_path,
        "import subprocess, threading, time\n"
        "def test_first(): pass\n"
        "def test_sharing(shared): pass\n"
        "def test_closing():\n"
        "    cat = subprocess.Popen('cat', stdin=subprocess.PIPE)\n"
        "    threading.Thread(target=lambda: (time.sleep(0.2), cat.communicate())).start()\n",
    )
    assert "3 passed" in said and "error" not in said
