"""Programs of ours put messages into the queue, whoever takes them."""

from __future__ import annotations

import os
import resource
import signal
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import BIN
from queues import Queue, Serve
from until import until

from mta.queue import codes
from mta.queue.submit import Submission
from supervise.program import find

LARGE = b"0123456789abcdef" * (40 << 10)  # 640 KiB: it streams

Script = Callable[[str], Path]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """Make QMAILQUEUE a shell script, which may keep things in the folder $KEEP."""

    def make(text: str) -> Path:
        path = tmp_path / "qq"
        path.write_text("#!/bin/sh\n" + textwrap.dedent(text))
        path.chmod(0o755)
        monkeypatch.setenv("QMAILQUEUE", str(path))
        monkeypatch.setenv("KEEP", str(tmp_path))
        return path

    return make


def submission(message: bytes = b"Subject: hi\n\n") -> Submission:
    made = Submission()
    made.write(message)
    return made


@pytest.mark.parametrize("message", [b"", b"Subject: hi\n\nhello\n", LARGE], ids=["empty", "small", "large"])
@pytest.mark.parametrize("served", [True, False], ids=["server", "program"])
def test_a_message_is_queued_whole(queue: Queue, serve: Serve, message: bytes, served: bool) -> None:
    if served:
        serve(queue)
    made = Submission()
    for at in range(0, len(message), 5000):
        made.write(message[at : at + 5000])
    assert made.send(b"joe@irs.gov", [b"bill", b"sue"]) == b""
    [number] = queue.numbers()
    assert queue.message(number).partition(b"\n")[2] == message
    assert queue.envelope(number) == (os.getuid(), made.pid, b"joe@irs.gov", [b"bill", b"sue"])
    assert b"(qmail %d invoked by uid %d)" % (made.pid, os.getuid()) in queue.message(number)


@pytest.mark.parametrize("served", [True, False], ids=["server", "program"])
def test_many_recipients_need_little_memory(queue: Queue, serve: Serve, served: bool) -> None:
    if served:
        serve(queue)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert submission().send(b"joe", (b"recipient%d@irs.gov" % n for n in range(100_000))) == b""
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 << 10
    [number] = queue.numbers()
    assert len(queue.envelope(number)[3]) == 100_000


@pytest.mark.parametrize("served", [True, False], ids=["server", "program"])
@pytest.mark.parametrize("message", [b"small", LARGE], ids=["small", "large"])
def test_what_is_abandoned_is_not_queued(queue: Queue, serve: Serve, served: bool, message: bytes) -> None:
    if served:
        serve(queue)
    before = len(os.listdir("/proc/self/fd"))
    made = submission(message)
    made.abandon()
    made.write(b"nobody hears this")
    assert queue.is_empty()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("served", [True, False], ids=["server", "program"])
def test_a_submitter_that_dies_half_way_leaves_nothing(queue: Queue, serve: Serve, served: bool) -> None:
    if served:
        serve(queue)
    pid = os.fork()
    if pid == 0:
        try:
            submission(LARGE)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    if served:
        assert submission().send(b"joe", [b"bill"]) == b""  # the server is alive and well
        assert len(queue.numbers()) == 1
    until(lambda: len(queue.numbers("mess")) == served and len(queue.numbers()) == served)


@pytest.mark.parametrize("served", [True, False], ids=["server", "program"])
def test_the_exit_code_becomes_words(queue: Queue, serve: Serve, served: bool) -> None:
    if served:
        serve(queue)
    assert submission().send(b"x" * 1003, []) == b"Denvelope address too long for qq (#5.1.3)"
    (queue.path / "todo").rmdir()
    assert submission().send(b"joe", []) == b"Zqq trouble creating files in queue (#4.3.0)"


def test_many_submissions_leak_no_descriptor(queue: Queue, serve: Serve) -> None:
    serve(queue)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        assert submission().send(b"joe", [b"bill"]) == b""
        assert submission().send(b"x" * 1003, [])[:1] == b"D"
    assert len(os.listdir("/proc/self/fd")) == before


# -- QMAILQUEUE --------------------------------------------------------------------------------


