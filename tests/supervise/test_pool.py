"""Workers that are used again: a job finds what a fresh process would find, and leaves nothing behind.

Most tests run a job that spoils something and then one that reports what it finds; the report
must be the same from the worker that served the spoiler and from a fresh process.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from until import until
from workbench import Bench, code, dismiss, job

from supervise.errors import Permanent, Temporary
from supervise.worker import LARGEST


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    dismiss(made)


# -- what a job finds ------------------------------------------------------------------------


@job
def report() -> None:
    """Write down everything that a program can see of its process."""
    signals = {int(n): repr(signal.getsignal(n)) for n in signal.valid_signals()}
    descriptors = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            if not os.get_inheritable(int(name)):  # the worker's own; exec would close it
                continue
            descriptors[name] = os.readlink(f"/proc/self/fd/{name}").split(":")[0]
        except OSError:
            continue
    mask = os.umask(0)
    os.umask(mask)
    found = {
        "environment": sorted((name.decode("latin-1"), value.decode("latin-1")) for name, value in os.environb.items()),
        "folder": os.getcwd(),
        "umask": mask,
        "signals": signals,
        "blocked": sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, ()))),
        "timer": signal.getitimer(signal.ITIMER_REAL),
        "wakeup": signal.set_wakeup_fd(-1),
        "descriptors": sorted(descriptors.items()),
        "limits": resource.getrlimit(resource.RLIMIT_NOFILE),
        "user": [os.getuid(), os.getgid(), os.getgroups()],
    }
    os.write(1, json.dumps(found).encode())


@job
def set_variables() -> None:
    os.environb[b"TCPREMOTEIP"] = b"1.2.3.4"
    os.environb[b"PATH"] = b"/nowhere"
    os.environb[b"BYTES"] = b"\xff\xfe"
    os.environb.pop(b"HOME", None)


@job
def clear_variables() -> None:
    os.environb.clear()


@job
def go_elsewhere() -> None:
    os.chdir("/")
    os.umask(0o7)


@job
def leave_signals() -> None:
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGCHLD})
    signal.setitimer(signal.ITIMER_REAL, 1000)
    _, writing = os.pipe2(os.O_NONBLOCK)
    signal.set_wakeup_fd(writing)


@job
def leave_descriptors() -> None:
    os.dup2(os.open("/dev/null", os.O_RDWR), 7)
    os.dup2(7, 0)
    os.dup2(7, 2)
    os.set_inheritable(os.open("/etc/passwd", os.O_RDONLY), True)
    socket.socketpair()[0].detach()


@job
def close_descriptors() -> None:
    for fd in 0, 1, 2:
        os.close(fd)


@job
def leave_a_dead_child() -> None:
    if os.fork() == 0:
        os._exit(3)


@pytest.mark.parametrize(
    "spoiler",
    [
        set_variables,
        clear_variables,
        go_elsewhere,
        leave_signals,
        leave_descriptors,
        close_descriptors,
        leave_a_dead_child,
    ],
)
def test_a_job_finds_what_a_fresh_process_finds_whatever_the_job_before_it_did(
    spoiler: Callable[..., None], bench: Bench
) -> None:
    fresh, first = bench.ask("report")
    dismiss(bench)
    bench.pool.most_jobs = 1000
    spoilt = bench.run(spoiler.__name__)
    found, second = bench.ask("report")
    assert json.loads(found) == json.loads(fresh)
    assert first.status == spoilt.status == second.status == 0
    assert first.pid != spoilt.pid
    if spoiler is not leave_a_dead_child:  # that one may still be dying, and then the worker goes as well
        assert spoilt.pid == second.pid


@job
def leave_a_living_child(note: str) -> None:
    child = os.fork()
    if child == 0:
        signal.pause()
        os._exit(0)
    Path(note).write_text(str(child))


def test_a_worker_whose_job_left_a_living_child_is_not_used_again(bench: Bench, tmp_path: Path) -> None:
    end = bench.run("leave_a_living_child", str(tmp_path / "child"))
    os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)
    assert code(end) == 0
    assert bench.run("leave_with", 0).pid != end.pid


@job
def echo(size: int, text: bytes) -> int:
    assert len(text) == size
    data = os.read(3, 100)
    os.write(4, data.upper())
    return len(data)


@pytest.mark.parametrize("size", [0, 1, 4096, 32768, LARGEST - 100])
def test_a_job_gets_its_payload_and_its_descriptors_under_their_numbers(size: int, bench: Bench) -> None:
    for _ in range(3):
        ask, answer = os.pipe(), os.pipe()
        os.write(ask[1], b"hello")
        end = bench.run("echo", size, b"x" * size, fds={3: ask[0], 4: answer[1]})
        assert code(end) == 5
        assert os.read(answer[0], 100) == b"HELLO"
        for fd in *ask, *answer:
            os.close(fd)


def test_descriptors_may_be_swapped(bench: Bench) -> None:
    """What is 1 here is 0 there, and the other way round."""
    first, second = os.pipe(), os.pipe()
    os.write(first[1], b"x")
    low, high = sorted((first[0], second[1]))
    end = bench.run("copy_byte", low, high, low == first[0], fds={low: high, high: low})
    assert code(end) == 0
    assert os.read(second[0], 9) == b"x"
    for fd in *first, *second:
        os.close(fd)


@job
def copy_byte(low: int, high: int, crossed: bool) -> None:
    reading, writing = (high, low) if crossed else (low, high)
    os.write(writing, os.read(reading, 1))


def test_a_payload_that_is_too_large_is_refused_and_nothing_is_lost(bench: Bench) -> None:
    with pytest.raises(OSError) as caught:
        bench.begin("report", b"x" * LARGEST)
    assert caught.value.errno == errno.E2BIG
    assert bench.pool.busy == 0
    assert bench.run("report").status == 0


# -- how a job ends --------------------------------------------------------------------------


@job
def die_by(number: int) -> None:
    os.kill(os.getpid(), number)
    signal.pause()


@job
def break_down() -> None:
    raise ValueError("broken")


@job
def give_up(permanent: bool) -> None:
    raise (Permanent if permanent else Temporary)(b"we give up")


@job
def exit_at_once(number: int) -> None:
    os._exit(number)


@pytest.mark.parametrize(("number", "status"), [(0, 0), (3, 768), (100, 25600), (255, 65280), (-1, 65280), (256, 0)])
def test_a_jobs_exit_code_becomes_a_wait_status(number: int, status: int, bench: Bench) -> None:
    first, second = bench.run("leave_with", number), bench.run("leave_with", 0)
    assert (first.status, first.job, second.status) == (status, "leave_with", 0)
    assert first.pid == second.pid


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGPIPE, signal.SIGSEGV])
def test_a_worker_killed_in_mid_job_ends_that_job_and_no_other(number: int, bench: Bench) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    end = bench.run("die_by", int(number))
    assert os.WTERMSIG(end.status) == number
    after = bench.run("leave_with", 4)
    assert (code(after), after.pid != end.pid) == (4, True)


def test_a_job_that_exits_by_itself_ends_with_that_code(bench: Bench) -> None:
    assert code(bench.run("exit_at_once", 17)) == 17
    assert code(bench.run("exit_at_once", 0)) == 0


@pytest.mark.parametrize(
    ("name", "arguments", "expected"), [("break_down", (), 111), ("give_up", (False,), 111), ("give_up", (True,), 100)]
)
def test_an_error_in_a_job_is_one_line_and_an_exit_code(
    name: str, arguments: tuple[object, ...], expected: int, bench: Bench
) -> None:
    reading, writing = os.pipe()
    end = bench.run(name, *arguments, fds={2: writing})
    os.close(writing)
    assert code(end) == expected
    said = os.read(reading, 9999)
    os.close(reading)
    assert said.startswith(b"worker: ") and said.count(b"\n") == 1


def test_a_worker_killed_while_idle_is_replaced(bench: Bench) -> None:
    first = bench.run("leave_with", 1)
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{first.pid}").exists(), what="it is dead")
    second = bench.run("leave_with", 2)
    assert code(second) == 2
    assert second.pid != first.pid
    until(lambda: bench.pool.ended() == [] and bench.pool.count == 1, what="the dead one is buried")
    assert not Path(f"/proc/{first.pid}").exists()


def test_a_worker_that_lies_ends_no_job_but_its_own(bench: Bench) -> None:
    """A worker may run as somebody who is not trusted: the worst it can do is to end its own job."""
    held = os.pipe()
    bench.begin("wait_for_end", fds={0: held[0]})
    liar = bench.begin("lie")
    ends = bench.wait()
    assert ends[0].pid == liar
    os.close(held[0])
    os.close(held[1])
    assert bench.wait()[0].status == 0
    assert bench.pool.busy == 0


@job
def lie() -> None:
    for name in map(int, os.listdir("/proc/self/fd")):
        try:
            with socket.socket(fileno=os.dup(name)) as found:
                found.send(b"nonsense that is no status")
        except OSError:
            continue


@job
def wait_for_end() -> None:
    while os.read(0, 100):
        pass


# -- how many workers there are -----------------------------------------------------------------


def test_jobs_at_the_same_time_have_a_worker_each_and_idle_ones_are_taken_first() -> None:
    bench = Bench()
    held = os.pipe()
    pids = {bench.begin("wait_for_end", fds={0: held[0]}) for _ in range(5)}
    assert (len(pids), bench.pool.busy, bench.pool.count) == (5, 5, 5)
    os.close(held[1])
    assert {end.pid for end in bench.wait(5)} == pids
    assert (bench.pool.busy, bench.pool.count) == (0, 5)
    assert bench.run("leave_with", 0).pid in pids
    os.close(held[0])
    dismiss(bench)


def test_workers_that_are_idle_for_long_are_let_go() -> None:
    bench = Bench(idle=0.05)
    assert bench.pool.rest() is None
    bench.run("leave_with", 0)
    left = bench.pool.rest()
    assert left is None or left <= 0.05
    until(lambda: bench.pool.rest() is None, what="it is let go")
    until(bench.gone, what="it is gone")
    assert bench.run("leave_with", 2).status == 512
    dismiss(bench)


def test_a_worker_is_replaced_after_a_number_of_jobs() -> None:
    bench = Bench(jobs=3)
    pids = [bench.run("leave_with", 0).pid for _ in range(9)]
    assert [len(set(pids[at : at + 3])) for at in (0, 3, 6)] == [1, 1, 1]
    assert len(set(pids)) == 3
    dismiss(bench)


def test_a_worker_that_has_grown_is_replaced(bench: Bench) -> None:
    end = bench.run("grow")
    assert code(end) == 9
    assert bench.run("leave_with", 0).pid != end.pid


@job
def grow() -> int:
    return len(b"x" * (64 << 20)) and 9


def test_over_the_limit_an_idle_worker_of_another_key_makes_room() -> None:
    bench = Bench(limit=2)
    pids = {key: bench.run("leave_with", 0, key=key).pid for key in ("a", "b", "c")}
    assert len(set(pids.values())) == 3
    until(lambda: bench.pool.ended() == [] and bench.pool.count == 2, what="the oldest has gone")
    assert bench.run("leave_with", 0, key="c").pid == pids["c"]
    assert bench.run("leave_with", 0, key="b").pid == pids["b"]
    assert bench.run("leave_with", 0, key="a").pid != pids["a"]
    dismiss(bench)


def test_a_new_worker_is_prepared_for_its_key_once(bench: Bench, tmp_path: Path) -> None:
    bench.run("leave_with", 0)
    answers = [bench.ask("where", key=("in", str(tmp_path)))[0] for _ in range(2)]
    assert answers == [os.fsencode(tmp_path)] * 2
    assert bench.ask("where")[0] == os.fsencode(os.getcwd())


@job
def where() -> None:
    os.write(1, os.getcwdb())


def test_a_preparation_that_fails_is_an_error_or_the_jobs_end(bench: Bench) -> None:
    """Which of the two depends on who is faster."""

    for _ in range(10):
        try:
            assert code(bench.run("leave_with", 0, key="not today")) == 111
        except BrokenPipeError:
            pass
        assert bench.pool.busy == 0
    assert bench.run("leave_with", 3).status == 768


def test_no_descriptor_and_no_process_is_left_in_the_parent_after_many_jobs() -> None:
    def open_now() -> list[str]:
        return sorted(os.listdir("/proc/self/fd")) + children()

    before = open_now()
    bench = Bench(jobs=100)
    for number in range(1000):
        bench.run("leave_with", number & 0xFF)
    bench.run("become", b"true")
    bench.run("exit_at_once", 1)
    dismiss(bench)
    bench.pool.epoll.close()
    assert open_now() == before


def children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def test_workers_end_quietly_when_their_parent_is_gone(tmp_path: Path) -> None:
    """The idle one at once, the one at work when its job is over."""
    held, said = os.pipe(), os.pipe()
    parent = os.fork()
    if parent == 0:
        try:
            os.dup2(said[1], 2)
            bench = Bench()
            os.set_inheritable(held[0], False)
            busy = bench.begin("wait_for_end", fds={0: held[0]})
            idle = bench.run("leave_with", 0).pid
            (tmp_path / "pids").write_text(f"{busy} {idle}")
        finally:
            os._exit(0)
    os.waitpid(parent, 0)
    os.close(said[1])
    busy, idle = (int(word) for word in (tmp_path / "pids").read_text().split())
    until(lambda: dead(idle), what="the idle worker ends")
    assert not dead(busy)
    os.close(held[1])
    until(lambda: dead(busy), what="the busy worker ends")
    assert os.read(said[0], 999) == b""
    os.close(held[0])
    os.close(said[0])


def dead(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except OSError:
        return True


def test_no_new_worker_is_an_error_that_can_be_survived(bench: Bench) -> None:
    gc.collect()  # what others have left must not make room in the middle
    held = os.pipe()
    first = bench.begin("wait_for_end", fds={0: held[0]})
    taken: list[int] = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 8, hard))
    try:
        with pytest.raises(OSError) as caught:
            while True:
                taken.append(os.dup(0))
        for _ in range(2):  # without any descriptor left, and with one
            with pytest.raises(OSError) as caught:
                bench.begin("leave_with", 0)
            assert caught.value.errno == errno.EMFILE
            os.close(taken.pop())
    finally:
        for fd in taken:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (bench.pool.busy, bench.pool.count) == (1, 1)
    os.close(held[1])
    os.close(held[0])
    assert bench.wait()[0].pid == first
    assert bench.run("leave_with", 2).pid == first


def test_a_worker_whose_answer_nobody_reads_any_more_ends_without_a_word() -> None:
    script = """if True:
        import os, select
        from supervise.pool import Pool
        pool = Pool(lambda payload: 0)
        pool.begin(b"", {0: 0}, "job")
        select.select([pool.fileno()], [], [])
        os._exit(0)
    """
    done = subprocess.run([sys.executable, "-c", script], stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
