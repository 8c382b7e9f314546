"""queue-fix repairs a queue, whatever is wrong with it and whatever kills it, and loses nothing."""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from broken import LONG_AGO, USER, Broken
from commands import run, start
from crashes import CALLS, crashes_of, killed
from faults import faults_of
from faults import run as fork
from sending import Home, Sending
from until import until

from mta.queue import layout
from tools.repair.queue_fix import main

FINISHED = "queue-fix finished..."
CHANGES = [call for call in CALLS if call not in ("open", "close", "write")]


@pytest.fixture
def home() -> Iterator[Broken]:
    """A sound queue with mail in it."""
    broken = Broken()
    assert broken.fix()[0] == 0
    broken.fill()
    assert broken.fix() == (0, [FINISHED])
    yield broken
    broken.remove()


@pytest.fixture(params=[(23, False), (11, False), (23, True), (11, True)], ids=["same", "split", "big", "split big"])
def copy(request: pytest.FixtureRequest) -> Iterator[Broken]:
    """A queue that was copied, from a system with as many parts, or others, or todo split too."""
    split, big = request.param
    broken = Broken(split=split).fill()
    if big:
        broken.split_todo()
    broken.copied()
    yield broken
    broken.remove()


def sound(home: Broken) -> bool:
    """Whether qmail-qsanity finds nothing."""
    run_folder = home.folder / "run"
    if not run_folder.exists():
        run_folder.mkdir()
        shutil.chown(run_folder, home.queue.stat().st_uid, home.queue.stat().st_gid)
        run_folder.chmod(0o755)
    user = USER if os.geteuid() == 0 and home.owner is not None else None
    done = run("qmail-qsanity", env={"QMAILHOME": str(home.folder)}, user=user)
    assert done.err == b""
    return done.code == 0


# -- what it repairs -----------------------------------------------------------------------------


def test_it_makes_a_queue_from_nothing() -> None:
    home = Broken()
    try:
        shutil.rmtree(home.queue)
        before = home.everything()
        told = home.fix("-N")
        assert home.everything() == before
        assert home.fix() == told
        assert told[0] == 0
        assert told[1][0] == "Q: missing"
        assert "Q/lock/trigger: missing" in told[1]
        assert told[1][-1] == FINISHED
        assert home.fix() == (0, [FINISHED])
        assert sound(home)
    finally:
        home.remove()


def waiting(home: Broken, text: bytes = b"two") -> int:
    """The number of the message *text*, which waits."""
    return next(number for number in home.numbers() if (home.file(layout.mess(number)) or b"").endswith(text))


def place(home: Broken, kind: str, text: bytes = b"two") -> Path:
    return home.place(kind, waiting(home, text))


def rewritten(file: Path) -> None:
    """Give *file* another inode."""
    copy = file.with_name("copy")
    shutil.copy2(file, copy)
    shutil.chown(copy, file.stat().st_uid, file.stat().st_gid)
    copy.rename(file)


def moved(file: Path, to: Path) -> None:
    to.parent.mkdir(exist_ok=True)
    file.rename(to)


MENDED: dict[str, tuple[Callable[[Broken], object], str]] = {
    "a folder": (lambda h: (h.queue / "pid").rmdir(), "Q/pid: missing"),
    "a part": (lambda h: shutil.rmtree(empty_part(h)), ": missing"),
    "the lock": (lambda h: (h.queue / "lock/sendmutex").unlink(), "Q/lock/sendmutex: missing"),
    "the lock's folder": (lambda h: shutil.rmtree(h.queue / "lock"), "Q/lock: missing"),
    "a FIFO that is a file": (lambda h: as_file(h.queue / "lock/trigger"), "trigger: damaged: not a fifo"),
    "tcpto": (lambda h: (h.queue / "lock/tcpto").write_bytes(b""), "tcpto: damaged: 0 bytes, should be 1024"),
    "a folder's mode": (lambda h: (h.queue / "info").chmod(0o755), "Q/info: mode 0755, should be 0700"),
    "a file's mode": (lambda h: place(h, "info").chmod(0o666), ": mode 0666, should be 0600"),
    "a number": (lambda h: rewritten(place(h, "mess")), ": becomes "),
    "a number of one in todo": (lambda h: rewritten(place(h, "mess", b"four")), ": becomes "),
    "a wrong part": (lambda h: moved(place(h, "local"), empty_part(h) / place(h, "local").name), "to its place"),
    "no part": (lambda h: moved(place(h, "mess"), h.queue / "mess" / place(h, "mess").name), "to its place"),
    "an empty part": (lambda h: (h.queue / "todo/7").mkdir(), "Q/todo/7: an empty part too many"),
    "a split todo": (lambda h: h.split_todo(), "to its place"),
}


