"""svc, svok and svstat when there is nobody to talk to, or too much to say."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from commands import run, start
from until import until

from supervise.fd import read_all


def test_svc_tells_every_service_and_names_those_it_cannot_reach(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "supervise").mkdir(parents=True)
        os.mkfifo(tmp_path / name / "supervise" / "control")
    listening = os.open(tmp_path / "b" / "supervise" / "control", os.O_RDONLY | os.O_NONBLOCK)
    done = run("svc", "-dd", "-xu", "missing", "a", "b", cwd=tmp_path)
    assert done.code == 0
    assert done.err.splitlines() == [
        b"svc: warning: unable to chdir to missing: file does not exist",
        b"svc: warning: unable to control a: supervise not running",
    ]
    assert read_all(listening) == b"dxu"
    os.close(listening)


def test_svc_waits_for_a_supervise_that_is_slow_and_not_for_one_that_goes(tmp_path: Path) -> None:
    control = tmp_path / "s" / "supervise" / "control"
    control.parent.mkdir(parents=True)
    os.mkfifo(control)
    listening = os.open(control, os.O_RDONLY | os.O_NONBLOCK)
    filling = os.open(control, os.O_WRONLY | os.O_NONBLOCK)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(filling, bytes(4096))
    os.close(filling)
    svc = start("svc", "-u", "s", cwd=tmp_path, stderr=subprocess.PIPE)
    until(lambda: has_open(svc.pid, control))
    os.close(listening)
    assert svc.communicate(timeout=10)[1] == b"svc: warning: error writing commands to s: broken pipe\n"
    assert svc.returncode == 0


def has_open(pid: int, file: Path) -> bool:
    return any(os.path.realpath(link) == os.path.realpath(file) for link in Path(f"/proc/{pid}/fd").iterdir())


def test_svstat_says_why_it_cannot_say_more(tmp_path: Path) -> None:
    status = tmp_path / "s" / "supervise" / "status"
    status.parent.mkdir(parents=True)
    ok = tmp_path / "s" / "supervise" / "ok"

    def line() -> bytes:
        return run("svstat", "s", cwd=tmp_path).out

    assert line() == b"s: unable to open supervise/ok: file does not exist\n"
    os.mkfifo(ok)
    assert line() == b"s: supervise not running\n"
    reader = os.open(ok, os.O_RDONLY | os.O_NONBLOCK)
    assert line() == b"s: unable to open supervise/status: file does not exist\n"
    status.write_bytes(bytes(17))
    assert line() == b"s: unable to read supervise/status: bad format\n"
    status.write_bytes(b"")
    assert line() == b"s: unable to read supervise/status: bad format\n"
    status.unlink()
    status.mkdir()
    assert line() == b"s: unable to read supervise/status: is a directory\n"
    os.close(reader)


def test_svstat_reports_each_folder_from_where_it_started(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    lines = run("svstat", "a", "a/b", "b", cwd=tmp_path).out.splitlines()
    assert [line.partition(b": ")[2] for line in lines] == [
        b"unable to open supervise/ok: file does not exist",
        b"unable to open supervise/ok: file does not exist",
        b"unable to chdir: file does not exist",
    ]


def test_svok_tells_no_from_cannot_tell(tmp_path: Path) -> None:
    ok = tmp_path / "s" / "supervise" / "ok"
    ok.parent.mkdir(parents=True)
    assert run("svok", "s", cwd=tmp_path) == (100, b"", b"")
    os.mkfifo(ok)
    assert run("svok", "s", cwd=tmp_path) == (100, b"", b"")
    reader = os.open(ok, os.O_RDONLY | os.O_NONBLOCK)
    assert run("svok", "s", cwd=tmp_path) == (0, b"", b"")
    os.close(reader)
    missing = b"svok: fatal: unable to chdir to missing: file does not exist\n"
    assert run("svok", "missing", cwd=tmp_path) == (111, b"", missing)