def test_qmailqueue_gets_the_message_on_0_and_the_envelope_on_1(queue: Queue, script: Script, tmp_path: Path) -> None:
    script("cat > $KEEP/message; cat <&1 > $KEEP/envelope; pwd > $KEEP/folder; echo $$ > $KEEP/pid")
    made = submission(LARGE)
    assert made.send(b"joe", [b"bill"]) == b""
    assert (tmp_path / "message").read_bytes() == LARGE
    assert (tmp_path / "envelope").read_bytes() == b"Fjoe\0Tbill\0\0"
    assert (tmp_path / "folder").read_text().strip() == str(queue.home)
    assert int((tmp_path / "pid").read_text()) == made.pid
    assert queue.is_empty()


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("exit 0", b""),
        ("exit 31", b"Dmail server permanently rejected message (#5.3.0)"),
        ("exit 40", b"Dqq permanent problem (#5.3.0)"),
        ("exit 41", b"Zqq temporary problem (#4.3.0)"),
        ("exit 120", b"Zunable to exec qq (#4.3.0)"),
        ("kill -9 $$", b"Zqq crashed (#4.3.0)"),
        ("printf 'Dno (#5.7.1)' >&6; exit 82", b"Dno (#5.7.1)"),
        ("printf 'Dx' >&6; exit 82", b"Zqq temporary problem (#4.3.0)"),
        ("exit 82", b"Zqq temporary problem (#4.3.0)"),
        ("printf 'Dno' >&6; exit 83", b"Zqq temporary problem (#4.3.0)"),
        ("printf '%01000d' 0 >&6; exit 82", b"0" * 255),
    ],
)
def test_qmailqueue_decides(queue: Queue, script: Script, text: str, verdict: bytes) -> None:
    script("cat > /dev/null; cat <&1 > /dev/null; " + text)
    assert submission().send(b"joe", [b"bill"]) == verdict


@pytest.mark.parametrize(
    ("text", "verdict"),
    [("exit 31", b"Dmail server permanently rejected message (#5.3.0)"), ("exit 0", codes.TEXTS[54])],
)
def test_a_program_that_does_not_read_is_heard_and_kills_nobody(
    queue: Queue, script: Script, text: str, verdict: bytes
) -> None:
    script(text)
    before = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        assert submission(LARGE).send(b"joe", (b"recipient%d" % n for n in range(20_000))) == verdict
        assert signal.getsignal(signal.SIGPIPE) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGPIPE, before)


@pytest.mark.parametrize("name", ["", "/nonexistent/qq", "nonexistent", "control/me", "/"])
def test_a_qmailqueue_that_cannot_run_is_a_temporary_failure(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("QMAILQUEUE", name)
    assert submission().send(b"joe", []) == b"Zunable to exec qq (#4.3.0)"
    assert capfd.readouterr().err == ""


def test_qmailqueue_is_looked_for_in_the_home_and_not_along_path(
    queue: Queue, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = script("exit 31")
    (queue.home / "bin").mkdir()
    path.rename(queue.home / "bin/qq")
    monkeypatch.setenv("QMAILQUEUE", "bin/qq")
    assert submission().send(b"joe", []) == b"Dmail server permanently rejected message (#5.3.0)"
    monkeypatch.setenv("QMAILQUEUE", "qq")
    monkeypatch.setenv("PATH", f"{queue.home}/bin:/bin")
    assert submission().send(b"joe", []) == b"Zunable to exec qq (#4.3.0)"


def test_a_home_without_its_folder_is_trouble_in_the_home(
    queue: Queue, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    script("exit 0")
    monkeypatch.setenv("QMAILHOME", "/nonexistent")
    assert submission().send(b"joe", []) == b"Zqq trouble in home directory (#4.3.0)"


def test_qmailqueue_may_be_a_command_of_ours(queue: Queue, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(queue)
    monkeypatch.setenv("QMAILQUEUE", str(BIN / "qmail-queue"))
    assert submission().send(b"joe", [b"bill"]) == b""
    assert len(queue.numbers()) == 1


def test_a_qmail_queue_that_a_site_put_into_its_home_is_used(queue: Queue, serve: Serve, script: Script) -> None:
    path = script("exit 33")
    (queue.home / "bin").mkdir()
    path.rename(queue.home / "bin/qmail-queue")
    del os.environ["QMAILQUEUE"]
    serve(queue)
    assert submission().send(b"joe", [b"bill"]) == b"Dqq permanent problem (#5.3.0)"


def test_no_more_descriptors_is_a_temporary_failure(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    made = submission()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    find(b"qmail-queue")  # import what it needs
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 1, hard))
        assert made.send(b"joe", [])[:1] == b"Z"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert queue.is_empty()


@pytest.mark.parametrize("served", [True, False], ids=["server", "program"])
def test_recipients_that_come_to_no_end_queue_nothing(queue: Queue, serve: Serve, served: bool) -> None:
    class GoneError(Exception):
        pass

    def coming(count: int) -> Iterator[bytes]:
        for number in range(count):
            yield b"u%d@irs.gov" % number
        raise GoneError

    if served:
        serve(queue)
    before = os.listdir("/proc/self/fd")
    for count in 0, 1, 100_000:
        with pytest.raises(GoneError):
            submission(LARGE).send(b"joe", coming(count))
        until(queue.is_empty)
    assert os.listdir("/proc/self/fd") == before
