"""qmhandle shows what is in the queue and deletes from it, never under the hands of qmail-send."""

from __future__ import annotations

import fcntl
import itertools
import os
import pty
import re
import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from broken import NEVER, Broken
from commands import run, start
from crashes import CALLS, crashes_of
from faults import Outcome, faults_of
from faults import run as fork
from instance import Instance, free_port
from until import until

from mta.queue import layout
from tools.repair.qmhandle import main
from tools.repair.rest import ENDING

CHANGES = [call for call in CALLS if call not in ("open", "close", "write")]
HEADER = b"From: Sue <sue@far.example>\nTo: joe@example.org,\n eve@far.example\nCc: boss@example.org\nSubject: %s\n"
HEADER += b"Date: 1 Jan 2024 00:00:00 -0000\nX-Spam: yes\n\nHello,\nbuy now.\n"


class Handled(Broken):
    """A queue with four messages: one that waits, one for this machine, one for elsewhere, one that has just come."""

    def __init__(self) -> None:
        super().__init__()
        assert self.fix()[0] == 0
        both = self.active(HEADER % b"hi", [b"Tjoe@example.org"], [b"Teve@far.example"], b"<gone>:\nno\n\n")
        local = self.active(HEADER % b"win money", [b"Tann@example.org"], (), b"", b"spam@far.example")
        remote = self.active(b"Subject: =?x?=\n\nbye", (), [b"Tbob@far.example", b"Ddone@far.example"], b"", b"")
        new = self.submitted(HEADER % b"new", [b"new@example.org"], b"new@far.example")
        self.names = {both: "both", local: "local", remote: "remote", new: "new"}
        self.number = {name: number for number, name in self.names.items()}
        assert self.fix()[0] == 0
        self.saved = self.scratch / "saved"
        shutil.copytree(self.queue, self.saved, ignore=shutil.ignore_patterns("lock"))

    def afresh(self) -> None:
        """Put all messages back."""
        shutil.copytree(self.saved, self.queue, dirs_exist_ok=True)
        for file in self.queue.rglob("*"):
            self.chown(file)

    def handle(self, *words: str) -> Outcome:
        """Run qmhandle in a process of its own."""
        argv = [b"qmhandle", *map(os.fsencode, words)]
        return fork(main, argv, NEVER, 0, b"", {"QMAILHOME": str(self.folder)}, "/")

    def there(self) -> set[str]:
        """The messages that are left; all of them are in a legal state."""
        before = os.getcwd()
        os.chdir(self.queue)
        try:
            states = {name: layout.state_of(number) for number, name in self.names.items()}
        finally:
            os.chdir(before)
        return {name for name, state in states.items() if state not in (layout.NOTHING, layout.ARRIVING)}


@pytest.fixture
def queue() -> Iterator[Handled]:
    handled = Handled()
    yield handled
    handled.remove()


# -- looking -------------------------------------------------------------------------------------


def test_a_list_has_a_block_for_each_message_and_ends_with_numbers(queue: Handled) -> None:
    code, out, err = queue.handle("-l")[2:]
    assert (code, err) == (0, b"")
    number = queue.number["both"]
    size = queue.place("mess", number).stat().st_size
    part = number % 23
    assert (
        f"{number} ({part}, {part}/{number})\n"
        "  Return-path: sue@far.example\n"
        "  From: Sue <sue@far.example>\n"
        "  To: joe@example.org,\n"
        "  Cc: boss@example.org\n"
        "  Subject: hi\n"
        "  Date: 1 Jan 2024 00:00:00 -0000\n"
        f"  Size: {size}\n"
    ) in out.decode()
    assert b"  Return-path: new@far.example\n" in out
    assert b"  Return-path: \n  Subject: =?x?=\n  Size: " in out
    assert out.endswith(
        b"Total messages: 4\nMessages with local recipients: 2\nMessages with remote recipients: 2\n"
        b"Messages with bounces: 1\nMessages in preprocess: 1\n"
    )


@pytest.mark.parametrize(
    ("option", "names"), [("-l", "both local remote new"), ("-L", "both local"), ("-R", "both remote")]
)
def test_a_list_may_be_of_some_and_of_numbers_only(queue: Handled, option: str, names: str) -> None:
    numbers = sorted(queue.number[name] for name in names.split())
    brief = queue.handle(option, "-N").out.decode().splitlines()
    assert brief[: len(numbers)] == [str(number) for number in numbers]
    assert brief[len(numbers)] == "Total messages: 4"
    blocks = re.findall(r"^(\d+) \(", queue.handle(option).out.decode(), re.MULTILINE)
    assert blocks == [str(number) for number in numbers]


