from __future__ import annotations

import fcntl
import mailbox
import os
import resource
import signal
from contextlib import closing
from pathlib import Path

import pytest
from crashes import crashes_of
from hypothesis import given
from hypothesis import strategies as st
from until import until

from mta.mailbox import mbox
from supervise.errors import Temporary

HEAD = b"From joe@irs.gov Thu Jan 01 00:00:00 2026\nReturn-Path: <joe@irs.gov>\n"
OLD = b"From sue@x.y Thu Jan 01 00:00:00 2026\nSubject: old\n\nold\n\n"


def append(box: Path, path: Path, content: bytes) -> None:
    """Deliver *content*, which is put at *path*, to *box*."""
    path.write_bytes(content)
    with path.open("rb") as message:
        mbox.deliver(bytes(box), HEAD, message.fileno())


def simply_quoted(content: bytes) -> bytes:
    """The same by lines, without regard to memory."""
    lines = content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return b"".join((b">" if line.lstrip(b">").startswith(b"From ") else b"") + line + b"\n" for line in lines) + b"\n"


@given(
    st.lists(
        st.sampled_from([b"From ", b"From", b">", b">>From x", b"\n", b"a", b" ", b"\n\n", b"x" * 7]), max_size=30
    ),
    st.integers(8, 40),
)
def test_every_from_line_is_quoted_wherever_a_read_ends(parts: list[bytes], size: int) -> None:
    content = b"".join(parts)
    fd = os.memfd_create("message")
    os.write(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    longest = max(map(len, content.split(b"\n"))) + 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mbox, "chunks", lambda source: iter(lambda: os.read(source, max(size, longest)), b""))
        assert b"".join(mbox.quoted(fd)) == simply_quoted(content)
    os.close(fd)


def test_a_line_longer_than_any_buffer_goes_through(tmp_path: Path) -> None:
    content = b"x" * 200_000 + b"From here\n" + b">" * 10 + b"From there\nFrom the end"
    append(tmp_path / "Mailbox", tmp_path / "message", content)
    assert (tmp_path / "Mailbox").read_bytes() == HEAD + simply_quoted(content)


def test_a_message_is_appended_and_the_file_made_for_its_owner_alone(tmp_path: Path) -> None:
    box = tmp_path / "Mailbox"
    append(box, tmp_path / "message", b"Subject: a\n\na\n")
    append(box, tmp_path / "message", b"")
    assert box.read_bytes() == HEAD + b"Subject: a\n\na\n\n" + HEAD + b"\n"
    assert box.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("body", [b"Subject: new\n\nnew\n", b"Subject: new\n\n" + b"new line\n" * 30_000])
def test_after_a_kill_the_old_messages_are_whole_and_the_new_one_is_whole_or_cut(tmp_path: Path, body: bytes) -> None:
    box = tmp_path / "Mailbox"

    def deliver() -> None:
        append(box, tmp_path / "message", body)

    whole = OLD + HEAD + body + b"\n"
    for _ in crashes_of(deliver, lambda: box.write_bytes(OLD)):  # type: ignore[arg-type, return-value]
        torn = box.read_bytes()
        assert torn.startswith(OLD) and whole.startswith(torn)
        deliver()  # the retry, as after every original: it is appended to what is there
        assert box.read_bytes() == torn + HEAD + body + b"\n"
        with closing(mailbox.mbox(str(box))) as found:
            assert found[0].get_payload() == "old\n"
    assert torn == whole


def test_a_message_that_does_not_fit_is_cut_off_again(tmp_path: Path) -> None:
    box = tmp_path / "Mailbox"
    box.write_bytes(OLD)
    (tmp_path / "message").write_bytes(b"x\n" * 100_000)
    pid = os.fork()
    if not pid:
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (70_000, 70_000))
            mbox.deliver(bytes(box), HEAD, os.open(tmp_path / "message", os.O_RDONLY))
        except Temporary as trouble:
            os._exit(7 if trouble.line == b"Unable to write %s: file too big. (#4.3.0)" % bytes(box) else 8)
        finally:
            os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert box.read_bytes() == OLD


def test_an_unreadable_message_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    box = tmp_path / "Mailbox"
    box.write_bytes(OLD)
    folder = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(Temporary, match="Unable to read message: is a directory"):
        mbox.deliver(bytes(box), HEAD, folder)
    os.close(folder)
    assert box.read_bytes() == OLD


def test_a_lock_is_awaited_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mbox, "PATIENCE", 1)
    box = tmp_path / "Mailbox"
    box.write_bytes(OLD)
    with box.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(Temporary, match="File has been locked for 30 seconds straight"):
            append(box, tmp_path / "message", b"x\n")
    assert box.read_bytes() == OLD
    append(box, tmp_path / "message", b"x\n")
    assert box.read_bytes() == OLD + HEAD + b"x\n\n"


def test_a_delivery_that_waited_goes_to_the_file_that_is_there_then(tmp_path: Path) -> None:
    """maildir2mbox puts another one in its place while it has the lock."""
    box = tmp_path / "Mailbox"
    box.write_bytes(OLD)
    with box.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        pid = os.fork()
        if not pid:
            os.close(other.fileno())  # the lock is not ours
            try:
                append(box, tmp_path / "message", b"x\n")
                os._exit(0)
            finally:
                os._exit(1)
        waiting = f"-> FLOCK  ADVISORY  WRITE {pid} "
        until(lambda: waiting in Path("/proc/locks").read_text(), what="the delivery waits for the lock")
        (tmp_path / "other").write_bytes(OLD + OLD)
        (tmp_path / "other").rename(box)
    assert os.waitpid(pid, 0)[1] == 0
    assert box.read_bytes() == OLD + OLD + HEAD + b"x\n\n"


def test_deliveries_at_the_same_moment_do_not_mix(tmp_path: Path) -> None:
    box = tmp_path / "Mailbox"
    children = []
    for number in range(8):
        content = b"Subject: %d\n\n" % number + b"%d\n" % number * 50_000
        pid = os.fork()
        if not pid:
            try:
                append(box, tmp_path / f"message{number}", content)
                os._exit(0)
            finally:
                os._exit(1)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 8
    with closing(mailbox.mbox(str(box))) as found:
        assert sorted(message["Subject"] for message in found) == list("01234567")
        for message in found:
            assert message.get_payload() == f"{message['Subject']}\n" * 50_000


def test_a_file_that_cannot_be_opened_is_deferred(tmp_path: Path) -> None:
    with pytest.raises(Temporary, match="file does not exist"):
        append(tmp_path / "no" / "Mailbox", tmp_path / "message", b"x\n")