def empty_part(home: Broken) -> Path:
    return next(part for part in (home.queue / "local").iterdir() if not os.listdir(part))


def as_file(file: Path) -> None:
    file.unlink()
    file.write_bytes(b"")


@pytest.mark.parametrize("name", MENDED)
def test_what_is_wrong_is_named_and_repaired(home: Broken, name: str) -> None:
    damage, told = MENDED[name]
    mail = home.mail()
    damage(home)
    before = home.everything()
    only_told = home.fix("-N")
    assert home.everything() == before
    code, lines = home.fix()
    assert (code, lines) == only_told
    assert code == 0
    assert [line for line in lines if told in line], lines
    assert not [line for line in lines if line.startswith("warning")], lines
    assert home.fix() == (0, [FINISHED])
    assert home.mail() == mail
    assert sound(home)


WARNED: dict[str, tuple[Callable[[Broken], object], str]] = {
    "a stranger": (lambda h: (h.queue / "bounce/core").write_bytes(b""), "Q/bounce/core: belongs to no message"),
    "one at the top": (lambda h: (h.queue / "core").write_bytes(b""), "Q/core: belongs to no message"),
    "a folder": (lambda h: (h.queue / "mess/3/77").mkdir(), "Q/mess/3/77: belongs to no message"),
    "a link": (lambda h: (h.queue / "todo/77").symlink_to("/etc/passwd"), "Q/todo/77: belongs to no message"),
    "a link to a folder": (lambda h: (h.queue / "todo/3").symlink_to("/etc"), "Q/todo/3: belongs to no message"),
    "a part in use": (lambda h: used(h.queue / "mess/99"), "Q/mess/99: a part too many, and not empty"),
    "no text": (lambda h: place(h, "mess").unlink(), " is in no legal state: ---+++"),
    "two of a kind": (lambda h: doubled(h, place(h, "local")), " has two files: local/"),
    "a name outside": (lambda h: os.link(place(h, "mess"), h.scratch / "mine"), "it has names outside the queue"),
    "a lock that is a link": (lambda h: linked(h.queue / "lock/tcpto"), "tcpto: damaged: not a file"),
}


def used(part: Path) -> None:
    part.mkdir()
    (part / "notes").write_bytes(b"mine")


def doubled(home: Broken, file: Path) -> None:
    other = file.parent.with_name("21" if file.parent.name == "22" else "22") / file.name
    shutil.copy2(file, other)
    home.chown(other)


def linked(file: Path) -> None:
    file.unlink()
    file.symlink_to("/etc/passwd")


@pytest.mark.parametrize("name", WARNED)
def test_what_cannot_be_repaired_is_named_and_left(home: Broken, name: str) -> None:
    damage, told = WARNED[name]
    damage(home)
    before = home.everything()
    code, lines = home.fix()
    assert code == 0
    assert [line for line in lines if line.startswith("warning: ") and told in line], lines
    assert home.everything() == before
    assert home.fix("-N") == (code, lines)


@pytest.mark.parametrize("kind", ["a file", "a link"])
def test_what_has_the_name_of_a_folder_stops_it_before_it_begins(home: Broken, kind: str) -> None:
    (home.queue / "pid").rmdir()
    shutil.rmtree(home.queue / "bounce")
    if kind == "a file":
        (home.queue / "bounce").write_bytes(b"")
    else:
        (home.queue / "bounce").symlink_to(home.scratch)
    before = home.everything()
    code, lines = home.fix()
    assert code == 111
    assert "bounce is no folder, so nothing was done" in lines[0]
    assert home.everything() == before


