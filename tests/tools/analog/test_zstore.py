"""zstore: what it learns from log directories is what one pass over all lines gives, however it comes there."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from commands import BIN, environment, run, start
from faults import TROUBLE, faults_of
from instance import NOBODY, Instance
from logfiles import EPOCH, SECOND, put_current, put_old
from until import until

from supervise.stamp import label
from tools.analog.learning import Learner
from tools.analog.matching import Matcher
from tools.analog.reading import Reading
from tools.analog.store import Store
from tools.analog.zstore import main as zstore_command


def mail(count: int, seed: int = 1) -> list[bytes]:
    """The log of *count* messages, line by line, in which much happens at a time."""
    dice = random.Random(seed)
    events: list[tuple[float, bytes]] = []
    delivery = 0
    for at in range(count):
        number, now = at % 50, at * 0.8 + dice.random()
        about = number, dice.randrange(500, 9000), at % 7, at
        events.append((now, b"new msg %d" % number))
        events.append((now + 0.001, b"info msg %d: bytes %d from <joe%d@far.example> qp %d uid 7" % about))
        now += 0.002
        for word in (*[b"deferral"] * dice.randrange(3), dice.choice((b"success", b"failure"))):
            delivery += 1
            events.append((now, b"starting delivery %d: msg %d to remote sue%d@a.example" % (delivery, number, at % 5)))
            now += dice.random() * 5
            events.append((now, b"delivery %d: %b: some_reason_%d/" % (delivery, word, at % 3)))
            events.append((now + 0.0001, b"status: local 0/10 remote 1/20"))
        events.append((now + 0.001, b"end msg %d" % number))
    events.sort()
    return [b"%b %b\n" % (label(EPOCH + int(second * SECOND)), text) for second, text in events]


def matched(lines: list[bytes]) -> bytes:
    """What matchup makes of *lines*."""
    return b"".join(line + b"\n" for line in Matcher().take([line[:-1] for line in lines]))


def zstore(store: Path, *folders: Path, err: bytes = b"", code: int = 0) -> None:
    done = run("zstore", store, *folders)
    assert (done.code, done.err) == (code, err)


def zlines(store: Path, *options: str) -> bytes:
    done = run("zlines", *options, store)
    assert (done.code, done.err) == (0, b"")
    return done.out


def minutes(store: Path) -> list[tuple[int, ...]]:
    with sqlite3.connect(store) as database:
        return database.execute("SELECT * FROM minute ORDER BY number").fetchall()


def one_pass(lines: list[bytes], folder: Path) -> list[tuple[int, ...]]:
    """The minutes that come of *lines* when they are read at once."""
    put_current(folder, b"".join(lines))
    zstore(folder / "whole", folder)
    return minutes(folder / "whole")


def second_of(line: bytes) -> float:
    """When *line* was written, as the tests of log directories count."""
    return (int(line[1:17], 16) * SECOND + int(line[17:25], 16) - int(label(EPOCH)[1:17], 16) * SECOND) / SECOND


def test_a_log_is_learnt_as_matchup_reads_it_and_once(tmp_path: Path) -> None:
    lines = mail(100)
    put_current(tmp_path / "logs", b"".join(lines))
    for _ in range(3):
        zstore(tmp_path / "store", tmp_path / "logs")
        assert zlines(tmp_path / "store") == matched(lines)


@pytest.mark.parametrize("seed", range(6))
def test_a_log_that_grows_turns_and_is_compressed_gives_what_one_pass_gives(tmp_path: Path, seed: int) -> None:
    dice, lines = random.Random(seed), mail(200, seed)
    text, logs, store = b"".join(lines), tmp_path / "logs", tmp_path / "store"
    at = begin = 0
    plain: list[tuple[Path, float]] = []
    while at < len(text):
        at = min(len(text), at + dice.randrange(1, 9000))
        put_current(logs, text[begin:at])
        for _ in range(dice.randrange(2)):
            zstore(store, logs)
        if (dice.random() < 0.5 and text[begin:at].endswith(b"\n")) or dice.random() < 0.5:
            at = text.find(b"\n", at - 1) + 1
            put_current(logs, text[begin:at])
            last = second_of(text[begin:at].splitlines()[-1])
            old = logs / (label(EPOCH + int(last * SECOND) + 9).decode() + ".s")
            (logs / "current").rename(old)
            plain.append((old, last))
            begin = at
        if plain and dice.random() < 0.5:
            old, last = plain.pop(0)
            put_old(logs, last + 9e-9, old.read_bytes(), dice.choice((".s.zst", ".s.gz"))).rename(
                old.with_name(old.name + dice.choice((".zst", ".gz")))
            )
            for name in [name for name in logs.iterdir() if name.name[:25] == old.name[:25] and name != old][1:]:
                name.unlink()
            old.unlink()
    zstore(store, logs)
    assert zlines(store) == matched(lines)
    assert minutes(store) == one_pass(lines, tmp_path / "again")


def test_the_logs_that_multilog_turns_and_compresses_meanwhile_are_read_once(tmp_path: Path) -> None:
    lines = mail(400)
    logger = start("multilog", "z", "s4096", "n1000", "./logs", cwd=tmp_path, stdin=subprocess.PIPE)
    assert logger.stdin is not None
    for at in range(0, len(lines), 100):
        logger.stdin.write(b"".join(lines[at : at + 100]))
        logger.stdin.flush()
        until((tmp_path / "logs" / "current").exists)
        zstore(tmp_path / "store", tmp_path / "logs")
    logger.stdin.close()
    assert logger.wait() == 0
    zstore(tmp_path / "store", tmp_path / "logs")
    assert len(list((tmp_path / "logs").glob("*.zst"))) > 10
    assert zlines(tmp_path / "store") == matched(lines)


def test_a_directory_that_has_been_renamed_goes_on_where_it_stopped(tmp_path: Path) -> None:
    lines = mail(60)
    logs, store = tmp_path / "logs", tmp_path / "store"
    put_old(logs, second_of(lines[49]), b"".join(lines[:50]), ".s.zst")
    put_current(logs, b"".join(lines[50:150]))
    put_current(tmp_path / "other", b"".join(mail(9, 2)))
    zstore(store, tmp_path / "other", logs)
    logs.rename(tmp_path / "renamed")
    zstore(store, tmp_path / "renamed")
    (tmp_path / "renamed" / "current").unlink()
    put_old(tmp_path / "renamed", second_of(lines[199]), b"".join(lines[50:200]), ".s.gz")
    put_current(tmp_path / "renamed", b"".join(lines[200:250]))
    (tmp_path / "renamed").rename(tmp_path / "moved")
    (tmp_path / "renamed").symlink_to("moved")
    put_current(tmp_path / "moved", b"".join(lines[200:]))
    for name in ("moved", "renamed"):
        zstore(store, tmp_path / name)
        found = [line for line in zlines(store).splitlines() if line not in matched(mail(9, 2)).splitlines()]
        assert found == matched(lines).splitlines()


def test_another_directory_may_take_the_name_of_a_renamed_one(tmp_path: Path) -> None:
    one, other = mail(30, 1), mail(30, 2)
    put_current(tmp_path / "logs", b"".join(one))
    zstore(tmp_path / "store", tmp_path / "logs")
    (tmp_path / "logs").rename(tmp_path / "old")
    put_current(tmp_path / "logs", b"".join(other))
    zstore(tmp_path / "store", tmp_path / "old")
    zstore(tmp_path / "store", tmp_path / "logs")
    assert zlines(tmp_path / "store") == matched(one) + matched(other)


def test_a_copy_of_a_directory_is_named_and_does_not_count(tmp_path: Path) -> None:
    lines = mail(30)
    put_current(tmp_path / "logs", b"".join(lines))
    zstore(tmp_path / "store", tmp_path / "logs")
    shutil.copytree(tmp_path / "logs", tmp_path / "copy")
    put_current(tmp_path / "new", b"".join(mail(30, 2)))
    names = bytes(tmp_path / "copy"), bytes(tmp_path / "logs")
    err = b"zstore: warning: %b has logs that %b has, too: it is passed over\n" % names
    zstore(tmp_path / "store", tmp_path / "copy", tmp_path / "new", err=err, code=111)
    assert zlines(tmp_path / "store") == matched(lines) + matched(mail(30, 2))


def test_a_log_that_is_being_processed_is_not_read_again_as_old(tmp_path: Path) -> None:
    lines = mail(60)
    logs, store = tmp_path / "logs", tmp_path / "store"
    first, second = b"".join(lines[:200]), b"".join(lines[200:])
    put_current(logs, first)
    (logs / "current").rename(logs / "previous")
    put_current(logs, second)
    zstore(store, logs)
    (logs / "previous").unlink()
    put_old(logs, second_of(lines[199]), first, ".s.zst")
    zstore(store, logs)
    assert zlines(store) == matched(lines)


def test_a_line_that_is_not_complete_waits_for_its_end(tmp_path: Path) -> None:
    text = b"".join(mail(20))
    for size in (len(text) - 5, len(text)):
        put_current(tmp_path / "logs", text[:size])
        zstore(tmp_path / "store", tmp_path / "logs")
    assert zlines(tmp_path / "store") == matched(mail(20))


def test_a_line_that_a_crash_has_cut_off_does_not_count(tmp_path: Path) -> None:
    lines = mail(20)
    end = next(at for at, line in enumerate(lines) if b" end msg 1" in line)
    put_old(tmp_path / "logs", second_of(lines[end]), b"".join(lines[: end + 1])[:-1], ".u")
    put_current(tmp_path / "logs", b"".join(lines[end + 1 :]))
    zstore(tmp_path / "store", tmp_path / "logs")
    assert zlines(tmp_path / "store") == matched(lines[:end] + lines[end + 1 :])


def test_logs_that_are_gone_stay_in_the_store(tmp_path: Path) -> None:
    lines = mail(60)
    logs, store = tmp_path / "logs", tmp_path / "store"
    put_old(logs, second_of(lines[99]), b"".join(lines[:100]))
    put_current(logs, b"".join(lines[100:]))
    zstore(store, logs)
    shutil.rmtree(logs)
    assert zlines(store) == matched(lines)


def test_a_log_that_has_gone_with_lines_that_were_not_read_is_told(tmp_path: Path) -> None:
    lines = mail(60)
    logs, store = tmp_path / "logs", tmp_path / "store"
    put_current(logs, b"".join(lines[:100]))
    zstore(store, logs)
    put_current(logs, b"".join(lines[150:]))
    gone = b"a log has gone that had been read in part: lines may be missing"
    zstore(store, logs, err=b"zstore: warning: %b: %b\n" % (bytes(logs), gone))
    assert zlines(store) == matched(lines[:100] + lines[150:])
    zstore(store, logs)


def test_a_log_that_a_processor_has_changed_is_not_read_again(tmp_path: Path) -> None:
    lines = mail(60)
    logs, store = tmp_path / "logs", tmp_path / "store"
    put_current(logs, b"".join(lines[:100]))
    zstore(store, logs)
    put_old(logs, second_of(lines[99]), b"".join(line for line in lines[1:100] if b"status" not in line))
    put_current(logs, b"".join(lines[100:]))
    zstore(store, logs)
    assert zlines(store) == matched(lines)


def test_logs_that_cannot_be_read_for_now_are_neither_forgotten_nor_read_twice(tmp_path: Path) -> None:
    lines = mail(60)
    logs, store = tmp_path / "logs", tmp_path / "store"
    put_current(logs, b"".join(lines[:100]))
    zstore(store, logs)
    (logs / "current").rename(tmp_path / "aside")
    (logs / "current").symlink_to("current")
    put_old(logs, -5, b"")
    done = run("zstore", store, logs)
    assert done.code == 111
    assert done.err == b"zstore: warning: unable to read %b/current: symbolic link loop\n" % bytes(logs)
    (logs / "current").unlink()
    (tmp_path / "aside").write_bytes(b"".join(lines))
    (tmp_path / "aside").rename(logs / "current")
    zstore(store, logs)
    assert zlines(store) == matched(lines)


def test_a_damaged_log_is_named_and_all_else_is_learnt(tmp_path: Path) -> None:
    lines = mail(60)
    logs, store = tmp_path / "logs", tmp_path / "store"
    old = put_old(logs, second_of(lines[9]), b"".join(lines[:10]), ".s.zst")
    old.write_bytes(old.read_bytes()[:20])
    put_current(logs, b"".join(lines[10:]))
    zstore(
        store,
        logs,
        err=b"zstore: warning: unable to read %b: compressed data is cut off\n" % bytes(old),
        code=111,
    )
    assert zlines(store) == matched(lines[10:])


def test_logs_without_stamps_are_named(tmp_path: Path) -> None:
    put_current(tmp_path / "logs", b"new msg 1\ninfo msg 1: bytes 2 from <a@b> qp 3 uid 4\n")
    err = b"zstore: warning: %b/logs/current has no stamps: they come from multilog t\n" % bytes(tmp_path)
    zstore(tmp_path / "store", tmp_path / "logs", err=err, code=111)


def test_a_clock_that_jumps_by_years_leaves_no_points_between(tmp_path: Path) -> None:
    lines = [
        b"%b info msg 1: bytes 2 from <a@b> qp 3 uid 4\n" % label(5 * SECOND),
        b"%b new msg 2\n" % label(EPOCH),
        b"@ffffffffffffffff00000000 new msg 3\n",
    ]
    put_current(tmp_path / "logs", b"".join(lines))
    zstore(tmp_path / "store", tmp_path / "logs")
    assert len(minutes(tmp_path / "store")) <= 2
    assert zlines(tmp_path / "store") == b"? " + lines[2]


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_a_disk_that_is_full_is_told_and_the_store_stays_as_it_was(tmp_path: Path) -> None:
    lines = mail(5000)
    put_current(tmp_path / "logs", b"".join(lines[:200]))
    zstore(tmp_path / "store", tmp_path / "logs")
    put_current(tmp_path / "logs", b"".join(lines))
    full = ["strace", "-o", "/dev/null", "--inject=pwrite64:error=ENOSPC:when=3+"]
    done = run(*full, BIN / "zstore", tmp_path / "store", tmp_path / "logs")
    assert done.code == 111
    assert done.err.startswith(b"zstore: fatal: unable to use %b: " % bytes(tmp_path / "store"))
    assert done.err.count(b"\n") == 1
    assert zlines(tmp_path / "store") == matched(lines[:200])
    zstore(tmp_path / "store", tmp_path / "logs")
    assert zlines(tmp_path / "store") == matched(lines)


# -- crashes -------------------------------------------------------------------------------
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_a_kill_at_any_call_that_changes_the_disk_loses_nothing_and_counts_nothing_twice(tmp_path: Path) -> None:
    lines = mail(100)
    logs, store = tmp_path / "logs", tmp_path / "store"
    expected, known = matched(lines), one_pass(lines, tmp_path / "again")
    last = 0
    put_current(logs, b"".join(lines[:200]))
    zstore(tmp_path / "begun", logs)
    put_current(logs, b"".join(lines))
    for begun in (False, True):
        for at in range(1, 10_000):
            for file in tmp_path.glob("store*"):
                file.unlink()
            if begun:
                shutil.copy(tmp_path / "begun", store)
            killed = killed_at(at, store, logs)
            zstore(store, logs)
            assert zlines(store) == expected
            assert minutes(store) == known
            if not killed:
                break
            last = at
    assert last > 3


def killed_at(at: int, store: Path, logs: Path) -> bool:
    """Run zstore and kill it at call number *at* of those that change the disk; whether it got so far."""
    calls = "pwrite64,fsync,fdatasync,ftruncate,unlink"
    words = ["strace", "-o", "/dev/null", f"--inject={calls}:signal=KILL:when={at}", str(BIN / "zstore")]
    done = subprocess.run([*words, str(store), str(logs)], env=environment(), capture_output=True, check=False)
    assert done.returncode in (0, -signal.SIGKILL, 128 + signal.SIGKILL), done
    return done.returncode != 0


def test_a_stop_between_two_pieces_loses_nothing_and_counts_nothing_twice(tmp_path: Path) -> None:
    lines = mail(300)
    logs = tmp_path / "logs"
    put_old(logs, second_of(lines[399]), b"".join(lines[:400]), ".s.zst")
    put_current(logs, b"".join(lines[400:]))
    known = one_pass(lines, tmp_path / "again")
    for commits in range(3):
        store = tmp_path / f"store{commits}"
        stopped = Store(bytes(store), writing=True)
        with pytest.raises(Stop):
            Stopping(stopped, bytes(logs), commits).learn(print, piece=1)
        os.close(stopped.lock)
        zstore(store, logs)
        assert zlines(store) == matched(lines)
        assert minutes(store) == known


class Stop(Exception):
    pass


class Stopping(Learner):
    """A learner that stops behind so many commits."""

    def __init__(self, store: Store, folder: bytes, commits: int) -> None:
        super().__init__(store, folder)
        self.left = commits

    def commit(self, reading: Reading, first: int) -> None:
        if not self.left:
            raise Stop
        self.left -= 1
        super().commit(reading, first)


def test_whatever_system_call_fails_it_is_told_in_lines_and_the_next_run_makes_up_for_it(tmp_path: Path) -> None:
    lines = mail(60)
    logs, store = tmp_path / "logs", tmp_path / "store"
    put_old(logs, second_of(lines[99]), b"".join(lines[:100]), ".s.zst")
    put_current(logs, b"".join(lines[100:200]))
    zstore(tmp_path / "begun", logs)
    put_old(logs, second_of(lines[249]), b"".join(lines[100:250]), ".s.gz")
    put_current(logs, b"".join(lines[250:]))

    def fresh() -> None:
        shutil.copy(tmp_path / "begun", store)

    argv = [b"zstore", bytes(store), bytes(logs)]
    outcomes = 0
    for outcome in faults_of(zstore_command, argv, fresh=fresh):
        assert outcome.code in (0, 111), outcome
        assert all(line.startswith((b"zstore: warning: ", b"zstore: fatal: ")) for line in outcome.err.splitlines())
        assert outcome.out == b""
        outcomes += 1
        if outcomes % len(TROUBLE) == 0:
            assert run("zstore", store, logs).code == 0
            assert zlines(store) == matched(lines), outcome
    assert outcomes > 50


# -- the command ---------------------------------------------------------------------------
def test_only_one_writes_to_a_store(tmp_path: Path) -> None:
    put_current(tmp_path / "logs", b"".join(mail(5)))
    first = Store(bytes(tmp_path / "store"), writing=True)
    err = b"zstore: fatal: somebody else writes to %b\n" % bytes(tmp_path / "store")
    zstore(tmp_path / "store", tmp_path / "logs", err=err, code=111)
    os.close(first.lock)
    zstore(tmp_path / "store", tmp_path / "logs")


def test_a_file_that_is_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "store"
    file.write_bytes(b"not a database, but longer than the header of one would be: " * 20)
    before = file.read_bytes()
    for words in (["zstore", file, tmp_path], ["zlines", file], ["zplot", file]):
        line = b"%b: fatal: %b is no store of this zstore\n" % (str(words[0]).encode(), bytes(file))
        assert run(*words) == (100, b"", line)
    assert file.read_bytes() == before
    other = tmp_path / "other"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE mine (words TEXT)")
    zstore(other, tmp_path, err=b"zstore: fatal: %b is no store of this zstore\n" % bytes(other), code=100)
    done = run("zlines", tmp_path / "missing")
    assert (done.code, done.err.count(b"\n")) == (111, 1)
    assert not (tmp_path / "missing").exists()


def test_several_directories_are_kept_apart_in_one_store(tmp_path: Path) -> None:
    one, other = mail(30, 1), mail(30, 2)
    put_current(tmp_path / "a", b"".join(one))
    put_current(tmp_path / "b", b"".join(other))
    zstore(tmp_path / "store", tmp_path / "a", tmp_path / "b")
    assert zlines(tmp_path / "store") == matched(one) + matched(other)


def test_who_reads_slowly_does_not_keep_zstore_from_writing(tmp_path: Path) -> None:
    lines = mail(3000)
    put_current(tmp_path / "logs", b"".join(lines[:-1000]))
    zstore(tmp_path / "store", tmp_path / "logs")
    with start("zlines", tmp_path / "store", stdout=subprocess.PIPE) as slow:
        assert slow.stdout is not None
        begin = slow.stdout.read(10)
        put_current(tmp_path / "logs", b"".join(lines))
        zstore(tmp_path / "store", tmp_path / "logs")
        assert begin + slow.stdout.read() == matched(lines[:-1000])
    assert zlines(tmp_path / "store") == matched(lines)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_a_store_can_be_read_by_who_may_not_write_to_it(known: Path) -> None:
    with tempfile.TemporaryDirectory() as name:  # not pytest's, into which nobody else can go
        Path(name).chmod(0o755)
        store = Path(shutil.copy(known, name))
        store.chmod(0o644)
        done = run("zlines", store, user=NOBODY)
        assert (done.code, done.err) == (0, b"")
        assert done.out == zlines(known)
        assert run("zplot", store, user=NOBODY).code == 0
        refused = run("zstore", store, "/", user=NOBODY)
        assert refused.err == b"zstore: fatal: unable to lock %b: access denied\n" % bytes(store)


def test_zlines_leaves_out_what_ended_before_or_after(tmp_path: Path) -> None:
    lines = mail(100)
    put_current(tmp_path / "logs", b"".join(lines))
    zstore(tmp_path / "store", tmp_path / "logs")
    since, before = second_of(lines[0]) // 1 + 10, second_of(lines[0]) // 1 + 20
    some = zlines(
        tmp_path / "store",
        "--since", label(EPOCH + int(since) * SECOND).decode(),
        "--until", label(EPOCH + int(before) * SECOND).decode(),
    )  # fmt: skip
    place = {b"d": 4, b"m": 2}
    expected = [
        line
        for line in matched(lines).splitlines(keepends=True)
        if since <= float(line.split()[place[line[:1]]]) - EPOCH // SECOND < before
    ]
    assert expected
    assert some == b"".join(expected)


def test_k_forgets_what_is_old(tmp_path: Path) -> None:
    put_current(tmp_path / "logs", b"".join(mail(30)))
    zstore(tmp_path / "store", tmp_path / "logs")
    with sqlite3.connect(tmp_path / "store") as database:
        database.execute("UPDATE result SET first = 1, last = 2")
        database.execute("UPDATE minute SET number = 1 WHERE number = (SELECT min(number) FROM minute)")
    left = len(minutes(tmp_path / "store"))
    assert run("zstore", "-k", "10w", tmp_path / "store", tmp_path / "logs").code == 0
    assert zlines(tmp_path / "store") == b""
    assert len(minutes(tmp_path / "store")) == left - 1
    assert run("zstore", "-k", "long", tmp_path / "store", tmp_path / "logs").code == 100


def test_k_forgets_messages_that_came_before_and_have_not_left(tmp_path: Path) -> None:
    now = time.time_ns()
    events = [
        (72, b"info msg 1: bytes 1 from <a@b> qp 1 uid 2"),
        (71, b"info msg 2: bytes 2 from <a@b> qp 2 uid 2"),
        (48, b"starting delivery 1: msg 2 to remote c@d"),
        (9, b"info msg 3: bytes 3 from <a@b> qp 3 uid 2"),
        (8, b"new msg 9"),
    ]
    lines = [b"%b %b\n" % (label(now - hours * 3600 * SECOND), text) for hours, text in events]
    put_current(tmp_path / "logs", b"".join(lines))
    for options, queue in ((["-k", "5d"], 3), (["-k", "36h"], 2)):
        assert run("zstore", *options, tmp_path / "store", tmp_path / "logs") == (0, b"", b"")
        assert json.loads(zplot("--json", tmp_path / "store").splitlines()[-1])["queue"] == queue
    ends = [b"%b end msg %d\n" % (label(now), number) for number in (1, 2, 3)]
    put_current(tmp_path / "logs", b"".join(lines + ends))
    zstore(tmp_path / "store", tmp_path / "logs")
    assert [line.split()[3] for line in zlines(tmp_path / "store").splitlines()] == [b"2", b"3"]


def test_a_number_that_is_used_again_is_in_the_queue_once(tmp_path: Path) -> None:
    events = [(0, b"new msg 1"), (0, b"info msg 1: bytes 1 from <a@b> qp 1 uid 2")]
    events += [(90, b"new msg 1"), (90, b"info msg 1: bytes 2 from <a@b> qp 3 uid 2"), (150, b"end msg 1")]
    lines = [b"%b %b\n" % (label(EPOCH + at * SECOND), text) for at, text in [*events, (400, b"new msg 9")]]
    put_current(tmp_path / "logs", b"".join(lines))
    zstore(tmp_path / "store", tmp_path / "logs")
    points = [json.loads(line) for line in zplot("--json", *period(5), tmp_path / "store").splitlines()]
    assert [point["queue"] for point in points] == [1, 1, 1, 0, 0]


# -- plots ---------------------------------------------------------------------------------
LOG = [
    (0, b"info msg 1: bytes 1000 from <a@b> qp 1 uid 2"),
    (10, b"starting delivery 1: msg 1 to local c@d"),
    (20, b"starting delivery 2: msg 1 to remote e@f"),
    (40, b"delivery 1: success: ok/"),
    (100, b"delivery 2: deferral: later/"),
    (200, b"starting delivery 3: msg 1 to remote e@f"),
    (215, b"delivery 3: failure: no/"),
    (216, b"end msg 1"),
    (217, b"status: local 0/10 remote 0/20"),
    (300, b"new msg 2"),
]


@pytest.fixture
def known(tmp_path: Path) -> Path:
    """A store that knows LOG."""
    lines = [b"%b %b\n" % (label(EPOCH + second * SECOND), text) for second, text in LOG]
    put_current(tmp_path / "logs", b"".join(lines))
    zstore(tmp_path / "store", tmp_path / "logs")
    return tmp_path / "store"


def zplot(*words: str | Path) -> bytes:
    done = run("zplot", *words)
    assert (done.code, done.err) == (0, b"")
    return done.out


def period(minutes: int) -> list[str]:
    """The options for so many minutes from the begin of the logs on."""
    return ["--since", label(EPOCH).decode(), "--until", label(EPOCH + minutes * 60 * SECOND).decode()]


def test_json_has_queue_concurrency_and_results_of_each_minute(known: Path) -> None:
    points = [json.loads(line) for line in zplot("--json", *period(5), known).splitlines()]
    assert [point["time"] for point in points][:2] == ["2027-01-15T08:00:00Z", "2027-01-15T08:01:00Z"]
    assert [point["queue"] for point in points] == [1, 1, 1, 1, 0]
    assert [point["peak"] for point in points] == [2, 1, 0, 1, 0]
    busy = [30 + 40, 40, 0, 15, 0]  # seconds of deliveries
    assert [point["concurrency"] for point in points] == [round(seconds / 60, 6) for seconds in busy]
    for word, counts in {
        "successes": [1, 0, 0, 0, 0], "deferrals": [0, 1, 0, 0, 0], "failures": [0, 0, 0, 1, 0],
        "messages": [0, 0, 0, 1, 0], "bytes": [0, 0, 0, 1000, 0],
    }.items():  # fmt: skip
        assert [point[word] for point in points] == counts, word


def test_what_is_pending_is_shown_until_now(tmp_path: Path) -> None:
    began = time.time_ns() - 600 * SECOND
    for at, folder in enumerate(("a", "b")):
        line = b"%b info msg 1: bytes 1000 from <a@b> qp 1 uid 2\n%b new msg 9\n"
        moments = label(began + at * 60 * SECOND), label(began + (at * 60 + 1) * SECOND)
        put_current(tmp_path / folder, line % moments)
    zstore(tmp_path / "store", tmp_path / "a", tmp_path / "b")
    points = [json.loads(line)["queue"] for line in zplot("--json", "--since", "20m", tmp_path / "store").splitlines()]
    assert points[0] == 0
    assert sorted(points) == points
    assert points[-3:] == [2, 2, 2]


@pytest.mark.parametrize(
    ("second", "restart"), [(130, b"status: exiting"), (130, b"starting delivery 1: msg 2 to remote g@h")]
)
def test_deliveries_of_a_qmail_send_that_is_gone_are_not_shown(tmp_path: Path, second: int, restart: bytes) -> None:
    lines = [(0, b"info msg 1: bytes 1000 from <a@b> qp 1 uid 2")]
    lines += [(60, b"starting delivery %d: msg 1 to remote c@d" % number) for number in range(1, 6)]
    lines += [(second, restart), (second + 50, b"delivery 1: success: ok/"), (600, b"new msg 9")]
    put_current(tmp_path / "logs", b"".join(b"%b %b\n" % (label(EPOCH + at * SECOND), text) for at, text in lines))
    zstore(tmp_path / "store", tmp_path / "logs")
    points = [json.loads(line) for line in zplot("--json", *period(5), tmp_path / "store").splitlines()]
    busy = [0, 5 * 60, 5 * 10 + (50 if b"starting" in restart else 0), 0, 0]  # seconds of deliveries
    assert [point["concurrency"] for point in points] == [round(seconds / 60, 6) for seconds in busy]


def test_points_can_be_longer(known: Path) -> None:
    (point,) = [json.loads(line) for line in zplot("--json", "--every", "1h", *period(5), known).splitlines()]
    assert (point["seconds"], point["successes"], point["queue"], point["peak"]) == (3600, 1, 1, 2)
    assert point["concurrency"] == round(125 / 3600, 6)


def test_the_plot_is_an_svg_image_with_a_curve_for_each_kind(known: Path) -> None:
    from xml.etree import ElementTree

    image = ElementTree.fromstring(zplot("-u", *period(5), known))
    assert image.tag == "{http://www.w3.org/2000/svg}svg"
    curves = image.findall(".//{*}polyline")
    assert len(curves) == 8
    queue = [float(place.split(",")[1]) for place in (curves[0].get("points") or "").split()]
    assert queue[0] == queue[3] < queue[4]  # in pixels from above
    texts = [text.text for text in image.findall(".//{*}text")]
    assert "Messages in the queue" in texts and "08:05" in texts


def test_pages_are_put_into_a_folder(known: Path, tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    assert zplot("-p", tmp_path / "www", known) == b""
    names = {file.name for file in (tmp_path / "www").iterdir()}
    assert names == {"day.svg", "week.svg", "month.svg", "year.svg", "index.html"}
    page = (tmp_path / "www" / "index.html").read_text()
    assert all(name in page for name in names - {"index.html"})


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_that_takes_no_pages_is_named(known: Path, tmp_path: Path, there: bool) -> None:
    folder = tmp_path / "www"
    if there:
        folder.write_bytes(b"")
    why = b"not a directory" if there else b"file does not exist"
    line = b"zplot: fatal: unable to write plots into %b: %b\n" % (bytes(folder), why)
    assert run("zplot", "-p", folder, known) == (111, b"", line)


def test_the_pages_are_of_a_day_a_week_a_month_and_a_year(known: Path, tmp_path: Path) -> None:
    def as_asked() -> bool:
        zplot("-up", tmp_path, known)
        spans = {"day": "1d", "week": "7d", "month": "31d", "year": "366d"}
        pages = {name: (tmp_path / f"{name}.svg").read_bytes() for name in spans}
        assert len(set(pages.values())) == 4
        return pages == {name: zplot("-u", "--since", span, known) for name, span in spans.items()}

    until(as_asked)  # a minute may be over in between


def test_an_empty_store_makes_empty_plots(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    put_current(tmp_path / "logs", b"")
    zstore(tmp_path / "store", tmp_path / "logs")
    assert zplot(tmp_path / "store").endswith(b"</svg>\n")


@pytest.mark.parametrize("words", [[], ["a", "b"], ["--every", "90s", "a"], ["-p", "www", "--json", "a"]])
def test_wrong_usage_of_zplot_is_refused(words: list[str]) -> None:
    assert run("zplot", *words).code == 100


# -- the real thing ------------------------------------------------------------------------
@pytest.mark.parametrize("rooted", [False])
def test_the_log_of_a_mail_system_is_learnt(rooted: bool, tmp_path: Path) -> None:
    with Instance(rooted) as mail_system:
        for _ in range(3):
            mail_system.joe.received(mail_system.send(mail_system.joe.address, mail_system.sue.address))
        mail_system.wait_until_empty()
        until(lambda: mail_system.log("qmail-send").count("end msg") == 3)
        logs = mail_system.service / "qmail-send" / "log" / "main"
        for _ in range(2):
            zstore(tmp_path / "store", mail_system.service / "qmail-send")
        assert zlines(tmp_path / "store") == matched((logs / "current").read_bytes().splitlines(keepends=True))
        overall = run("zoverall", input=zlines(tmp_path / "store")).out.decode()
        assert "Completed messages: 3\nRecipients for completed messages: 6\n" in overall
        assert "success: 6\n  failure: 0\n" in overall
        by_name = run("zstore", tmp_path / "other", env={"QMAILHOME": str(mail_system.home)})
        assert (by_name.code, by_name.err) == (0, b"")
        assert zlines(tmp_path / "other") == zlines(tmp_path / "store")