def test_colours_are_around_the_words(queue: Handled) -> None:
    out = queue.handle("-lc").out
    assert b"  \33[1;34mSubject\33[0m: hi\n" in out
    assert b"\33[1;31mTotal messages\33[0m: 4\n" in out
    assert b"\33" not in queue.handle("-ls").out


def test_messages_are_shown_as_they_are(queue: Handled) -> None:
    number, other = queue.number["both"], queue.number["new"]
    out = queue.handle(f"-m{number}", "-m", str(other)).out
    whole = queue.place("mess", number).read_bytes()
    assert b"\n --------------\nMESSAGE NUMBER %d \n --------------\n%s" % (number, whole) in out
    assert out.endswith(queue.place("mess", other).read_bytes())
    done = queue.handle("-m77")
    assert (done.code, done.out, done.err) == (0, b"", b"qmhandle: there is no message 77\n")


def test_nothing_of_a_message_moves_the_terminal(queue: Handled) -> None:
    evil = "Subject: \33]0;x\7 grüß \u009b2J \u202e\n\nbody\33[2J\n".encode() + b"\x9b2J\n"
    number = queue.active(evil, (), [b"Teve@far.example"], b"", b"\33[2J@far.example")
    assert queue.fix()[0] == 0
    out = queue.handle("-l").out
    assert "  Subject: ?]0;x? grüß ?2J ?\n".encode() in out
    assert b"  Return-path: ?[2J@far.example\n" in out
    leader, follower = pty.openpty()
    with start("qmhandle", f"-m{number}", env={"QMAILHOME": str(queue.folder)}, stdout=follower) as showing:
        os.close(follower)
        assert showing.wait() == 0
    seen = os.read(leader, 65536)
    os.close(leader)
    assert b"body?[2J\r\n?2J\r\n" in seen
    assert b"\33" not in seen
    assert evil in queue.handle(f"-m{number}").out


def test_what_goes_meanwhile_is_passed_by(queue: Handled) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            for number in itertools.cycle(queue.names):
                found = [queue.queue / os.fsdecode(name(number)) for name in layout.NAMES]
                there = [file for file in found if file.exists()]
                for file in there:
                    file.rename(queue.scratch / file.parent.parent.name)
                    (queue.scratch / file.parent.parent.name).rename(file)
        finally:
            os._exit(1)
    try:
        for option in ["-l", "-L", "-R", "-s", f"-m{queue.number['both']}"] * 8:
            done = queue.handle(option)
            assert done.code == 0, done
            assert b"fatal" not in done.err
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_both_names_do_the_same(queue: Handled) -> None:
    env = {"QMAILHOME": str(queue.folder)}
    assert run("qmHandle", "-s", env=env) == run("qmhandle", "-s", env=env)
    version = run("qmHandle", "-V", env=env).out
    assert version.startswith(b"qmHandle ")
    assert version.partition(b" ")[2] == run("qmhandle", "-V", env=env).out.partition(b" ")[2]


@pytest.mark.parametrize("words", [[], ["-x"], ["-l", "5"], ["-d"], ["-dfive"], ["-m", ""], ["-F", "("], ["-h", "["]])
def test_wrong_usage_is_refused_before_anything_is_done(queue: Handled, words: list[str]) -> None:
    done = queue.handle(*words, *(["-D"] if words[:1] not in ([], ["-d"], ["-l"]) else []))
    assert done.code == 100
    assert done.err.startswith(b"qmhandle: ")
    assert queue.there() == {*queue.number}


# -- deleting ------------------------------------------------------------------------------------


CHOICES = [
    (["-fspam@far.example"], "local"),
    (["-f", "spam@far"], ""),
    (["-f", "new@far.example"], "new"),
    (["-F^sp.m@"], "local"),
    (["-F", "far"], "both local new"),
    (["-S", "money"], "local"),
    (["-SMoney"], ""),
    (["-h^x-spam:"], "both local new"),
    (["-H^x-spam:"], ""),
    (["-H^X-Spam:"], "both local new"),
    (["-hbuy"], ""),
    (["-bBUY NOW"], "both local new"),
    (["-BBUY NOW"], ""),
    (["-Bbye"], "remote"),
    (["-D"], "both local remote new"),
    (["-S", "money", "-Bbye"], "local remote"),
]