# -- numbers -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mail() -> Counter[tuple[bytes, ...]]:
    """What is in a queue with mail in it."""
    home = Broken().fill()
    try:
        return home.mail()
    finally:
        home.remove()


def test_a_copied_queue_is_repaired_once_and_for_all(copy: Broken, mail: Counter[tuple[bytes, ...]]) -> None:
    before = copy.everything()
    told = copy.fix("-N")
    assert copy.everything() == before
    assert copy.fix() == told
    assert sum(": becomes " in line for line in told[1]) == 8
    after = copy.everything()
    assert copy.fix() == (0, [FINISHED])
    assert copy.everything() == after
    assert sound(copy)
    assert copy.mail() == mail


def circle(home: Broken) -> None:
    """Let the messages have each other's numbers, one going round."""
    numbers = sorted(home.numbers())
    for number, other in zip(numbers, numbers[1:] + numbers[:1], strict=True):
        for name in layout.NAMES:
            file = home.queue / os.fsdecode(name(number))
            if file.exists():
                file.rename(home.queue / f"{os.fsdecode(name(other))}.new")
    for file in home.queue.rglob("*.new"):
        file.rename(file.with_suffix(""))


def test_messages_that_have_each_others_numbers_get_their_own(home: Broken) -> None:
    mail = home.mail()
    circle(home)
    assert home.mail() == mail
    code, lines = home.fix()
    assert code == 0
    assert sum(": becomes " in line for line in lines) == 7
    assert home.fix() == (0, [FINISHED])
    assert home.mail() == mail
    assert sound(home)


def test_a_message_whose_number_somebody_keeps_stays(home: Broken) -> None:
    file = place(home, "mess")
    rewritten(file)
    number, new = int(file.name), file.stat().st_ino
    other = home.place("bounce", new)
    other.write_bytes(b"whose?")
    home.own(other, "qmails", 0o600, b"")
    mail = home.mail()
    code, lines = home.fix()
    assert code == 0
    assert f"warning: message {number} stays: {new} is taken" in lines
    assert home.mail() == mail
    other.unlink()
    assert f"message {number}: becomes {new}" in home.fix()[1]
    assert home.mail() == mail


def test_a_message_in_todo_that_is_damaged_keeps_what_was_made_of_it(home: Broken) -> None:
    begun = waiting(home, b"begun")
    rewritten(home.place("mess", begun))
    home.place("todo", begun).write_bytes(b"u500\0p")
    before = home.everything()
    code, lines = home.fix()
    assert code == 0
    assert f"warning: message {begun} stays: todo breaks off within an address" in lines
    assert home.everything() == before


@pytest.mark.parametrize("big", [False, True])
def test_a_queue_copied_to_another_file_system_is_delivered(big: bool) -> None:
    home, mail = Broken(), Home()
    try:
        shutil.rmtree(home.scratch)
        home.scratch, home.folder, home.queue = mail.home, mail.home, mail.path
        mail.give_away()
        home.fill()
        if big:
            home.split_todo()
        home.copied(tmpfs=os.geteuid() == 0)
        assert home.fix()[0] == 0
        assert sound(home)
        with Sending(mail) as sending:
            until(lambda: not home.numbers())
            sending.stop()
            log = "\n".join(sending.lines)
        who = [b"eve@far.example"] * 4 + [b"far@far.example"] + [b"joe@example.org"] * 3 + [b"sue@example.org"] * 3
        who += [sender + b"@mail.example.org" for sender in (b"one", b"two", b"three")]  # get their bounces
        assert sorted(sending.recipients()) == sorted(who), log
        assert "warning" not in log
        assert "alert" not in log
    finally:
        home.remove()


# -- killed --------------------------------------------------------------------------------------


def repair(home: Broken) -> Callable[[], None]:
    """The command, to be killed."""

    def act() -> None:
        for fd in (0, 1):
            os.dup2(os.open("/dev/null", os.O_RDWR), fd)
        assert main([b"queue-fix", os.fsencode(home.queue)]) == 0

    return act


