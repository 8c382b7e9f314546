"""qmail-queued, the submission server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from commands import environment, run
from queues import Queue, Serve
from until import until

from mta.queue import codes, handover, queued
from mta.queue.submit import Submission


class HalfWay:
    """A client that has handed over its descriptors and keeps the other ends."""

    def __init__(self) -> None:
        connection = handover.connect()
        assert connection is not None
        self.connection = connection
        message, self.message = os.pipe()
        envelope, self.envelope = os.pipe()
        handover.hand_over(connection, message, envelope)
        os.close(message)
        os.close(envelope)

    def finish(self, message: bytes) -> tuple[int, int] | None:
        """Send the rest; the answer."""
        os.write(self.message, message)
        os.close(self.message)
        os.write(self.envelope, b"Fjoe\0Tbill\0\0")
        os.close(self.envelope)
        return self.answer()

    def answer(self) -> tuple[int, int] | None:
        with self.connection:
            return handover.answer(self.connection)

    def leave(self) -> None:
        """Go in the midst of it."""
        self.connection.close()
        os.close(self.message)
        os.close(self.envelope)


def submit(text: bytes = b"hi\n") -> bytes:
    submission = Submission()
    submission.write(text)
    return submission.send(b"joe@irs.gov", [b"bill"])


def workers(server: subprocess.Popen[bytes]) -> list[int]:
    """Its workers, which are the children of its nursery."""
    nurseries = psutil.Process(server.pid).children()
    return [worker.pid for nursery in nurseries for worker in nursery.children()]


def is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)


def test_many_clients_at_once_lose_and_mix_nothing(queue: Queue, serve: Serve) -> None:
    serve(queue)
    clients, messages = 8, 50
    pids = []
    for client in range(clients):
        pid = os.fork()
        pids.append(pid)
        if pid == 0:
            bad = 1
            try:
                for number in range(messages):
                    submission = Submission()
                    submission.write(b"%d-%d\n" % (client, number) * (1 + 20 * number))
                    assert submission.send(b"joe", [b"to-%d-%d" % (client, number)]) == b""
                bad = 0
            finally:
                os._exit(bad)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0] * clients
    assert queue.submitted() == {
        b"%d-%d\n" % (client, number) * (1 + 20 * number): [b"to-%d-%d" % (client, number)]
        for client in range(clients)
        for number in range(messages)
    }


def test_one_worker_serves_one_client_after_another(queue: Queue, serve: Serve) -> None:
    server = serve(queue)
    for number in range(10):
        assert submit(b"%d\n" % number) == b""
    assert len(workers(server)) <= 2  # a worker may still be putting things back when the next client comes
    assert len(queue.numbers()) == 10


def test_a_client_that_stops_half_way_keeps_nobody_else_waiting(queue: Queue, serve: Serve) -> None:
    serve(queue)
    slow = [HalfWay() for _ in range(5)]
    assert submit() == b""
    for client in slow:
        answer = client.finish(b"slow\n")
        assert answer is not None and answer[0] == 0
    assert len(queue.numbers()) == 6


def test_a_client_that_says_nothing_takes_no_worker_and_is_cut_off(
    queue: Queue, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(queue, "-c", "1")
    silent = [handover.connect() for _ in range(20)]
    assert submit() == b""
    assert len(workers(server)) == 1
    assert queued.SILENCE == 10
    for connection in silent:
        assert connection is not None
        connection.close()
    assert submit() == b""


def test_silence_is_measured_from_the_beginning(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queued, "SILENCE", 0.2)
    (queue.home / "run").mkdir(exist_ok=True)
    monkeypatch.chdir(queue.home)
    pid = os.fork()
    if pid == 0:
        try:
            listener = queued.listen()
            os.chdir("queue")
            queued.Server(listener, 1, {}).serve()
        finally:
            os._exit(0)
    until(lambda: (queue.home / "run/submit").exists())
    try:
        connection = until(handover.connect)
        assert connection is not None
        started = time.monotonic()
        assert handover.answer(connection) is None
        assert 0.1 < time.monotonic() - started < 5
        connection.close()
        assert submit() == b""
    finally:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)


def test_when_all_are_busy_the_next_waits_for_its_turn(queue: Queue, serve: Serve) -> None:
    server = serve(queue, "-c", "2")
    first, second, third = HalfWay(), HalfWay(), HalfWay()
    until(lambda: len(queue.numbers("mess")) == 2)
    third.connection.settimeout(0.1)
    with pytest.raises(TimeoutError):
        third.connection.recv(1)
    third.connection.settimeout(None)
    for client in (first, second, third):
        answer = client.finish(b"hi\n")
        assert answer is not None and answer[0] == 0
    assert len(workers(server)) <= 2
    assert len(queue.numbers()) == 3


def test_a_worker_that_is_killed_is_told_and_replaced(queue: Queue, serve: Serve) -> None:
    server = serve(queue)
    client = HalfWay()
    os.write(client.message, b"Subject: hi\n")
    until(lambda: queue.numbers("mess"))
    [victim] = workers(server)
    os.kill(victim, signal.SIGKILL)
    assert client.answer() is None
    client.leave()
    assert not queue.numbers()
    assert submit() == b""
    assert len(queue.numbers()) == 1
    server.terminate()
    assert server.wait(20) == 0
    assert server.stderr and server.stderr.read() == b"qmail-queued: warning: worker %d died of signal 9\n" % victim


def test_a_worker_that_is_killed_becomes_a_temporary_error_in_words(queue: Queue, serve: Serve) -> None:
    server = serve(queue)
    submission = Submission()
    submission.write(b"x" * (1 << 20))
    [victim] = until(lambda: workers(server))
    os.kill(victim, signal.SIGKILL)
    assert submission.send(b"joe", [b"bill"]) == b"Zqq crashed (#4.3.0)"
    client = subprocess.Popen(
        ["qmail-queue"], stdin=subprocess.PIPE, env=environment(queue.env), stdout=subprocess.DEVNULL
    )
    [victim] = until(lambda: workers(server))
    os.kill(victim, signal.SIGKILL)
    assert client.wait(20) == codes.BUG
    assert client.stdin
    client.stdin.close()


def test_term_finishes_what_is_under_way(queue: Queue, serve: Serve) -> None:
    server = serve(queue)
    client = HalfWay()
    until(lambda: queue.numbers("mess"))
    server.terminate()
    until(lambda: not (queue.home / "run/submit").exists())
    assert handover.connect() is None
    assert server.poll() is None
    answer = client.finish(b"hi\n")
    assert answer is not None and answer[0] == 0
    assert server.wait(20) == 0
    assert len(queue.numbers()) == 1


def test_after_term_a_client_that_dawdles_keeps_the_next_server_waiting_for_seconds_only(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queued, "PARTING", 0.2)
    pid = os.fork()
    if pid == 0:
        os._exit(queued.main([b"qmail-queued"]))
    until(lambda: (queue.home / "run/submit").exists())
    client = HalfWay()
    until(lambda: queue.numbers("mess"))
    os.kill(pid, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    answer = client.finish(b"hi\n")
    assert answer is not None and answer[0] == 0
    assert len(queue.numbers()) == 1


def test_killing_the_server_does_not_break_off_what_is_under_way(queue: Queue, serve: Serve) -> None:
    server = serve(queue)
    client = HalfWay()
    until(lambda: queue.numbers("mess"))
    [worker] = workers(server)
    server.kill()
    server.wait()
    serve(queue)  # takes the dead one's place
    answer = client.finish(b"hi\n")
    assert answer == (0, server.pid + 1)
    assert submit() == b""
    until(lambda: not is_alive(worker))  # nobody has jobs for it any more


def test_each_message_has_a_number_of_its_own_whoever_takes_it(queue: Queue, serve: Serve) -> None:
    server = serve(queue)
    answers = [HalfWay().finish(b"hi\n") for _ in range(3)]
    assert answers == [(0, server.pid + number) for number in (1, 2, 3)]


def test_a_queue_that_takes_the_place_of_another_gets_what_comes_from_then_on(
    queue: Queue, serve: Serve, tmp_path: Path
) -> None:
    serve(queue)
    assert submit() == b""
    queue.path.rename(tmp_path / "old")
    assert submit() == codes.TEXTS[codes.QUEUE]
    Queue(tmp_path / "other").path.rename(queue.path)
    assert submit() == b""
    assert len(queue.numbers()) == len(list((tmp_path / "old" / "todo").iterdir())) == 1


def test_one_server_runs_in_a_home(queue: Queue, serve: Serve) -> None:
    serve(queue)
    second = run("qmail-queued", env=queue.env)
    assert (second.code, second.err) == (111, b"qmail-queued: fatal: another qmail-queued is running\n")
    assert submit() == b""


def test_two_homes_have_two_servers(queue: Queue, serve: Serve, tmp_path: Path) -> None:
    other = Queue(tmp_path / "other")
    serve(queue)
    serve(other)
    for home, text in ((queue, b"one\n"), (other, b"two\n"), (queue, b"three\n")):
        os.environ["QMAILHOME"] = str(home.home)
        assert submit(text) == b""
    assert sorted(queue.submitted()) == [b"one\n", b"three\n"]
    assert sorted(other.submitted()) == [b"two\n"]


def test_a_home_may_have_a_long_name(tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(tmp_path / ("long" * 40))
    monkeypatch.setenv("QMAILHOME", str(queue.home))
    serve(queue)
    assert submit() == b""
    assert len(queue.numbers()) == 1


def test_the_folder_of_the_socket_is_made_when_it_is_missing(queue: Queue, serve: Serve) -> None:
    (queue.home / "run").rmdir()
    serve(queue)
    assert (queue.home / "run").stat().st_mode & 0o777 == 0o755
    assert submit() == b""


def test_nonsense_from_a_client_hurts_nobody(queue: Queue, serve: Serve) -> None:
    serve(queue)
    folder = os.open(".", os.O_PATH)
    for attached in ([], [0], [0, 1, 2], [folder] * 2):
        connection = handover.connect()
        assert connection is not None
        with connection:
            socket.send_fds(connection, [b"x" * 100], attached)
            answer = handover.answer(connection)
            assert answer is None or answer[0] != 0 or attached == [0, 1, 2]
    os.close(folder)
    for _ in range(3):
        HalfWay().leave()
    assert submit() == b""
    until(lambda: len(queue.numbers("mess")) == len(queue.numbers()) == 1)


@pytest.mark.parametrize("arguments", [("-c", "0"), ("-c", "x"), ("-c",), ("-x",), ("more",)])
def test_wrong_usage_is_told(queue: Queue, arguments: tuple[str, ...]) -> None:
    wrong = run("qmail-queued", *arguments, env=queue.env)
    assert wrong.code == 100
    assert wrong.err.endswith(b"qmail-queued: usage: qmail-queued [-c limit]\n")


def test_a_home_without_a_queue_is_told(tmp_path: Path) -> None:
    missing = run("qmail-queued", env={"QMAILHOME": str(tmp_path)})
    assert missing.code == 111
    assert missing.err == b"qmail-queued: fatal: unable to look at queue: file does not exist\n"


@pytest.mark.root
def test_a_user_can_take_a_quarter_of_the_places_and_the_system_has_the_rest(shared: Queue, serve: Serve) -> None:
    serve(shared, "-c", "4")
    reading, writing = os.pipe()
    greedy = os.fork()
    if greedy == 0:
        try:
            os.setuid(65534)
            clients = [HalfWay() for _ in range(3)]
            os.write(writing, b"%d" % len(clients))
            signal.pause()
        finally:
            os._exit(1)
    try:
        assert os.read(reading, 1) == b"3"
        until(lambda: shared.numbers("mess"))
        for _ in range(5):
            assert submit() == b""
        assert len(shared.numbers("mess")) - len(shared.numbers()) == 1
    finally:
        os.kill(greedy, signal.SIGKILL)
        os.waitpid(greedy, 0)
    until(lambda: len(shared.numbers("mess")) == 5)
    os.close(reading)
    os.close(writing)


@pytest.mark.root
def test_a_user_who_has_too_many_waiting_is_sent_away(shared: Queue, serve: Serve) -> None:
    serve(shared, "-c", "1")
    ready, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        bad = 1
        try:
            os.setuid(65534)
            clients = [HalfWay()]
            os.read(ready, 1)
            clients += [HalfWay() for _ in range(queued.WAITING)]
            assert submit() == b"Zmail server temporarily rejected message (#4.3.0)"
            bad = len(clients) - 1 - queued.WAITING
        finally:
            os._exit(bad)
    until(lambda: shared.numbers("mess"))  # the first is being served, the others will wait
    os.write(go, b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert submit() == b""
    os.close(ready)
    os.close(go)


@pytest.mark.root
def test_all_users_together_leave_a_quarter_to_the_system(shared: Queue, serve: Serve) -> None:
    serve(shared, "-c", "4")
    greedy = []
    for uid in range(65001, 65007):
        pid = os.fork()
        if pid == 0:
            try:
                os.setuid(uid)
                client = HalfWay()
                client.connection.recv(1)
                signal.pause()
            finally:
                os._exit(1)
        greedy.append(pid)
    try:
        until(lambda: len(shared.numbers("mess")) == 3)
        assert submit() == b""
        assert len(shared.numbers("mess")) == 3 + 1
    finally:
        for pid in greedy:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


@pytest.mark.root
def test_knocking_without_end_keeps_nobody_else_out(shared: Queue, serve: Serve) -> None:
    server = serve(shared)
    pids = []
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            try:
                os.setuid(65534)
                while True:
                    handover.connect()
            finally:
                os._exit(1)
        pids.append(pid)
    try:
        for _ in range(3):
            assert submit() == b""
        server.terminate()
        assert server.wait(timeout=queued.SILENCE * 2) == 0
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


@pytest.mark.root
def test_somebody_else_cannot_serve_the_queue(shared: Queue) -> None:
    wrong = run("qmail-queued", env=shared.env, user=65534, cwd="/")
    owner = shared.path.stat().st_uid
    assert (wrong.code, wrong.err) == (111, b"qmail-queued: fatal: queue belongs to uid %d\n" % owner)


def test_it_says_nothing_while_all_is_well(queue: Queue, serve: Serve) -> None:
    server = serve(queue)
    assert submit() == b""
    server.terminate()
    assert server.wait(20) == 0
    assert server.stderr and server.stderr.read() == b""
