"""./quickstart from its first line: the interpreter, the environment, the installation."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from instance import NOBODY, free_port

ROOT = Path(__file__).resolve().parents[2]
PARTS = (
    "quickstart",
    "setup.cfg",
    "setup.py",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "supervise",
    "ucspi",
    "mta",
    "tools",
    "service",
)


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder that every user can reach."""
    with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def checkout(scratch: Path) -> Path:
    """A fresh copy of the project."""
    copy = scratch / "checkout"
    copy.mkdir()
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, copy / part)
    subprocess.run(["chmod", "-R", "a+rX", copy], check=True)  # whatever umask the original was cloned with
    return copy


def quickstart(
    checkout: Path, *words: str, user: int | None = None, umask: int = -1, **env: str
) -> subprocess.CompletedProcess[str]:
    names = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(checkout.parent), **env}
    return subprocess.run(
        ["./quickstart", *words],
        cwd=checkout,
        env={**names, "PYTHON": env.get("PYTHON", os.path.realpath(sys.executable))},
        capture_output=True,
        text=True,
        timeout=300,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        umask=umask,
        check=False,
    )


def fake(folder: Path, script: str) -> str:
    """An interpreter that is a shell script."""
    folder.mkdir()
    (folder / "python3").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "python3").chmod(0o755)
    return str(folder / "python3")


def test_an_interpreter_without_the_venv_module_is_named_in_one_line(checkout: Path) -> None:
    real = os.path.realpath(sys.executable)
    script = f'case $* in *venv*) exit 1 ;; esac\nexec {real} "$@"'
    python = fake(checkout.parent / "fake", script)
    done = quickstart(checkout, "--once", PYTHON=python)
    complaint = f"quickstart: {python} lacks the venv module (Debian: apt-get install python3-venv)\n"
    assert (done.returncode, done.stdout, done.stderr) == (111, "", complaint)
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("script", ["exit 1", "echo 'Python 3.10'; exit 1"])
def test_an_interpreter_that_is_too_old_is_said_in_one_line(checkout: Path, script: str) -> None:
    done = quickstart(checkout, "--once", PYTHON=fake(checkout.parent / "fake", script))
    assert done.returncode == 111 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("quickstart: needs Python 3.11 or newer") and "PYTHON=" in done.stderr


@pytest.mark.long
def test_it_works_in_a_fresh_copy_and_the_second_time_at_once(checkout: Path) -> None:
    user = NOBODY if os.geteuid() == 0 else None
    if user is not None:
        for folder, _, files in os.walk(checkout):
            for file in (folder, *(os.path.join(folder, name) for name in files)):
                os.chown(file, user, user)
        os.chown(checkout.parent, user, user)
    first = quickstart(checkout, "--once", "--port", str(free_port()), user=user)
    assert first.returncode == 0, first
    assert "it works" in first.stdout
    assert (checkout / ".venv/share/man/man8/qmail-smtpd.8").exists()
    began = time.monotonic()
    second = quickstart(checkout, "--once", "--port", str(free_port()), user=user)
    assert (second.returncode, second.stderr) == (0, "")
    assert time.monotonic() - began < 10
    assert len(list(checkout.glob("home/mail/*/Maildir/new/*"))) == 2


@pytest.mark.long
@pytest.mark.root
def test_root_may_start_it_in_a_folder_that_nobody_else_may_enter_with_a_strict_umask(checkout: Path) -> None:
    closed = checkout.parent / "closed"
    closed.mkdir(mode=0o700)
    shutil.move(checkout, closed / "checkout")
    venv = checkout.parent / "environment"
    done = quickstart(closed / "checkout", "--once", "--port", str(free_port()), umask=0o77, PYQMAIL_VENV=str(venv))
    assert done.returncode == 0, done
    assert "it works" in done.stdout
    assert (venv / "share/man/man8/qmail-smtpd.8").exists()
    assert list(checkout.parent.glob("environment-home/mail/*/Maildir/new/*"))


@pytest.mark.long
def test_it_works_in_a_folder_with_blanks_and_a_quote_in_its_name(checkout: Path) -> None:
    odd = checkout.rename(checkout.parent / "it's a checkout")
    done = quickstart(odd, "--once", "--port", str(free_port()))
    assert done.returncode == 0, done