class Copies:
    """A small queue, copied afresh each time; its messages have each other's numbers, one going round."""

    def __init__(self) -> None:
        self.home = Broken(split=layout.SPLIT)
        self.home.fix()
        self.home.active(b"one", [b"Tjoe@example.org"], (), b"<gone>:\nno\n\n", b"one")
        self.home.active(b"two", (), [b"Ttwo@far.example"], b"", b"two")
        self.home.put("local", self.home.submitted(b"three", [b"sue@example.org"], b"three"), b"Tsue", LONG_AGO)
        self.home.text(b"not accepted")
        self.template = self.home.scratch / "template"
        self.home.queue.rename(self.template)
        self.afresh()
        self.mail = self.home.mail()
        assert len(self.mail) == 3

    def afresh(self) -> None:
        queue = self.home.queue
        shutil.rmtree(queue, ignore_errors=True)
        queue.mkdir(0o750)
        for folder, folders, names in os.walk(self.template):
            for name in (*folders, *names):
                old = Path(folder, name)
                new = queue / old.relative_to(self.template)
                if name in folders:
                    new.mkdir()
                elif name == "trigger":
                    os.mkfifo(new)
                elif not name.isdigit():
                    new.write_bytes(old.read_bytes())
                if new.exists():
                    new.chmod(old.stat().st_mode & 0o7777)
        old_texts = [file for file in sorted((self.template / "mess").rglob("*")) if file.is_file()]
        numbers = []
        for file in old_texts:
            draft = queue / "pid" / file.name
            draft.write_bytes(file.read_bytes())
            numbers.append(draft.stat().st_ino)
        for file, number in zip(old_texts, numbers[1:] + numbers[:1], strict=True):
            for name in layout.NAMES:
                old = self.template / os.fsdecode(name(int(file.name)))
                new = queue / os.fsdecode(name(number))
                if name is layout.mess:
                    (queue / "pid" / file.name).rename(new)
                elif name is layout.intd and old.exists():
                    os.link(queue / os.fsdecode(layout.todo(number)), new) if new.exists() else shutil.copy2(old, new)
                elif old.exists():
                    shutil.copy2(old, new)
        if os.geteuid() == 0:
            for folder, folders, names in os.walk(queue):
                for name in (".", *folders, *names):
                    os.chown(os.path.join(folder, name), USER, USER)


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> Iterator[Copies]:
    monkeypatch.setattr(os, "sync", lambda: None)
    monkeypatch.setattr(layout, "SPLIT", 3)  # fewer folders to look at each time
    found = Copies()
    yield found
    found.home.remove()


def test_whatever_kills_it_another_run_loses_and_doubles_nothing(copies: Copies) -> None:
    crashes = 0
    for crashes in crashes_of(repair(copies.home), copies.afresh, calls=CHANGES):
        only_told = copies.home.fix("-N")
        assert copies.home.fix() == only_told, crashes
        assert copies.home.mail() == copies.mail, crashes
        assert not (copies.home.queue / "moving").exists()
        assert copies.home.fix() == (0, [FINISHED]), crashes
    assert crashes > 50


def test_a_qmail_send_that_comes_first_sees_each_message_whole_or_not_at_all(copies: Copies) -> None:
    crashes = 0
    for crashes in crashes_of(repair(copies.home), copies.afresh, calls=CHANGES):
        delivered = copies.home.deliver()
        assert delivered <= copies.mail, crashes
        assert copies.home.fix()[0] == 0
        assert delivered + copies.home.mail() == copies.mail, crashes
    assert crashes > 50


@pytest.mark.long
def test_a_second_kill_does_no_harm_either(copies: Copies) -> None:
    home, action = copies.home, repair(copies.home)
    for first in (10, 25, 40, 50, 60):

        def half(first: int = first) -> None:
            copies.afresh()
            killed(action, first, calls=CHANGES)

        for crashes in crashes_of(action, half, calls=CHANGES):
            if crashes % 3 == 0:
                assert home.fix()[0] == 0
                assert home.mail() == copies.mail, (first, crashes)


