from __future__ import annotations

import os
import resource
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import run
from crashes import crashes_of

from mta.mailbox import maildir
from supervise import files
from supervise.errors import Temporary

HEAD = b"Return-Path: <joe@irs.gov>\n"
BODY = b"Subject: hi\n\nhello\n" * 5000  # more than one read


@pytest.fixture
def box(tmp_path: Path) -> Path:
    maildir.make(bytes(tmp_path / "Maildir"))
    return tmp_path / "Maildir"


@pytest.fixture
def message(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "message").write_bytes(BODY)
    with (tmp_path / "message").open("rb") as message:
        yield message.fileno()


def deliver(box: Path, message: int) -> None:
    os.lseek(message, 0, os.SEEK_SET)
    maildir.deliver(bytes(box) + b"/", HEAD, message)


def messages(box: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted((box / "new").iterdir())]


def test_a_message_is_in_new_whole_and_nothing_is_left_in_tmp(box: Path, message: int) -> None:
    deliver(box, message)
    assert messages(box) == [HEAD + BODY]
    assert not list((box / "tmp").iterdir())
    [file] = (box / "new").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    seconds, pid, host = file.name.split(".", 2)
    assert pid == f"{os.getpid()}_{file.stat().st_ino}"
    assert seconds.isdigit() and host == os.uname().nodename


def test_one_process_never_gives_a_name_twice_even_when_the_clock_stands(
    box: Path, message: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_000_000_000)
    for round in range(30):
        deliver(box, message)
        for file in (box / "new").iterdir():  # a reader takes them away meanwhile
            if round % 3:
                taken = box / "cur" / f"{file.name}:2,S"
                assert not taken.exists()
                file.rename(taken)
    assert len(list((box / "cur").iterdir())) + len(messages(box)) == 30


def test_two_maildirs_of_one_message_do_not_disturb_each_other(box: Path, message: int, tmp_path: Path) -> None:
    maildir.make(bytes(tmp_path / "Other"))
    deliver(box, message)
    deliver(tmp_path / "Other", message)
    assert messages(box) == messages(tmp_path / "Other") == [HEAD + BODY]


def test_a_killed_delivery_leaves_no_message_or_a_whole_one(box: Path, message: int) -> None:
    def fresh() -> None:
        shutil.rmtree(box)
        maildir.make(bytes(box))

    seen = set()
    for _ in crashes_of(lambda: deliver(box, message), fresh):
        assert messages(box) in ([], [HEAD + BODY])
        seen.add(len(messages(box)))
        deliver(box, message)  # and the next attempt works
        assert messages(box)[-1] == HEAD + BODY
    assert seen == {0, 1}
    assert len(messages(box)) == 2


def test_a_message_that_does_not_fit_is_deferred_and_leaves_nothing(box: Path, message: int) -> None:
    pid = os.fork()
    if not pid:
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
            deliver(box, message)
        except Temporary as trouble:
            os._exit(7 if trouble.line == b"Temporary error on maildir delivery. (#4.3.0)" else 8)
        finally:
            os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert not messages(box) and not list((box / "tmp").iterdir())


def test_an_unreadable_message_is_deferred(box: Path, tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(Temporary, match="Unable to read message"):
        maildir.deliver(bytes(box) + b"/", HEAD, folder)
    os.close(folder)
    assert not messages(box) and not list((box / "tmp").iterdir())


def test_a_draft_that_somebody_cleared_is_delivered_all_the_same(
    box: Path, message: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(old: bytes, new: bytes) -> None:
        real(old, new)
        os.unlink(old)

    real = files.link
    monkeypatch.setattr(files, "link", link)
    deliver(box, message)
    assert messages(box) == [HEAD + BODY]


def test_a_folder_that_is_no_maildir_is_deferred(tmp_path: Path, message: int) -> None:
    with pytest.raises(Temporary, match="Unable to chdir to maildir"):
        deliver(tmp_path / "nowhere", message)
    (tmp_path / "bare").mkdir()
    with pytest.raises(Temporary, match="Temporary error on maildir delivery"):
        deliver(tmp_path / "bare", message)


def test_a_delivery_that_hangs_is_given_up(box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maildir, "PATIENCE", 1)
    before = signal.getsignal(signal.SIGALRM)
    reading, writing = os.pipe()
    with pytest.raises(Temporary, match="Timeout on maildir delivery"):
        maildir.deliver(bytes(box) + b"/", HEAD, reading)
    os.close(reading)
    os.close(writing)
    assert not messages(box) and not list((box / "tmp").iterdir())
    assert signal.getsignal(signal.SIGALRM) == before


def test_a_leftover_of_the_same_name_is_not_overwritten(
    box: Path, message: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter((1_000_000_000, 1_000_000_002))
    monkeypatch.setattr(time, "time", lambda: next(moments))
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    leftover = box / "tmp" / f"1000000000.{os.getpid()}.{os.uname().nodename}"
    leftover.write_text("of a crash")
    deliver(box, message)
    assert leftover.read_text() == "of a crash"
    assert messages(box) == [HEAD + BODY]


def test_a_folder_for_new_names_need_not_be_readable(box: Path, message: int, monkeypatch: pytest.MonkeyPatch) -> None:
    (box / "new").chmod(0o300)
    monkeypatch.chdir(box)
    pid = os.fork()
    if not pid:
        try:
            if os.geteuid() == 0:  # who may read every folder
                for folder in (".", "new", "tmp"):
                    os.chown(folder, 65534, 65534)
                os.setgid(65534)
                os.setuid(65534)
            maildir.deliver(b"./", HEAD, message)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    (box / "new").chmod(0o700)
    assert messages(box) == [HEAD + BODY]


def test_maildirmake_makes_it_for_its_owner_alone(tmp_path: Path) -> None:
    assert run("maildirmake", "box", cwd=tmp_path).code == 0
    for folder in (".", "tmp", "new", "cur"):
        assert (tmp_path / "box" / folder).stat().st_mode & 0o777 == 0o700
    again = run("maildirmake", "box", cwd=tmp_path)
    assert (again.code, again.err) == (111, b"maildirmake: fatal: unable to mkdir box: file already exists\n")
    assert run("maildirmake").code == 100