@pytest.mark.parametrize(("words", "names"), CHOICES, ids=[" ".join(words) for words, _ in CHOICES])
def test_what_is_chosen_is_deleted_and_nothing_else(queue: Handled, words: list[str], names: str) -> None:
    done = queue.handle(*words)
    assert (done.code, done.out) == (0, b"")
    assert queue.there() == {*queue.number} - {*names.split()}
    told = [b"qmhandle: message %d is deleted" % number for number in sorted(queue.number[n] for n in names.split())]
    assert [line for line in done.err.splitlines() if b"is deleted" in line] == told
    assert told or b"there is no such message" in done.err
    for name in names.split():
        assert not [*queue.queue.rglob(str(queue.number[name]))]


@pytest.mark.parametrize("pattern", ["ubject", "^Subject:", "far.example", "Sue", "2024", "buy now"])
def test_a_subject_is_neither_its_name_nor_another_field(queue: Handled, pattern: str) -> None:
    assert b"there is no such message" in queue.handle("-S", pattern).err
    assert queue.there() == {*queue.number}
    assert b"is deleted" in queue.handle("-S", "^hi$").err
    assert queue.there() == {*queue.number} - {"both"}


def test_numbers_are_deleted(queue: Handled) -> None:
    both, new = queue.number["both"], queue.number["new"]
    done = queue.handle(f"-d{both}", "-d", str(new), "-d77", "-s")
    assert done.code == 0
    assert b"there is no message 77" in done.err
    assert queue.there() == {"local", "remote"}
    assert done.out.startswith(b"Total messages: 4\n")
    assert queue.handle("-s").out.startswith(b"Total messages: 2\n")


