"""addcr, delcr, fixcr, fixcrio and recordio as processes in a pipeline."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import socket
import subprocess
import sys
import termios
from pathlib import Path
from typing import IO

import pytest
from commands import environment, run, start
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import descendants, peak
from until import until

from ucspi.filter.carriage import DeleteCr, FixCr, add_cr

PIECES = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"\0", b"bc", b""]), max_size=12)
MEMORY = 48 << 20  # bytes: an interpreter and a few buffers


def without_pids(text: bytes) -> bytes:
    """What recordio has said, without the numbers of processes."""
    return re.sub(rb"^\d+ ", b"", text, flags=re.M)


# -- carriage returns --------------------------------------------------------------------


@given(PIECES)
@settings(deadline=None)
def test_the_pieces_that_input_comes_in_do_not_matter(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    fix, delete = FixCr(), DeleteCr()
    assert b"".join(map(fix, pieces)) == FixCr()(whole)
    assert b"".join(map(delete, pieces)) + delete.held == DeleteCr()(whole + b".")[:-1]


@given(PIECES)
@settings(deadline=None)
def test_what_is_added_can_be_deleted_again(pieces: list[bytes]) -> None:
    delete = DeleteCr()
    assert b"".join(delete(add_cr(piece)) for piece in pieces) + delete.held == b"".join(pieces)


@given(PIECES)
@settings(deadline=None)
def test_a_line_is_fixed_once(pieces: list[bytes]) -> None:
    once = FixCr()(b"".join(pieces))
    assert FixCr()(once) == once
    assert b"\n" not in once.replace(b"\r\n", b"")


def test_fixcr_adds_only_what_is_missing() -> None:
    assert run("fixcr", input=b"a\nb\r\n\n\r\r\nc\r") == (0, b"a\r\nb\r\n\r\n\r\r\nc\r", b"")


@pytest.mark.parametrize("command", ["addcr", "delcr", "fixcr"])
def test_a_line_may_be_longer_than_memory_is_wide(command: str) -> None:
    size = 10 << 20
    piece = b"x" * (1 << 20)
    with start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        received = 0
        for _ in range(size >> 20):
            os.set_blocking(process.stdin.fileno(), False)
            left = piece
            while left:
                try:
                    left = left[os.write(process.stdin.fileno(), left) :]
                except BlockingIOError:
                    received += len(os.read(process.stdout.fileno(), 65536))
        used = peak(process.pid)
        process.stdin.close()
        received += len(process.stdout.read())
    assert (process.returncode, received) == (0, size)
    assert used < MEMORY


@pytest.mark.parametrize("command", ["addcr", "delcr", "fixcr"])
def test_what_cannot_be_read_or_written_is_a_temporary_trouble(command: str) -> None:
    with open("/dev/full", "wb") as full, start(command, stdin=subprocess.PIPE, stdout=full) as process:
        process.communicate(b"line\n")
        assert process.returncode == 111
    with open(os.devnull, "wb") as unreadable, start(command, stdin=unreadable, stdout=subprocess.DEVNULL) as process:
        assert process.wait(30) == 111


@pytest.mark.parametrize("command", ["addcr", "delcr", "fixcr"])
def test_a_filter_ends_when_nobody_reads(command: str) -> None:
    with start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        process.stdout.close()
        process.stdin.write(b"line\n")
        process.stdin.flush()
        assert process.wait(30) == -signal.SIGPIPE


# -- between a program and its descriptors -----------------------------------------------


@pytest.mark.parametrize("command", ["fixcrio", "recordio"])
def test_the_program_keeps_the_process_that_was_started(command: str) -> None:
    with start(command, "sh", "-c", "echo $$; exit 5", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        out, _ = process.communicate()
    assert (int(out), process.returncode) == (process.pid, 5)


@pytest.mark.parametrize("command", ["fixcrio", "recordio"])
def test_a_program_killed_by_a_signal_looks_so(command: str) -> None:
    assert run(command, "sh", "-c", "kill -9 $$").code == -9


@pytest.mark.parametrize("command", ["fixcrio", "recordio"])
def test_a_program_that_reads_no_more_still_is_heard(command: str, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    script = f"exec <&-; read line < {gate}; echo last words; exit 4"
    with start(
        command, "sh", "-c", script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin and process.stdout
        with gate.open("w") as opened:  # the program has come as far as that
            until(lambda: refuses(process.stdin), what="who writes to it learns that nobody reads")
            opened.write("go on\n")
        assert process.stdout.read().rstrip() == b"last words"
        assert process.wait(30) == 4


def refuses(pipe: IO[bytes] | None) -> bool:
    """Whether nobody reads any more what is written to *pipe*."""
    assert pipe
    try:
        os.write(pipe.fileno(), b"too late\n")
    except BrokenPipeError:
        return True
    return False


@pytest.mark.parametrize("command", ["fixcrio", "recordio"])
def test_a_program_that_nobody_reads_from_any_more_gets_sigpipe(command: str) -> None:
    with start(command, "yes", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        assert process.stdout.read(1) == b"y"
        process.stdout.close()
        assert process.wait(30) == -signal.SIGPIPE


@pytest.mark.parametrize("command", ["fixcrio", "recordio"])
def test_who_does_not_read_is_not_read_from(command: str) -> None:
    """Neither the program, which writes without end, nor the input, which the program leaves where it is."""
    with start(command, "yes", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdin and process.stdout
        (filter_pid,) = until(lambda: descendants(process.pid))
        os.set_blocking(process.stdin.fileno(), False)
        until(lambda: full(process.stdout) and not takes(process.stdin), what="all pipes are full")
        assert peak(filter_pid) < MEMORY
        process.kill()


def full(pipe: IO[bytes] | None) -> bool:
    """Whether as much waits in *pipe* as fits."""
    assert pipe
    waiting = bytearray(4)
    fcntl.ioctl(pipe, termios.FIONREAD, waiting)
    return int.from_bytes(waiting, sys.byteorder) > fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) - select.PIPE_BUF


def takes(pipe: IO[bytes] | None) -> int:
    """How many bytes *pipe* takes without making us wait."""
    assert pipe
    try:
        return os.write(pipe.fileno(), b"x" * 65536)
    except BlockingIOError:
        return 0


@pytest.mark.parametrize("command", ["fixcrio", "recordio"])
def test_both_directions_at_once_do_not_block_each_other(command: str) -> None:
    """Megabytes go through cat, from a sender that never waits for what comes back, over one socket."""
    ours, theirs = socket.socketpair()
    ours.settimeout(60)
    with start(command, "cat", stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL) as process:
        theirs.close()
        line = b"0123456789abcdef\r\n"
        data = line * 200000
        sender = os.fork()
        if not sender:
            ours.sendall(data)
            ours.shutdown(socket.SHUT_WR)
            os._exit(0)
        received = b""
        while more := ours.recv(1 << 20):
            received += more
        os.waitpid(sender, 0)
        assert received == data
        assert process.wait(30) == 0


@pytest.mark.parametrize("command", ["fixcrio", "recordio"])
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
def test_closed_descriptors_are_nothing_that_it_stumbles_over(command: str, closed: str) -> None:
    assert run("sh", "-c", f"{command} sh -c 'cat; exit 6' {closed}", input=b"x\n").code == 6


@pytest.mark.parametrize("command", ["fixcrio", "recordio"])
def test_the_program_finds_the_signals_and_descriptors_that_were_given(command: str) -> None:
    script = "grep -E '^Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd"
    plain = run("sh", "-c", script)
    assert run(command, "sh", "-c", script).out.replace(b"\r", b"") == plain.out


def test_recordio_shows_what_is_read_and_written() -> None:
    with start("recordio", "cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin and process.stdout and process.stderr
        for sent in b"hello\nwor", b"ld\n":
            process.stdin.write(sent)
            process.stdin.flush()
            assert os.read(process.stdout.fileno(), 100) == sent
        process.stdin.close()
        log = process.stderr.read()
    assert log.startswith(b"%d < hello \n%d < wor+\n" % (process.pid, process.pid))
    assert sorted(without_pids(log).splitlines()) == sorted(
        [b"< hello ", b"< wor+", b"< ld ", b"< [EOF]", b"> hello ", b"> wor+", b"> ld ", b"> [EOF]"]
    )


def test_recordio_shows_bytes_before_they_are_passed_on() -> None:
    """Whoever answers to them therefore cannot be ahead of the record."""
    with start(
        "sh", "-c", "exec recordio cat 2>&1", stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"LC_ALL": "C"}
    ) as process:
        out, _ = process.communicate(b"once\n")
    assert [line[-7:] for line in out.splitlines()][:1] == [b"< once "]
    assert out.index(b"> once ") < out.index(b"\nonce\n")


def test_recordio_cuts_long_lines_into_pieces_of_256_bytes() -> None:
    log = without_pids(run("recordio", "cat", input=b"x" * 600 + b"\n").err)
    shown = [line for line in log.splitlines() if line.startswith(b"<")]
    assert shown == [b"< " + b"x" * 256 + b"+"] * 2 + [b"< " + b"x" * 88 + b" ", b"< [EOF]"]


def test_recordio_goes_on_when_nobody_reads_the_record() -> None:
    assert run("sh", "-c", "recordio cat 2>/dev/full", input=b"a\n").out == b"a\n"
    reading, writing = os.pipe()
    os.close(reading)
    with start("recordio", "cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=writing) as process:
        out, _ = process.communicate(b"b\n" * 10000)
    os.close(writing)
    assert (out, process.returncode) == (b"b\n" * 10000, 0)


def test_recordio_passes_on_and_shows_every_byte() -> None:
    data = bytes(range(256)) * 3
    code, out, log = run("recordio", "cat", input=data)
    assert (code, out) == (0, data)
    assert bytes(range(11, 256)) in log


def test_the_environment_goes_to_the_program_as_it_is() -> None:
    plain = environment({"ODD": "value"})
    shown = run("fixcrio", "env", env={"ODD": "value"}).out.decode().split("\r\n")
    assert {f"ODD={plain['ODD']}", f"PATH={plain['PATH']}"} <= set(shown)
