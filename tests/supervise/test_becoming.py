"""What becomes of a worker whose job is another program."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from until import until
from workbench import Bench, code, dismiss, job

from supervise.command import Argv, Become, command
from supervise.worker import run_again


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    dismiss(made)


@pytest.fixture
def waiting() -> Iterator[Bench]:
    """A pool in which one worker may wait for a foreign program."""
    made = Bench(waits=1)
    yield made
    dismiss(made)


@job
def become(*argv: bytes) -> int:
    os.environb[b"GIVEN"] = b"to the program"
    return run_again(list(argv))


def test_a_foreign_program_uses_the_worker_up_and_its_end_is_the_jobs_end(bench: Bench) -> None:
    before = bench.run("leave_with", 0)
    answer, end = bench.ask("become", b"sh", b"-c", b'echo "$GIVEN" $$; exit 7')
    assert answer == b"to the program %d\n" % before.pid
    assert (end.pid, code(end)) == (before.pid, 7)
    assert bench.run("leave_with", 0).pid != before.pid


def test_a_foreign_program_has_the_jobs_descriptors_and_no_other(bench: Bench) -> None:
    answer, _ = bench.ask("become", b"sh", b"-c", b"ls /proc/$$/fd")
    assert answer.split() == [b"0", b"1", b"2"]


def test_a_foreign_program_may_be_killed(bench: Bench) -> None:
    pid = bench.begin("become", b"sleep", b"1000")
    until(lambda: b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes(), what="the program runs")
    bench.pool.kill(signal.SIGTERM)
    assert bench.wait()[0].status == signal.SIGTERM


def test_a_program_that_is_not_there_is_a_temporary_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    reading, writing = os.pipe()
    end = bench.run("become", b"no-such-program", fds={2: writing})
    os.close(writing)
    assert code(end) == 111
    assert os.read(reading, 999) == b"no-such-program: fatal: unable to run no-such-program: file does not exist\n"
    os.close(reading)


@command(b"pool-test-again", again=True)
def again_command(argv: Argv) -> int:
    if len(argv) > 1:
        os.environb[b"LINK"] = os.environb.get(b"LINK", b"") + b"x"
        raise Become(argv[1:])
    os.write(1, os.environb.get(b"LINK", b"none"))
    return 5


@command(b"pool-test-once")
def once_command(argv: Argv) -> int:
    os.write(1, b"once")
    return 6


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`again` and `once` along PATH, as console scripts that call the commands above."""
    module = type(sys)("tools.pool_test")
    module.again, module.once = again_command, once_command  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tools.pool_test", module)
    for name in "again", "once":
        script = tmp_path / name
        script.write_text(f"#!{sys.executable}\nfrom tools.pool_test import {name}\n")
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


@pytest.mark.usefixtures("scripts")
def test_a_program_of_ours_that_may_run_again_leaves_the_worker_usable(bench: Bench) -> None:
    answers = [bench.ask("become", b"again") for _ in range(3)]
    assert {(answer, code(end)) for answer, end in answers} == {(b"none", 5)}
    assert len({end.pid for _, end in answers}) == 1


@pytest.mark.usefixtures("scripts")
def test_a_chain_of_such_programs_leaves_the_worker_usable_and_clean(bench: Bench) -> None:
    answers = [bench.ask("become", b"again", b"again", b"again") for _ in range(3)]
    assert {(answer, code(end)) for answer, end in answers} == {(b"xx", 5)}
    assert len({end.pid for _, end in answers}) == 1


@pytest.mark.usefixtures("scripts")
def test_a_program_of_ours_that_may_not_run_again_uses_the_worker_up(bench: Bench) -> None:
    for chain in [b"once"], [b"again", b"once"]:
        answer, end = bench.ask("become", *chain)
        assert (answer, code(end)) == (b"once", 6)
        assert bench.run("leave_with", 0).pid != end.pid


@pytest.mark.usefixtures("scripts")
def test_a_chain_that_ends_in_nothing_says_who_wanted_it(bench: Bench) -> None:
    reading, writing = os.pipe()
    end = bench.run("become", b"again", b"nothing", fds={2: writing})
    os.close(writing)
    assert code(end) == 111
    assert os.read(reading, 999) == b"pool-test-again: fatal: unable to run nothing: file does not exist\n"
    os.close(reading)


# -- waiting for a foreign program ------------------------------------------------------------


def test_a_worker_that_waits_for_a_foreign_program_is_used_again(waiting: Bench) -> None:
    before = waiting.run("leave_with", 0)
    answer, end = waiting.ask("become", b"sh", b"-c", b'echo "$GIVEN" $PPID; exit 7')
    assert answer == b"to the program %d\n" % before.pid
    assert (end.pid, code(end)) == (before.pid, 7)
    assert waiting.run("leave_with", 0).pid == before.pid


def test_one_job_more_than_may_wait_becomes_the_program(waiting: Bench) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        first = waiting.begin("become", b"cat", fds={0: theirs.fileno(), 1: theirs.fileno()})
        answer, end = waiting.ask("become", b"sh", b"-c", b"echo $$")
        assert answer == b"%d\n" % end.pid
        ours.shutdown(socket.SHUT_WR)
        assert waiting.wait()[0].pid == first