def test_whatever_kills_it_each_message_is_in_a_legal_state(queue: Handled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sync", lambda: None)

    def act() -> None:
        os.environ["QMAILHOME"] = str(queue.folder)
        os.dup2(os.open("/dev/null", os.O_RDWR), 2)
        assert main([b"qmhandle", b"-D"]) == 0

    crashed = []
    for crash in crashes_of(act, queue.afresh, calls=CHANGES):
        queue.there()
        assert queue.handle("-D").code == 0
        assert queue.there() == set()
        crashed.append(crash)
    assert len(crashed) > 15


@pytest.mark.long
def test_whatever_fails_each_message_is_in_a_legal_state(queue: Handled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faults.TROUBLE", (5,))
    env = {"QMAILHOME": str(queue.folder)}
    calls = set()
    for outcome in faults_of(main, [b"qmhandle", b"-Shi", b"-D"], fresh=queue.afresh, env=env):
        calls.add(outcome.call)
        assert outcome.code in (0, 111), outcome
        assert b"bug" not in outcome.err
        queue.there()
    assert {"unlink", "open", "listdir"} < calls


def test_messages_become_young_again_for_some_recipients(queue: Handled) -> None:
    births = {name: queue.place("info", queue.number[name]).stat().st_mtime for name in ("both", "local", "remote")}
    assert queue.handle("-tann@|eve@far").code == 0
    now = {name: queue.place("info", queue.number[name]).stat().st_mtime for name in births}
    assert [name for name in births if now[name] > births[name]] == ["both", "local"]
    assert queue.handle("-tdone@").code == 0
    assert queue.place("info", queue.number["remote"]).stat().st_mtime == births["remote"]


def test_without_its_service_a_qmail_send_that_runs_is_left_alone(queue: Handled) -> None:
    fd = os.open(queue.queue / "lock/sendmutex", os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    before = queue.everything()
    for words in (["-D"], ["-d77", f"-d{queue.number['new']}"], ["-tjoe"]):
        done = queue.handle(*words)
        assert done.code == 111
        assert b"qmail-send is running, and not as " in done.err
    assert queue.everything() == before
    assert queue.handle("-l").code == 0
    os.close(fd)


@pytest.mark.parametrize("folder", ["mess/%d", "info", "bounce", "intd"])
def test_no_link_leads_it_out_of_the_queue(queue: Handled, folder: str) -> None:
    outside = queue.scratch / "outside"
    outside.mkdir()
    for number in queue.names:
        (outside / str(number)).write_bytes(b"mine")
        (outside / str(number % 23)).mkdir(exist_ok=True)
        (outside / str(number % 23) / str(number)).write_bytes(b"mine")
    for name in {folder % (number % 23) if "%" in folder else folder for number in queue.names}:
        shutil.rmtree(queue.queue / name)
        (queue.queue / name).symlink_to(outside)
    before = queue.everything(outside)
    queue.handle("-D")
    queue.handle("-t.")
    assert queue.everything(outside) == before


# -- the service ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mail() -> Iterator[Instance]:
    """A mail system where mail for far.example waits."""
    with Instance(rooted=False) as mail:
        mail.route("far.example", free_port())
        yield mail


def waits(mail: Instance) -> int:
    """Send a message that will wait; the process of qmail-send."""
    log = len(mail.log("qmail-send"))
    mail.send("eve@far.example")
    mail.logged("qmail-send", ": deferral: ", log)
    return mail.pid("qmail-send")


def up_again(mail: Instance, before: int) -> None:
    until(lambda: mail.pid("qmail-send") not in (0, before), what="qmail-send up again")


def test_it_stops_the_service_and_starts_it_again(mail: Instance) -> None:
    before = waits(mail)
    assert b"Total messages: 1\n" in mail.run("qmhandle", "-s").out
    assert mail.pid("qmail-send") == before
    done = mail.run("qmhandle", "-D", "-s")
    assert b"is deleted\nqmhandle: starting " in done.err
    assert mail.left() == []
    up_again(mail, before)
    mail.joe.received(mail.send(mail.joe.address))


@pytest.mark.parametrize("words", [["-d999999999", "-s"], ["-fnobody@far.example", "-Bnothing"], ["-tnobody@"]])
def test_with_nothing_to_do_it_stops_nothing(mail: Instance, words: list[str]) -> None:
    before = waits(mail)
    done = mail.run("qmhandle", *words)
    assert done.code == 0
    assert b"there is no " in done.err
    assert b"stopping" not in done.err
    assert (b"Total messages: 1\n" in done.out) == ("-s" in words)
    assert mail.pid("qmail-send") == before
    mail.run("qmhandle", "-D")
    up_again(mail, before)


def test_it_starts_it_again_when_it_fails(mail: Instance) -> None:
    before = waits(mail)
    with open("/dev/full", "wb") as full:
        words = {"env": mail.env, "user": mail.runner, "group": mail.runner} if mail.runner else {"env": mail.env}
        assert start("qmhandle", "-l", "-D", stdout=full, stderr=subprocess.DEVNULL, **words).wait() == 111
    up_again(mail, before)
    assert mail.left() != []
    mail.run("qmhandle", "-D")
    assert mail.left() == []


def test_the_end_of_what_it_deleted_can_be_put_into_the_log(mail: Instance) -> None:
    """As the page of zstore tells."""
    before = waits(mail)
    told = mail.run("qmhandle", "-D").err
    up_again(mail, before)
    number = re.search(rb"message (\d+) is deleted", told)
    assert number
    log = mail.service / "qmail-send/log"
    store = mail.scratch / "store"

    def ended() -> int:
        """How many messages have ended by what zstore knows."""
        mail.run("zstore", store, mail.service / "qmail-send")
        return sum(line.startswith(b"m ") for line in mail.run("zlines", store).out.splitlines())

    known = ended()
    mail.run("svc", "-d", "-wd", log)
    with (log / "main/current").open("ab") as current:
        current.write(mail.run("tai64n", input=b"end msg %b\n" % number[1]).out)
    mail.run("svc", "-u", log)
    assert ended() == known + 1
    after = len(mail.log("qmail-send"))
    mail.joe.received(mail.send(mail.joe.address))
    mail.logged("qmail-send", "end msg ", after)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_starts_it_again_when_a_signal_ends_it(mail: Instance, number: signal.Signals) -> None:
    go = mail.joe.home / "go"
    go.unlink(missing_ok=True)
    mail.joe.write(".qmail-slow", f"|while [ ! -e {go} ]; do sleep 0.05; done\n./Maildir/\n")
    log = len(mail.log("qmail-send"))
    text = mail.send("joe-slow@mail.example")
    mail.logged("qmail-send", "starting delivery", log)
    before = mail.pid("qmail-send")
    words = {"env": mail.env, "user": mail.runner, "group": mail.runner} if mail.runner else {"env": mail.env}
    with start("qmhandle", "-D", stderr=subprocess.PIPE, **words) as waiting:
        assert waiting.stderr
        assert b": stopping " in waiting.stderr.readline()
        until(lambda: b"want down" in mail.run("svstat", mail.service / "qmail-send").out)
        waiting.send_signal(number)
        said = waiting.stderr.read()
        assert waiting.wait() == 111
    assert said.endswith(b"qmhandle: fatal: interrupted\n")
    assert mail.left() != []
    go.touch()
    up_again(mail, before)
    mail.joe.received(text)
    mail.wait_until_empty()


def test_what_waits_is_tried_now(mail: Instance) -> None:
    before = waits(mail)
    log = len(mail.log("qmail-send"))
    assert mail.run("qmhandle", "-a").err == b""
    mail.logged("qmail-send", "starting delivery", log)
    assert mail.pid("qmail-send") == before
    mail.run("qmhandle", "-D")
    mail.svc("-d", "qmail-send")
    until(lambda: mail.pid("qmail-send") == 0)
    assert mail.run("qmhandle", "-D").err == b"qmhandle: -D: there is no such message\n"
    assert mail.pid("qmail-send") == 0
    mail.svc("-u", "qmail-send")
    up_again(mail, 0)


def test_without_a_service_nothing_is_tried(queue: Handled) -> None:
    done = queue.handle("-a")
    assert done.code == 0
    assert done.err.startswith(b"qmhandle: warning: nothing is tried now: unable to chdir to ")


# -- trouble -------------------------------------------------------------------------------------


def runner(mail: Instance) -> dict[str, Any]:
    """How a command is started in *mail*."""
    return {"env": mail.env, "user": mail.runner, "group": mail.runner} if mail.runner else {"env": mail.env}


@pytest.mark.parametrize("words", [["-l", "-D"], ["-s", "-D"]])
def test_it_starts_it_again_when_nobody_reads_what_it_prints(mail: Instance, words: list[str]) -> None:
    before = waits(mail)
    reading, writing = os.pipe()
    os.close(reading)
    with start("qmhandle", *words, stdout=writing, stderr=subprocess.PIPE, **runner(mail)) as cut:
        os.close(writing)
        assert cut.stderr
        said = cut.stderr.read()
        assert cut.wait() == 111
    assert said.endswith(b"again\nqmhandle: fatal: system call failed: broken pipe\n")
    up_again(mail, before)
    assert mail.left() != []
    mail.run("qmhandle", "-D")


def test_it_starts_it_again_when_nobody_hears_what_it_says(mail: Instance) -> None:
    before = waits(mail)
    reading, writing = os.pipe()
    os.close(reading)
    with start("qmhandle", "-l", "-D", stdout=writing, stderr=writing, **runner(mail)) as cut:
        os.close(writing)
        cut.wait()
    up_again(mail, before)
    assert mail.left() != []
    mail.run("qmhandle", "-D")


@pytest.mark.parametrize("number", ENDING)
def test_no_signal_leaves_the_service_down(mail: Instance, number: signal.Signals) -> None:
    before = waits(mail)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writing, bytes(65536))
    os.set_blocking(writing, True)
    with start("qmhandle", "-l", "-D", stdout=writing, stderr=subprocess.PIPE, **runner(mail)) as stuck:
        os.close(writing)
        assert stuck.stderr
        assert b": stopping " in stuck.stderr.readline()
        until(lambda: mail.pid("qmail-send") == 0)
        stuck.send_signal(number)
        said = stuck.stderr.read()
        assert stuck.wait() == 111
    os.close(reading)
    assert said.endswith(b"again\nqmhandle: fatal: interrupted\n")
    up_again(mail, before)
    assert mail.left() != []
    mail.run("qmhandle", "-D")


@pytest.mark.parametrize("letter", ["d", "m"])
def test_a_number_that_no_message_can_have_is_refused_before_anything_is_stopped(mail: Instance, letter: str) -> None:
    before = waits(mail)
    for number in ("9" * 5000, "9" * 21):
        done = mail.run("qmhandle", f"-{letter}{number}", "-D", code=100)
        assert done.out == b""
        assert done.err == f"qmhandle: fatal: {number} is no number of a message\n".encode()
    assert mail.pid("qmail-send") == before
    assert mail.left() != []
    mail.run("qmhandle", "-D")


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Whoever reads without end fails, and the machine does not."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 31, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize("kind", ["info", "local", "todo"])
@pytest.mark.usefixtures("little_memory")
def test_a_file_without_end_hides_no_other_message(queue: Handled, kind: str) -> None:
    name = "new" if kind == "todo" else "local"
    os.truncate(queue.place(kind, queue.number[name]), 1 << 40)
    listed = queue.handle("-l")
    assert (listed.code, listed.err) == (0, b"")
    for number in queue.names:
        assert b"\n%d (" % number in b"\n" + listed.out
    assert queue.handle("-tnobody@").code == 0
    assert queue.handle("-feve@far.example").code == 0
    assert queue.there() == {*queue.number}
    assert queue.handle(f"-d{queue.number[name]}").code == 0
    assert queue.there() == {*queue.number} - {name}


def test_a_sender_without_end_is_none(queue: Handled) -> None:
    number = queue.number["local"]
    info = queue.place("info", number)
    info.write_bytes(b"F" + b"x" * (1 << 21) + b"\0")
    assert b"\n%d (" % number in b"\n" + queue.handle("-l").out
    assert b"xxxxx" not in queue.handle("-l").out
