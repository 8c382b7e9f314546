"""qmail-queue: a message on descriptor 0, an envelope on 1."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess

import pytest
from commands import BIN, environment
from queues import Queue, Serve
from until import until

from mta.home import account
from mta.queue import layout
from mta.queue.queue import acting_as

ENVELOPE = b"Fjoe@irs.gov\0Tbill\0\0"
NOBODY = 65534


def start_queue(queue: Queue, *, user: int | None = None) -> tuple[subprocess.Popen[bytes], int, int]:
    """qmail-queue, with the ends of the pipes to write the message and the envelope to."""
    message, to_message = os.pipe()
    envelope, to_envelope = os.pipe()
    become = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    process = subprocess.Popen(
        [BIN / "qmail-queue"],
        stdin=message,
        stdout=envelope,
        stderr=subprocess.PIPE,
        env=environment(queue.env),
        **become,  # type: ignore[call-overload]
    )
    os.close(message)
    os.close(envelope)
    return process, to_message, to_envelope


def qmail_queue(queue: Queue, message: bytes = b"hi\n", envelope: bytes = ENVELOPE, *, user: int | None = None) -> int:
    """Run qmail-queue with a small message; its exit code.  It is silent unless nobody writes the queue for us."""
    process, to_message, to_envelope = start_queue(queue, user=user)
    for fd, data in ((to_message, message), (to_envelope, envelope)):
        os.write(fd, data)
        os.close(fd)
    assert process.stderr
    said = process.stderr.read()
    process.stderr.close()
    code = process.wait(20)
    nobody = b"qmail-queue: fatal: qmail-queued does not answer on %s/run/submit\n" % os.fsencode(queue.home)
    assert said == (nobody if code == 62 and (queue.home / "queue").is_dir() else b"")
    return code


@pytest.mark.parametrize("served", [True, False], ids=["server", "alone"])
def test_a_message_is_queued(queue: Queue, serve: Serve, served: bool) -> None:
    if served:
        serve(queue)
    assert qmail_queue(queue) == 0
    [number] = queue.numbers()
    assert layout.state_of(number) == layout.QUEUED
    assert queue.message(number).endswith(b"\nhi\n")
    assert queue.envelope(number)[2:] == (b"joe@irs.gov", [b"bill"])


@pytest.mark.parametrize("served", [True, False], ids=["server", "alone"])
@pytest.mark.parametrize(("envelope", "code"), [(b"", 54), (b"Xjoe\0\0", 91), (b"F%s\0\0" % (b"x" * 1003), 11)])
def test_the_exit_code_tells_what_is_wrong(
    queue: Queue, serve: Serve, served: bool, envelope: bytes, code: int
) -> None:
    if served:
        serve(queue)
    assert qmail_queue(queue, envelope=envelope) == code
    assert queue.is_empty()


def test_what_a_dead_server_left_does_not_matter(queue: Queue, serve: Serve) -> None:
    server = serve(queue)
    server.kill()
    server.wait()
    assert (queue.home / "run/submit").exists()
    assert qmail_queue(queue) == 0


def test_closed_descriptors_are_read_errors(queue: Queue, serve: Serve) -> None:
    for _ in range(2):
        closed = subprocess.run(["sh", "-c", "exec qmail-queue <&- >&-"], env=environment(queue.env), check=False)
        assert closed.returncode == 54
        serve(queue)
    assert queue.is_empty()


def test_a_home_or_queue_that_is_missing_has_its_own_code(queue: Queue) -> None:
    shutil.rmtree(queue.path)
    assert qmail_queue(queue) == 62
    shutil.rmtree(queue.home)
    assert qmail_queue(queue) == 61


def test_an_interrupt_from_the_terminal_does_not_break_off_a_message(queue: Queue) -> None:
    process, to_message, to_envelope = start_queue(queue)
    os.write(to_message, b"Subject: hi\n")
    until(lambda: queue.numbers("mess"))
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        process.send_signal(number)
    os.close(to_message)
    os.write(to_envelope, ENVELOPE)
    os.close(to_envelope)
    assert process.wait(20) == 0
    assert len(queue.numbers()) == 1


def test_killing_it_leaves_a_message_that_is_arriving(queue: Queue) -> None:
    process, to_message, to_envelope = start_queue(queue)
    os.write(to_message, b"Subject: hi\n")
    until(lambda: queue.numbers("mess"))
    process.kill()
    process.wait()
    [number] = queue.numbers("mess")
    assert layout.state_of(number) == layout.ARRIVING
    os.close(to_message)
    os.close(to_envelope)


@pytest.mark.root
@pytest.mark.parametrize(
    ("role", "words"),
    [(b"alias", b"by alias"), (b"qmaild", b"from network"), (b"qmails", b"for bounce"), (b"", b"by uid 65534")],
)
def test_anybody_submits_through_the_server_and_is_called_by_name(
    shared: Queue, serve: Serve, role: bytes, words: bytes
) -> None:
    serve(shared)
    uid = account(role).uid if role else NOBODY
    assert qmail_queue(shared, user=uid) == 0
    [number] = shared.numbers()
    assert b" invoked %s); " % words in shared.message(number)
    assert shared.envelope(number)[0] == uid


@pytest.mark.root
def test_the_files_belong_to_qmailq_and_its_group(shared: Queue, serve: Serve) -> None:
    server = serve(shared)
    socket = (shared.home / "run/submit").stat()
    assert (socket.st_uid, socket.st_mode & 0o777) == (account(b"qmailq").uid, 0o666)
    assert qmail_queue(shared, user=NOBODY) == 0
    server.terminate()
    server.wait(20)
    assert qmail_queue(shared) == 0  # root does without a server
    assert len(shared.numbers()) == 2
    for name in ("mess", "intd", "todo"):
        for number in shared.numbers(name):
            [path] = (shared.path / name).rglob(str(number))
            file = path.stat()
            assert (file.st_uid, file.st_gid) == (account(b"qmailq").uid, account(b"qmailq").gid)
            assert file.st_mode & 0o777 == 0o644


@pytest.mark.root
def test_without_a_server_only_root_and_the_owner_can_submit(shared: Queue) -> None:
    assert qmail_queue(shared, user=NOBODY) == 62
    assert qmail_queue(shared, user=account(b"qmaild").uid) == 62
    os.chmod(shared.path, 0o755)  # even then
    assert qmail_queue(shared, user=NOBODY) == 62
    assert shared.is_empty()
    assert qmail_queue(shared, user=account(b"qmailq").uid) == 0
    [number] = shared.numbers()
    assert b"invoked by uid %d)" % account(b"qmailq").uid in shared.message(number)


@pytest.mark.root
def test_root_that_acts_for_the_owner_is_root_again_afterwards() -> None:
    owner = account(b"qmailq")
    with acting_as(owner.uid, owner.gid):
        acting = os.geteuid(), os.getegid()
    assert acting == (owner.uid, owner.gid)
    assert (os.geteuid(), os.getegid()) == (0, 0)
