"""maildir2mbox, and the programs that run it before a mail reader."""

from __future__ import annotations

import mailbox
import os
import time
from pathlib import Path

import pytest
from commands import Result, run
from crashes import crashes_of

from mta.mailbox import maildir2mbox

OLD = b"From sue@x.y Thu Jan 01 00:00:00 2026\nSubject: old\n\nold\n\n"
LONG_AGO = 1_600_000_000


class Mail:
    """A Maildir and an mbox, and the variables that name them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.maildir, self.box = folder, folder / "Maildir", folder / "mbox"
        for name in ("tmp", "new", "cur"):
            (self.maildir / name).mkdir(parents=True)
        self.env: dict[str, str | None] = {
            "MAILDIR": str(self.maildir),
            "MAIL": str(self.box),
            "MAILTMP": f"{self.box}.new",
        }

    def put(self, name: str, content: bytes, when: float = LONG_AGO) -> None:
        (self.maildir / name).write_bytes(content)
        os.utime(self.maildir / name, (when, when))

    def left(self) -> list[str]:
        """The messages that are in the Maildir."""
        return sorted(file.name for name in ("new", "cur") for file in (self.maildir / name).iterdir())

    def convert(self, *argv: str, **env: str) -> Result:
        return run(*(argv or ("maildir2mbox",)), env={**self.env, **env})


@pytest.fixture
def mail(tmp_path: Path) -> Mail:
    return Mail(tmp_path)


def test_messages_come_behind_what_is_there_the_oldest_first(mail: Mail) -> None:
    mail.box.write_bytes(OLD)
    mail.put("new/b", b"Return-Path: <a b@x.y>\n\n>From me\nFrom you\nno end", LONG_AGO + 60)
    mail.put("cur/a:2,S", b"Return-Path: <>\n\n\0\xff\n", LONG_AGO + 120)
    mail.put("new/z", b"Subject: first\n", LONG_AGO)
    mail.put("new/.hidden", b"\n")
    assert mail.convert() == (0, b"", b"")
    assert mail.box.read_bytes() == (
        OLD + b"From XXX Sun Sep 13 12:26:40 2020\nSubject: first\n\n"
        b"From a-b@x.y Sun Sep 13 12:27:40 2020\nReturn-Path: <a b@x.y>\n\n>>From me\n>From you\nno end\n\n"
        b"From MAILER-DAEMON Sun Sep 13 12:28:40 2020\nReturn-Path: <>\n\n\0\xff\n\n"
    )
    assert mail.left() == [".hidden"] and mail.box.stat().st_mode & 0o777 == 0o600
    assert [str(message["Subject"]) for message in mailbox.mbox(str(mail.box))] == ["old", "first", "None", "None"]


def test_what_comes_in_this_second_waits_for_the_next_time(mail: Mail) -> None:
    mail.put("new/later", b"Subject: later\n", time.time() + 1000)
    assert mail.convert() == (0, b"", b"")
    assert mail.left() == ["later"] and not mail.box.exists()


def test_only_what_dead_deliveries_have_left_is_cleared_from_tmp(mail: Mail) -> None:
    mail.put("tmp/dead", b"", time.time() - 129_700)
    mail.put("tmp/alive", b"", time.time() - 129_000)
    assert mail.convert().code == 0
    assert os.listdir(mail.maildir / "tmp") == ["alive"]


def test_killed_at_any_call_it_loses_no_message(mail: Mail) -> None:
    contents = {f"new/{number}": b"Subject: %d\n\n" % number + b"x\n" * 40_000 for number in range(3)}

    def fresh() -> None:
        mail.box.write_bytes(OLD)
        for name, content in contents.items():
            mail.put(name, content)

    def convert() -> None:
        for name, value in mail.env.items():
            os.environ[name] = str(value)
        assert maildir2mbox.main([b"maildir2mbox"]) == 0

    states = set()
    for _ in crashes_of(convert, fresh):
        box = mail.box.read_bytes()
        stored = [content for content in contents.values() if content in box]
        assert box.startswith(OLD) and len(stored) in (0, 3)
        assert stored or mail.left() == ["0", "1", "2"]
        states.add((bool(stored), len(mail.left())))
        assert mail.convert().code == 0  # whatever was left, the next run goes on with it
        assert mail.left() == [] and all(content in mail.box.read_bytes() for content in contents.values())
    assert states == {(False, 3), (True, 3), (True, 2), (True, 1), (True, 0)}


def test_when_something_cannot_be_done_all_messages_stay(mail: Mail) -> None:
    mail.box.write_bytes(OLD)
    mail.put("new/a", b"Subject: a\n")
    folder = str(mail.folder)
    for env, said in (
        ({"MAILTMP": folder}, f"unable to create {folder}: is a directory"),
        ({"MAILTMP": "/proc/x"}, "unable to create /proc/x: file does not exist"),
        ({"MAIL": f"{folder}/none/mbox"}, f"unable to lock {folder}/none/mbox: file does not exist"),
        ({"MAILDIR": folder}, "unable to scan $MAILDIR/new: file does not exist"),
    ):
        assert mail.convert(**env) == (111, b"", f"maildir2mbox: fatal: {said}\n".encode())
    (mail.maildir / "new/b").mkdir()
    os.utime(mail.maildir / "new/b", (LONG_AGO + 9, LONG_AGO + 9))
    assert mail.convert().err == b"maildir2mbox: fatal: unable to read $MAILDIR/new/b: is a directory\n"
    assert mail.box.read_bytes() == OLD and mail.left() == ["a", "b"]
    assert not (mail.folder / "mbox.new").exists()


def test_a_draft_that_is_a_link_is_not_followed(mail: Mail) -> None:
    mail.put("new/a", b"Subject: a\n")
    (mail.folder / "mbox.new").symlink_to(mail.folder / "mine")
    (mail.folder / "mine").write_bytes(b"precious")
    assert mail.convert().code == 111
    assert (mail.folder / "mine").read_bytes() == b"precious" and mail.left() == ["a"]


@pytest.mark.parametrize(("command", "reader"), [("qail", "Mail"), ("elq", "elm"), ("pinq", "pine")])
def test_a_mail_reader_finds_all_mail_in_the_mbox(mail: Mail, command: str, reader: str) -> None:
    program = mail.folder / reader
    program.write_text('#!/bin/sh\necho "$0" "$@"; grep ^Subject "$MAIL"; exit 5\n')
    program.chmod(0o755)
    mail.put("new/a", b"Subject: new\n")
    home = mail.folder / "home"
    home.mkdir()
    mail.env["QMAILHOME"] = str(home)
    script = f'PATH="{mail.folder}:$PATH" exec {command} -f "two words"'
    assert mail.convert("sh", "-c", script) == (5, f"{program} -f two words\nSubject: new\n".encode(), b"")
    (mail.maildir / "new").rmdir()
    failed = mail.convert("sh", "-c", script)
    assert (failed.code, failed.out) == (111, b"") and failed.err.startswith(b"maildir2mbox: fatal: ")
