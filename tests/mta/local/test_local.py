from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import BIN, Result, environment, run
from until import until

MESSAGE = b"Received: x\nFrom: joe@irs.gov\nSubject: hi\n\nhello\n"


class Home:
    """A user's home, and deliveries into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(mode=0o755)
        self.qmail = folder.parent / "qmail"
        (self.qmail / "control").mkdir(parents=True)
        (self.qmail / "control" / "me").write_text("heaven.af.mil\n")

    def write(self, name: str, content: str, mode: int = 0o644) -> None:
        (self.folder / name).write_text(content)
        (self.folder / name).chmod(mode)

    def deliver(
        self,
        ext: str = "",
        *,
        sender: str = "joe@irs.gov",
        message: bytes = MESSAGE,
        more: dict[str, str] | None = None,
    ) -> Result:
        """Run qmail-local for bill, or bill-EXT."""
        local = f"bill-{ext}" if ext else "bill"
        words = ["bill", str(self.folder), local, "-" if ext else "", ext, "heaven.af.mil", sender, "./Mailbox"]
        (self.folder.parent / "message").write_bytes(message)
        env = {"QMAILHOME": str(self.qmail), **(more or {})}
        return with_message(self.folder.parent / "message", ["qmail-local", "--", *words], env)

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()


def with_message(message: Path, argv: list[str], env: dict[str, str]) -> Result:
    """Run *argv* with a file on descriptor 0."""
    import subprocess

    with message.open("rb") as file:
        done = subprocess.run(argv, stdin=file, capture_output=True, env=environment(env), timeout=30, check=False)
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    yield Home(tmp_path / "h")


# -- permissions ---------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
def test_a_home_that_others_may_write_defers(home: Home, mode: int) -> None:
    home.folder.chmod(mode)
    assert home.deliver() == (111, b"", b"Uh-oh: home directory is writable. (#4.7.0)\n")


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_qmail_file_that_others_may_write_defers(home: Home, mode: int) -> None:
    home.write(".qmail", "./Mailbox\n", mode)
    assert home.deliver() == (111, b"", b"Uh-oh: .qmail file is writable. (#4.7.0)\n")


def test_a_site_sets_the_mask_of_old(home: Home) -> None:
    (home.qmail / "control" / "patrn").write_text("002\n")
    home.folder.chmod(0o775)
    home.write(".qmail", "./Mailbox\n", 0o664)
    assert home.deliver().code == 0
    home.folder.chmod(0o757)
    assert home.deliver().code == 111


def test_a_mask_that_is_no_octal_number_defers(home: Home) -> None:
    (home.qmail / "control" / "patrn").write_text("028\n")
    assert home.deliver() == (111, b"", b"control/patrn is no octal number: 028\n")


def test_a_sticky_home_defers_and_delivers_again_later(home: Home) -> None:
    home.folder.chmod(0o1755)
    words = b"Home directory is sticky: user is editing his .qmail file. (#4.2.1)\n"
    assert home.deliver() == (111, b"", words)
    home.folder.chmod(0o755)
    assert home.deliver() == (0, b"did 1+0+0\n", b"")


def test_a_fifo_is_no_qmail_file(home: Home) -> None:
    os.mkfifo(home.folder / ".qmail")
    assert home.deliver() == (0, b"did 1+0+0\n", b"")


# -- loops ---------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [0, 1, 65534, 65535, 65536, 65537, 65500, 200_000])
def test_a_loop_is_seen_wherever_the_line_stands(home: Home, before: int) -> None:
    header = (b"X: " + b"y" * 70 + b"\n") * (before // 74) + b"Z" * (before % 74) + b"\n" * bool(before % 74)
    result = home.deliver(message=header + b"Delivered-To: bill@heaven.af.mil\n\nbody\n")
    words = b"This message is looping: it already has my Delivered-To line. (#5.4.6)\n"
    assert result == (100, b"", words)
    assert not (home.folder / "Mailbox").exists()


def test_the_body_is_no_loop_wherever_it_begins(home: Home) -> None:
    for length in range(65520, 65540, 3):
        body = b"X" * length + b"\n\nDelivered-To: bill@heaven.af.mil\n"
        assert home.deliver(message=body).code == 0


# -- programs ------------------------------------------------------------------------------


def test_a_program_killed_by_a_signal_defers(home: Home) -> None:
    home.write(".qmail", "|kill -9 $$\n./Mailbox\n")
    assert home.deliver() == (111, b"", b"Aack, child crashed. (#4.3.0)\n")
    assert not (home.folder / "Mailbox").exists()


HARD = (64, 65, 70, 76, 77, 78, 100, 112)


@pytest.mark.parametrize("code", [0, 1, 63, 66, 69, 71, 75, 79, 99, 101, 111, 113, 255, *HARD])
def test_exit_codes_of_programs(home: Home, code: int) -> None:
    home.write(".qmail", f"|exit {code}\n./Mailbox\n")
    expected = 0 if code in (0, 99) else 100 if code in HARD else 111
    assert home.deliver().code == expected
    assert (home.folder / "Mailbox").exists() == (code == 0)


def test_what_comes_before_a_failure_is_done_and_what_comes_after_is_not(home: Home) -> None:
    home.write(".qmail", "./first\n|exit 100\n./second\n&sue@x.y\n")
    assert home.deliver(more={"QMAILQUEUE": "/bin/false"}) == (100, b"", b"")
    assert (home.folder / "first").exists() and not (home.folder / "second").exists()


def test_each_program_reads_the_message_from_its_beginning(home: Home) -> None:
    home.write(".qmail", "|cat >a\n|head -c 3 >b\n|cat >c\n./Mailbox\n")
    assert home.deliver() == (0, b"did 1+0+3\n", b"")
    assert home.read("a") == home.read("c") == MESSAGE
    assert home.read("b") == MESSAGE[:3]
    assert home.read("Mailbox").endswith(MESSAGE + b"\n")


def test_a_program_has_the_descriptors_and_signals_of_any_program(home: Home) -> None:
    home.write(".qmail", "|ls /proc/self/fd >fds; cat /proc/self/status >signals; umask >umask\n")
    assert home.deliver().code == 0
    assert home.read("fds").split() == [b"0", b"1", b"2", b"3"]  # 3 is the listing's own
    signals = dict(line.split()[:2] for line in home.read("signals").splitlines() if line.startswith(b"Sig"))
    assert signals[b"SigIgn:"] == signals[b"SigBlk:"] == signals[b"SigCgt:"] == b"0" * 16
    assert home.read("umask") == b"0077\n"


def test_a_program_in_the_background_outlives_the_delivery(home: Home) -> None:
    home.write(".qmail", "|(while ! test -e go; do sleep 0.01; done; touch gone) >/dev/null 2>&1 &\n")
    assert home.deliver() == (0, b"did 0+0+1\n", b"")
    (home.folder / "go").touch()
    until((home.folder / "gone").exists)


def test_a_program_is_run_in_the_home_with_all_variables(home: Home) -> None:
    home.write(".qmail-list-default", "|pwd >where; env >env\n")
    assert home.deliver("list-A.b-C", sender="a b@c", more={"KEPT": "yes"}).code == 0
    assert home.read("where") == bytes(home.folder) + b"\n"
    found = dict(line.split(b"=", 1) for line in home.read("env").splitlines() if b"=" in line)
    assert found[b"KEPT"] == b"yes"
    assert found[b"DEFAULT"] == b"A.b-C"
    assert (found[b"EXT"], found[b"EXT2"], found[b"EXT3"], found[b"EXT4"]) == (b"list-A.b-C", b"A.b-C", b"C", b"")
    assert (found[b"HOST2"], found[b"HOST3"], found[b"HOST4"]) == (b"heaven.af", b"heaven", b"heaven")
    assert found[b"RPLINE"] == b'Return-Path: <"a b"@c>'
    assert found[b"UFLINE"].startswith(b"From a-b@c ")


# -- lines of a .qmail file ----------------------------------------------------------------


def test_a_nul_ends_what_a_line_means_but_not_what_kind_it_is(home: Home) -> None:
    run("maildirmake", "Maildir", cwd=home.folder)
    home.write(".qmail", "./box\0more\n./Maildir\0x/\n+list\0x\n|echo never\n")
    result = home.deliver()
    assert result == (111, b"", b"Uh-oh: .qmail has prog delivery but has x bit set. (#4.7.0)\n")
    assert (home.folder / "box").exists()
    assert len(list((home.folder / "Maildir" / "new").iterdir())) == 1


def test_forwards_leave_last_and_as_one_message(home: Home, tmp_path: Path) -> None:
    queue = tmp_path / "queue"
    queue.write_text(
        f"#!/bin/sh\ntest -e {home.folder}/ran || exit 81\ncat >{tmp_path}/m; exec <&1; cat >{tmp_path}/e\n"
    )
    queue.chmod(0o755)
    home.write(".qmail-list", "&sue@x.y\nbob\n|touch ran\n&jim\0junk\n")
    home.write(".qmail-list-owner", "")
    result = home.deliver("list", more={"QMAILQUEUE": str(queue)})
    assert result.code == 0, result
    assert result.out.startswith(b"did 0+3+1\nqp ")
    assert (tmp_path / "m").read_bytes() == b"Delivered-To: bill-list@heaven.af.mil\n" + MESSAGE
    assert (tmp_path / "e").read_bytes() == b"Fbill-list-owner@heaven.af.mil\0Tsue@x.y\0Tbob\0Tjim\0\0"


def test_a_torn_mbox_is_appended_to_as_ever(home: Home) -> None:
    home.write("Mailbox", "From sue Thu Jan  1 00:00:00 2026\nhal", 0o600)
    assert home.deliver().code == 0
    assert home.read("Mailbox").startswith(b"From sue Thu Jan  1 00:00:00 2026\nhalFrom joe@irs.gov ")


def test_a_mailbox_is_private(home: Home) -> None:
    assert home.deliver().code == 0
    assert stat.S_IMODE((home.folder / "Mailbox").stat().st_mode) == 0o600


def test_it_starts_quickly() -> None:
    """What it imports besides the interpreter's own is little."""
    import subprocess

    code = "import sys; before = set(sys.modules); import mta.local.local; print(len(set(sys.modules) - before))"
    done = subprocess.run([BIN / "python", "-c", code], capture_output=True, check=True)
    assert int(done.stdout) < 40