def faults(copies: Copies) -> Iterator[str]:
    """Let its calls fail, one after another, and run it again each time; the names of the calls."""
    for outcome in faults_of(main, [b"queue-fix", os.fsencode(copies.home.queue)], fresh=copies.afresh):
        assert outcome.code == 0 or (outcome.code == 111 and outcome.err.count(b"\n") == 1), outcome
        assert b"bug" not in outcome.err
        assert copies.home.fix()[0] == 0
        assert copies.home.mail() == copies.mail, outcome
        assert copies.home.fix() == (0, [FINISHED])
        yield outcome.call


CHANGING = ("link", "rename", "unlink", "mkdir", "rmdir", "chown", "chmod", "listdir", "write")


def test_whatever_fails_another_run_loses_nothing(copies: Copies, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faults.TROUBLE", (errno.ENOSPC,))
    monkeypatch.setattr("faults.CALLS", CHANGING)
    assert {*CHANGING} - {"chown", "chmod"} < {*faults(copies)}


@pytest.mark.long
def test_whichever_call_fails_another_run_loses_nothing(copies: Copies, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faults.TROUBLE", (errno.EIO,))
    assert len([*faults(copies)]) > 300


@pytest.mark.root
def test_root_that_cannot_tell_whose_the_home_is_does_nothing(copy: Broken) -> None:
    before = copy.everything()
    done = fork(main, [b"queue-fix", os.fsencode(copy.queue)], 0, errno.EIO, b"", {}, "/")
    assert (done.call, done.code, done.out) == ("lstat", 111, b"")
    assert copy.everything() == before


# -- asking --------------------------------------------------------------------------------------


def test_it_asks_before_each_action(copy: Broken, mail: Counter[tuple[bytes, ...]]) -> None:
    before = copy.everything()
    actions = [line for line in copy.fix("-N")[1] if line != FINISHED and not line.startswith("warning")]
    code, lines = copy.fix("-i", input=b"n\n" * 999)
    assert copy.everything() == before
    assert (code, lines) == copy.fix("-i")
    assert copy.everything() == before
    assert code == 111 or lines[-1].endswith(FINISHED)
    code, lines = copy.fix("-i", input=b"y\n\nY\n" * 300)
    assert code == 0
    assert "".join(lines).count(" -- do it (Y/n)? ") == len(actions)
    assert copy.fix() == (0, [FINISHED])
    assert copy.mail() == mail


def test_what_is_refused_is_not_done_and_the_rest_is(home: Broken) -> None:
    home.place("info", waiting(home)).chmod(0o666)
    rewritten(home.place("mess", waiting(home)))
    assert home.fix("-i", input=b"n\ny\n")[0] == 0
    _, lines = home.fix("-N")
    assert [line.partition(": ")[2] for line in lines] == ["mode 0666, should be 0600", ""]


def test_wrong_usage_is_refused(tmp_path: Path) -> None:
    for words in ([], ["-iN", "q"], ["-x", "q"], ["q", "r"]):
        code, _, err = run("queue-fix", *words, cwd=tmp_path)
        assert code == 100
        assert b"usage: queue-fix [ -i | -N ] queuedir" in err
    assert run("queue-fix", "a/b", cwd=tmp_path).code == 111
    assert os.listdir(tmp_path) == []


# -- others --------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["lock", "trigger"])
def test_it_refuses_while_qmail_send_runs(home: Broken, how: str) -> None:
    (home.queue / "pid").rmdir()
    flags = os.O_RDONLY | os.O_NONBLOCK
    fd = os.open(home.queue / "lock" / ("sendmutex" if how == "lock" else "trigger"), flags)
    if how == "lock":
        fcntl.flock(fd, fcntl.LOCK_EX)
    before = home.everything()
    for options in ([], ["-N"], ["-i"]):
        assert home.fix(*options) == (111, ["queue-fix: fatal: qmail-send is running: stop it first"])
        assert home.everything() == before
    os.close(fd)
    assert home.fix()[0] == 0


def test_qmail_send_cannot_start_meanwhile(home: Broken) -> None:
    (home.queue / "pid").rmdir()
    with start("queue-fix", "-i", home.queue, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as asking:
        assert asking.stdout
        assert asking.stdin
        assert b"pid: missing" in asking.stdout.read(len(os.fsencode(home.queue)) + len("/pid: missing"))
        fd = os.open(home.queue / "lock/sendmutex", os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        asking.stdin.write(b"y\n")
        asking.stdin.close()
        assert asking.wait() == 0
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(fd)


class Rooted(Broken):
    """Root's queue, and beside it what is no concern of the qmail users."""

    def __init__(self) -> None:
        super().__init__(None)
        self.fix()
        self.fill()
        assert self.fix()[0] == 0
        self.outside = self.scratch / "outside"
        self.outside.mkdir(mode=0o700)
        for number in self.numbers():
            (self.outside / str(number)).write_bytes(b"root's")
            (self.outside / str(number)).chmod(0o600)

    def untouched(self) -> dict[str, tuple[object, ...]]:
        return self.everything(self.outside)


@pytest.fixture
def rooted() -> Iterator[Rooted]:
    home = Rooted()
    yield home
    home.remove()


@pytest.mark.root
def test_root_makes_a_queue_of_the_qmail_users(rooted: Rooted) -> None:
    mail = rooted.mail()
    rooted.copied()
    assert rooted.fix()[0] == 0
    assert rooted.fix() == (0, [FINISHED])
    assert rooted.mail() == mail
    owners = {pwd.getpwuid(file.stat().st_uid).pw_name for file in (rooted.queue / "mess").rglob("*")}
    assert owners == {"qmailq"}
    assert sound(rooted)


TRAPS: dict[str, Callable[[Rooted], object]] = {
    "a part": lambda h: trap(h, "mess/3"),
    "a folder": lambda h: trap(h, "info"),
    "a part too many": lambda h: (h.queue / "todo/3").symlink_to(h.outside),
    "the lock": lambda h: trap(h, "lock/sendmutex", str(min(h.numbers()))),
    "the trigger": lambda h: trap(h, "lock/trigger", str(min(h.numbers()))),
    "moving": lambda h: trap(h, "moving"),
    "a file": lambda h: trap(h, os.fsdecode(layout.info(min(h.numbers()))), str(min(h.numbers()))),
    "a name": lambda h: os.link(h.outside / str(min(h.numbers())), h.queue / "bounce" / "77"),
    "a name of the lock's": lambda h: name_of_lock(h),
}


def trap(home: Rooted, name: str, target: str = "") -> None:
    file = home.queue / name
    if file.is_dir():
        shutil.rmtree(file)
    else:
        file.unlink(missing_ok=True)
    file.symlink_to(home.outside / target)
    os.lchown(file, pwd.getpwnam("qmailq").pw_uid, -1)


def name_of_lock(home: Rooted) -> None:
    (home.queue / "lock/tcpto").unlink()
    os.link(home.outside / str(min(home.numbers())), home.queue / "lock/tcpto")


@pytest.mark.root
@pytest.mark.parametrize("name", TRAPS)
def test_nobody_leads_root_out_of_the_queue(rooted: Rooted, name: str) -> None:
    TRAPS[name](rooted)
    for file in (rooted.queue / "mess").rglob("[0-9]*/[0-9]*"):
        if file.is_file():
            rewritten(file)
            break
    before = rooted.untouched()
    rooted.fix()
    rooted.fix()
    assert rooted.untouched() == before


@pytest.mark.root
@pytest.mark.parametrize("folder", ["info", "local/5", "todo"])
def test_nor_does_who_puts_a_link_there_meanwhile(rooted: Rooted, folder: str) -> None:
    for number in range(23 * 3):
        (rooted.outside / str(number)).write_bytes(b"")
    link, away = rooted.queue / "pid/link", rooted.queue / "pid/away"
    link.symlink_to(rooted.outside)
    before = rooted.untouched()
    pid = os.fork()
    if pid == 0:
        try:
            place = rooted.queue / folder
            while True:
                place.rename(away)
                link.rename(place)
                place.rename(link)
                away.rename(place)
        finally:
            os._exit(1)
    try:
        for _ in range(20):
            rooted.fix()
            assert rooted.untouched() == before
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
