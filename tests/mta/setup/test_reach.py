"""qmail-setup makes no home for commands that only root can reach."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from commands import Result, run

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.root
def test_an_environment_that_only_root_can_reach_is_refused_and_found() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as scratch:
        Path(scratch).chmod(0o755)
        home, closed = Path(scratch) / "home", Path(scratch) / "closed"
        for package in "mta", "supervise", "service":
            shutil.copytree(ROOT / package, closed / package)
        code = "import sys; from mta.setup.setup import main; sys.exit(main())"
        argv = [sys.executable, "-B", "-c", code]
        env = {"QMAILHOME": str(home), "PYTHONPATH": str(closed)}
        what = f"{closed}: closed to other users, who must reach {closed}/mta"
        why = f"{what}; make the environment where every user can reach it\n"

        def setup(*words: str) -> Result:
            return run(*argv, *words, env=env, cwd="/")

        closed.chmod(0o700)
        assert setup("--host", "mx.mail.example") == (111, b"", b"qmail-setup: fatal: " + why.encode())
        assert not home.exists()
        closed.chmod(0o755)
        assert setup("--host", "mx.mail.example").code == 0
        closed.chmod(0o700)
        assert setup("--check") == (1, why.encode(), b"")