def test_a_program_that_is_waited_for_has_the_jobs_descriptors_and_no_other(waiting: Bench) -> None:
    for _ in range(2):
        answer, _ = waiting.ask("become", b"sh", b"-c", b"ls /proc/$$/fd")
        assert answer.split() == [b"0", b"1", b"2"]


def test_what_the_program_closes_is_closed_although_the_worker_waits(waiting: Bench) -> None:
    reading, writing = os.pipe()
    job_ends, held = os.pipe()
    waiting.begin("become", b"sh", b"-c", b"exec >&-; read line", fds={0: job_ends, 1: writing})
    os.close(writing)
    os.close(job_ends)
    assert os.read(reading, 1) == b""
    assert not waiting.pool.ended(), "the program goes on"
    os.close(held)
    assert code(waiting.wait()[0]) == 1
    os.close(reading)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1])
def test_the_raw_wait_status_of_a_program_that_is_waited_for_is_the_jobs(waiting: Bench, number: int) -> None:
    assert waiting.run("become", b"sh", b"-c", b"kill -%d $$" % number).status == number
    assert waiting.run("become", b"sh", b"-c", b"kill -%d $$" % number).status == number


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGALRM])
def test_a_signal_that_would_end_the_worker_reaches_the_program(waiting: Bench, number: int) -> None:
    reading, writing = os.pipe()
    pid = waiting.begin("become", b"sh", b"-c", b"echo ready; exec sleep 1000", fds={1: writing})
    os.close(writing)
    assert os.read(reading, 100) == b"ready\n"
    os.kill(pid, number)
    assert os.read(reading, 100) == b"", "the program has ended"
    assert waiting.wait()[0].status == number
    assert waiting.run("leave_with", 0).pid == pid, "the worker has not"
    os.close(reading)


def test_a_signal_that_comes_as_the_program_ends_is_no_bug(waiting: Bench) -> None:
    seen = set()
    for _ in range(100):
        reading, writing = os.pipe()
        pid = waiting.begin("become", b"sh", b"-c", b"trap '' USR1; echo ready", fds={1: writing})
        os.close(writing)
        os.read(reading, 100)  # ready; or the end, when the last signal of the job before has ended the worker
        os.close(reading)
        while not (ends := waiting.pool.ended()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGUSR1)
        seen.add(ends[0].status)
    assert seen <= {0, signal.SIGUSR1}


def test_after_a_program_the_worker_can_be_ended_by_a_signal_as_before(waiting: Bench) -> None:
    pid = waiting.run("become", b"true").pid
    os.kill(pid, signal.SIGTERM)
    until(waiting.gone, what="the worker ends")


def test_signals_are_neither_blocked_nor_handled_in_a_program_that_is_waited_for(waiting: Bench) -> None:
    answer, _ = waiting.ask("become", b"cat", b"/proc/self/status")
    masks = dict(line.split()[:2] for line in answer.splitlines() if line.startswith(b"Sig"))
    assert masks[b"SigBlk:"] == masks[b"SigCgt:"] == b"0" * 16


def test_a_program_that_cannot_be_waited_for_is_refused_and_the_worker_used_again(
    waiting: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken").write_bytes(b"#!/no/such/interpreter\n")
    (tmp_path / "broken").chmod(0o755)
    reading, writing = os.pipe()
    ends = [waiting.run("become", name, fds={2: writing}) for name in (b"no-such-program", bytes(tmp_path / "broken"))]
    os.close(writing)
    assert [code(end) for end in ends] == [111, 111]
    assert len({end.pid for end in ends}) == 1
    said = os.read(reading, 9999).splitlines()
    assert [line.partition(b": fatal: ")[2] for line in said] == [
        b"unable to run no-such-program: file does not exist",
        b"unable to run %s: file does not exist" % bytes(tmp_path / "broken"),
    ]
    os.close(reading)


def test_what_only_exec_can_hand_on_is_handed_on_by_exec() -> None:
    script = """if True:
        import select, sys
        from supervise.pool import Pool
        from supervise.worker import run_again
        pool = Pool(lambda program: run_again([program]), waits=1)
        pool.begin(b"/usr/bin/env", {}, "job")
        while not (ends := pool.ended()):
            select.select([pool.fileno()], [], [])
        sys.exit(ends[0].status)
    """
    program = ["env", "-i", "=strange", "A=1", sys.executable, "-c", script]
    done = subprocess.run(program, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert {b"=strange", b"A=1"} <= set(done.stdout.split())


def test_a_worker_whose_parent_is_gone_ends_with_the_program() -> None:
    bench = Bench(waits=1)
    reading, writing = os.pipe()
    job_ends, held = os.pipe()
    pid = bench.begin("become", b"sh", b"-c", b"echo ready; read line", fds={0: job_ends, 1: writing})
    os.close(job_ends)
    assert os.read(reading, 100) == b"ready\n"
    for worker in bench.pool.workers.values():
        assert worker.channel
        worker.channel.shutdown(socket.SHUT_RDWR)
    assert Path(f"/proc/{pid}").exists()
    os.close(held)
    dismiss(bench)
    for fd in reading, writing:
        os.close(fd)
