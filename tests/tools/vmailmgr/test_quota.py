"""A mailbox takes no more than its limits allow."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from commands import Result, environment, run
from forwarding import Forwarding

from mta.mailbox.maildir import FOLDERS

TOO_LARGE = b"vcheckquota: Fatal: Sorry, this message is larger than the current maximum message size limit.\n\n"
TOO_MANY = (
    b"vcheckquota: Fatal: Sorry, the person you sent this message has too many messages stored in the mailbox\n\n"
)
FULL = b"vcheckquota: Fatal: Message would exceed virtual user's disk quota.\n\n"
NEARLY_FULL = (
    b"vcheckquota: Fatal: Sorry, your message cannot be delivered.\nUser's disk quota exceeded.\n"
    b"A small message will be delivered should you wish to inform this person.\n\n"
)


class Mailbox:
    """A Maildir with a message in each of new, cur and the cur of a folder, and a message that comes.

    Attributes:
        used: the bytes that it takes on disk, and would with the message.
    """

    def __init__(self, folder: Path) -> None:
        self.maildir, self.message = folder / "Maildir", folder / "message"
        for place in (self.maildir, self.maildir / ".Sent"):
            for name in FOLDERS:
                (place / os.fsdecode(name)).mkdir(parents=True)
        for path in ("new/1", "cur/2", ".Sent/cur/3", "maildirsize"):
            (self.maildir / path).write_bytes(b"x" * 9000)
        self.message.write_bytes(b"x" * 9000)

    @property
    def size(self) -> int:
        return self.message.stat().st_blocks * 512

    @property
    def used(self) -> int:
        paths = [self.maildir, *self.maildir.rglob("*")]
        return sum(path.stat().st_blocks * 512 for path in paths) + self.size

    def check(self, *argv: str, **limits: object) -> Result:
        """Run vcheckquota on the message with these limits; None is no variable."""
        env: dict[str, str | None] = {"MAILDIR": str(self.maildir)}
        for what in ("msgsize", "msgcount", "hardquota", "softquota"):
            limit = limits.get(what, "-")
            env["VUSER_" + what.upper()] = None if limit is None else str(limit)
        with open(self.message, "rb") as file:
            words = ("vcheckquota", *argv)
            done = subprocess.run(words, stdin=file, capture_output=True, env=environment(env), timeout=30, check=False)
        return Result(done.returncode, done.stdout, done.stderr)

    @property
    def warnings(self) -> list[Path]:
        return list(self.maildir.glob("new/*.softquota-warning"))


@pytest.fixture
def mailbox(tmp_path: Path) -> Mailbox:
    return Mailbox(tmp_path)


def test_each_limit_is_reached_but_not_passed(mailbox: Mailbox) -> None:
    for what, most, refused in (
        ("msgsize", mailbox.size, TOO_LARGE),
        ("msgcount", 4, TOO_MANY),
        ("hardquota", mailbox.used, FULL),
        ("softquota", mailbox.used, FULL),
    ):
        assert mailbox.check(**{what: most}) == (0, b"", b""), what
        assert mailbox.check(**{what: most - 1}) == (100, b"", refused), what
    assert mailbox.check() == (0, b"", b"")


def test_beyond_the_soft_quota_there_is_room_for_small_messages(mailbox: Mailbox, tmp_path: Path) -> None:
    limits = {"softquota": 1, "hardquota": mailbox.used}
    assert mailbox.check(**limits) == (100, b"", NEARLY_FULL)
    assert mailbox.check("-a", str(mailbox.size), **limits).code == 0
    assert mailbox.check(f"--soft-maxsize={mailbox.size - 1}", **limits).code == 100
    mailbox.message.write_bytes(b"hello\n")
    assert mailbox.check(**limits) == (0, b"", b"")
    assert mailbox.warnings == []


def test_a_warning_is_linked_for_each_message_beyond_the_soft_quota(
    mailbox: Mailbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("warning").write_text("Subject: too much\n\n")
    most = mailbox.used + 100_000
    assert mailbox.check("-m", "warning", softquota=1, hardquota=most).code == 100
    assert mailbox.check("-m", "warning", "-a", "100000", softquota=1, hardquota=most).code == 0
    assert [each.read_text() for each in mailbox.warnings] == ["Subject: too much\n\n"] * 2
    assert mailbox.check("--soft-message=warning", softquota=1, hardquota=1).err == FULL
    assert len(mailbox.warnings) == 2
    done = mailbox.check("-m", "missing", softquota=1, hardquota=most)
    assert done.code == 111 and done.err.endswith(b"/missing: file does not exist\n"), "it is known when it is missing"
    assert len(mailbox.warnings) == 2


def test_what_has_gone_or_is_no_maildir_delays_nothing(mailbox: Mailbox) -> None:
    (mailbox.maildir / "sieve/scripts").mkdir(parents=True)
    (mailbox.maildir / "new/gone").symlink_to("nowhere")
    assert mailbox.check(msgcount=4) == (0, b"", b"")
    assert mailbox.check(msgcount=3) == (100, b"", TOO_MANY)


def test_who_has_no_folder_has_no_limits(mailbox: Mailbox) -> None:
    limits: dict[str, str | None] = {f"VUSER_{name}": "0" for name in ("MSGSIZE", "MSGCOUNT", "HARDQUOTA", "SOFTQUOTA")}
    assert run("vcheckquota", env={**limits, "MAILDIR": ""}) == (0, b"", b"")


def test_what_is_wrong_delays_the_message(mailbox: Mailbox) -> None:
    assert run("vcheckquota", env={"MAILDIR": None}) == (111, b"", b"vcheckquota: Fatal: MAILDIR not set\n")
    for what in ("msgsize", "msgcount", "hardquota", "softquota"):
        name = b"VUSER_" + what.upper().encode()
        assert mailbox.check(**{what: None}) == (111, b"", b"vcheckquota: Fatal: " + name + b" not set\n")
        for wrong in ("x", "1k", ""):
            done = mailbox.check(**{what: wrong})
            assert done == (111, b"", b"vcheckquota: Fatal: " + name + b" is not a valid number\n")
    assert mailbox.check("-a", "1k").err.startswith(b"vcheckquota: invalid integer: 1k\nvcheckquota: usage:")
    for words in (["-a", "x"], ["-x"], ["word"]):
        assert mailbox.check(*words).code == 1


def test_what_cannot_be_looked_at_delays_the_message(mailbox: Mailbox) -> None:
    loop = mailbox.maildir / "new/loop"
    loop.symlink_to(loop)
    done = mailbox.check(msgcount=100)
    assert done.code == 111 and done.err.startswith(b"vcheckquota: Fatal: unable to read ")


def test_the_hook_bounces_what_has_no_room(forwarding: Forwarding) -> None:
    home = forwarding.folder
    hook = home / ".vmailmgr/vdeliver-predeliver"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\nexec vcheckquota\n")
    hook.chmod(0o755)
    env = {"HOME": str(home)}
    assert run("vadduser", "--quiet", "-P", "-c", "1", "-f", "a@b.example", "joe", env=env).code == 0

    def deliver() -> Result:
        return forwarding.forward("vdeliver", EXT="joe", HOME=str(home))

    assert deliver() == (0, b"", b"") and forwarding.queued
    (home / "envelope").unlink()
    assert deliver() == (100, b"vdeliver: Execution of vdeliver-predeliver failed\n", TOO_MANY)
    assert len(list((home / "users/joe/new").iterdir())) == 1 and not forwarding.queued
    assert run("vchattr", "--quiet", "-c", "-", "joe", env=env).code == 0
    assert deliver().code == 0
