"""qmail-setup --from: the home of an older qmail is taken over with every message in its queue."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Result, run, start
from instance import HOST, NOBODY, Instance
from oldhome import TRIED, OldHome, records
from until import until

from mta.queue import layout

KINDS = [pytest.param(False, id="plain"), pytest.param(True, id="root", marks=pytest.mark.root)]
HELLO = b"Subject: hello\n\nHello.\n"


class Machine:
    """A folder in which there is an old home, `old`, and to which a new one is to come."""

    def __init__(self, rooted: bool) -> None:
        self.rooted = rooted
        self.runner = None if rooted or os.geteuid() else NOBODY  # who runs our commands, if not we
        self.scratch = Path(tempfile.mkdtemp(prefix="takeover-"))  # not pytest's, into which nobody else can go
        self.scratch.chmod(0o755)
        if self.runner is not None:
            os.chown(self.scratch, self.runner, self.runner)

    def old_home(self, split: int = 23) -> OldHome:
        return OldHome(self.scratch / "old", self.runner, split)

    def setup(self, *words: str | Path) -> Result:
        return run("qmail-setup", *words, "--host", HOST, cwd="/", user=self.runner)

    def check(self) -> bytes:
        """What is wrong with the new home."""
        return run("qmail-setup", "--check", self.scratch / "new", cwd="/", user=self.runner).out


@pytest.fixture(params=KINDS)
def mail(request: pytest.FixtureRequest) -> Iterator[Machine]:
    machine = Machine(request.param)
    yield machine
    shutil.rmtree(machine.scratch)


@pytest.fixture
def old(mail: Machine) -> OldHome:
    """A home with nothing in its queue."""
    return mail.old_home()


@pytest.fixture
def home(mail: Machine) -> Path:
    """A home of ours that is there already, `new`."""
    assert mail.setup(mail.scratch / "new").code == 0
    return mail.scratch / "new"


def take(mail: Machine, old: OldHome, code: int = 0, home: str = "new") -> list[str]:
    """Take *old* over into a home; what is said without the lines about services."""
    before = old.all()
    done = mail.setup("--from", old.folder, mail.scratch / home)
    assert done.code == code, done
    assert old.all() == before, "the old home was changed"
    lines = (done.out + done.err).decode().replace(f"{mail.scratch}/", "").splitlines()
    return [line for line in lines if not line.startswith(("wrote service/", "laid out "))]


class Message:
    """A message in the new queue, found by its text."""

    def __init__(self, mail: Machine, text: bytes, home: str = "new") -> None:
        queue = mail.scratch / home / "queue"
        (mess,) = (file for file in queue.glob("mess/*/*") if file.read_bytes().endswith(b"\n" + text))
        self.mess, self.number = mess, int(mess.name)
        assert mess.stat().st_ino == self.number and mess == queue / os.fsdecode(layout.mess(self.number))
        self.files = {
            name: file
            for name, place in zip(("intd", "todo", "info", "local", "remote", "bounce"), layout.NAMES[1:], strict=True)
            if (file := queue / os.fsdecode(place(self.number))).exists()
        }

    def content(self) -> dict[str, bytes]:
        """Its files but for the text."""
        return {name: file.read_bytes() for name, file in self.files.items()}


def left(mail: Machine, home: str = "new") -> list[str]:
    """What kinds of files messages have in the new queue, and what else is there but for locks and the notes."""
    queue = mail.scratch / home / "queue"
    files = (file.relative_to(queue).parts[0] for file in queue.rglob("*") if file.is_file())
    return sorted(name for name in files if name != "lock")


# -- the queue ---------------------------------------------------------------------------------


def test_a_message_keeps_its_age_its_sender_and_what_is_done_of_it(mail: Machine, old: OldHome) -> None:
    bounce = b"<gone@old.example>:\nNo such user.\n\n"
    born = TRIED - 5000.25
    old.active(
        HELLO, [b"Tjoe@old.example", b"Dann@old.example"], [b"Dbob@far.example", b"Teve@far.example"], bounce, born=born
    )
    old.active(b"only remote", remote=[b"Teve@far.example"], sender=b"")
    old.active(b"only to be bounced", bounce=bounce)
    assert take(mail, old) == ["took over 3 messages from old"]
    message = Message(mail, HELLO)
    assert message.content() == {
        "info": records(b"Fsue@far.example"),
        "local": records(b"Tjoe@old.example", b"Dann@old.example"),
        "remote": records(b"Dbob@far.example", b"Teve@far.example"),
        "bounce": bounce,
    }
    assert (message.mess.stat().st_mtime, message.files["info"].stat().st_mtime) == (born, born)
    assert message.files["local"].stat().st_mtime == message.files["remote"].stat().st_mtime == TRIED
    assert Message(mail, b"only remote").content() == {"info": b"F\0", "remote": b"Teve@far.example\0"}
    assert Message(mail, b"only to be bounced").content().keys() == {"info", "bounce"}
    assert mail.check() == b""


@pytest.mark.root
@pytest.mark.parametrize("mail", KINDS[1:], indirect=True)
def test_in_roots_home_its_files_belong_to_who_works_on_them(mail: Machine, old: OldHome) -> None:
    old.active(HELLO, [b"Tjoe@old.example"], [b"Teve@far.example"], b"<x>:\ny\n\n")
    take(mail, old)
    message = Message(mail, HELLO)
    owners = {name: (pwd.getpwuid(f.stat().st_uid).pw_name, f.stat().st_mode) for name, f in message.files.items()}
    assert owners == dict.fromkeys(("info", "local", "remote", "bounce"), ("qmails", 0o100600))
    assert (message.mess.owner(), message.mess.stat().st_mode) == ("qmailq", 0o100644)


def test_a_message_that_is_not_taken_apart_is_still_to_be(mail: Machine, old: OldHome) -> None:
    number = old.submitted(HELLO, [b"joe@old.example", b"eve@far.example"])
    old.put("info", number, b"Fsue", 1)  # qmail-send was at it, and does not look at what it had done
    old.put("local", number, b"Tjoe@old.e", 1)
    assert take(mail, old) == ["took over 1 messages from old"]
    envelope = records(b"u500", b"p77", b"Fsue@far.example", b"Tjoe@old.example", b"Teve@far.example")
    assert Message(mail, HELLO).content() == {"todo": envelope}


@pytest.mark.parametrize("split", [1, 23, 199])
def test_the_old_queue_may_be_split_into_any_number_of_folders(mail: Machine, split: int) -> None:
    old = mail.old_home(split)
    for number in range(30):
        old.active(b"message %d" % number, [b"Tjoe@old.example"])
    assert take(mail, old) == ["took over 30 messages from old"]
    assert len({Message(mail, b"message %d" % number).number for number in range(30)}) == 30


def test_a_folder_of_the_queue_may_be_missing_and_another_one_too_many(mail: Machine, old: OldHome) -> None:
    numbers = [old.active(b"message %d" % number, [b"Tjoe@old.example"]) for number in range(10)]
    unused = next(part for part in range(23) if part not in {number % 23 for number in numbers})
    (old.queue / "mess" / str(unused)).rmdir()
    (old.queue / "info" / "100").mkdir()
    assert take(mail, old)[-1] == "took over 10 messages from old"


def test_todo_may_be_split_too(mail: Machine, old: OldHome) -> None:
    number = old.submitted(HELLO, [b"joe@old.example"])
    for kind in "todo", "intd":
        for part in range(23):
            old.make(old.queue / kind / f"part{part}")
            (old.queue / kind / f"part{part}").rename(old.queue / kind / f"_{part}")
        file = old.queue / kind / str(number)
        file.rename(old.queue / kind / f"_{number % 23}" / str(number))
        for part in range(23):
            (old.queue / kind / f"_{part}").rename(old.queue / kind / str(part))
    assert take(mail, old) == ["took over 1 messages from old"]
    assert Message(mail, HELLO).content().keys() == {"todo"}


def test_what_was_not_accepted_or_is_damaged_is_named_and_left(mail: Machine, old: OldHome) -> None:
    old.active(HELLO, [b"Tjoe@old.example"])
    numbers = [old.text(b"text %d" % n) for n in range(9)]
    one, two, three, four, five, six, seven, eight, nine = numbers
    old.put("intd", two, b"u500\0p77\0Fsue@far.exa", TRIED)
    old.put("info", three, b"Fsue@far.exa", TRIED)
    old.put("info", four, b"Fsue@far.example\0", TRIED)
    old.put("local", four, b"Tjoe@old.example\0Xann@old.example\0", TRIED)
    old.put("info", five, b"Fsue@far.example\0", TRIED)
    old.put("remote", five, b"Teve@far.example\0Tbob@far", TRIED)
    old.put("local", six, b"Tjoe@old.example\0", TRIED)
    old.put("todo", seven, b"u500\0Fsue@far.example\0Tjoe@old.example\0", TRIED)
    old.put("info", eight, b"Fsue@far.example\0", TRIED)
    old.place("mess", eight).unlink()
    old.put("info", nine, b"Fsue@far.example\0", TRIED)
    old.place("mess", nine).unlink()
    old.place("mess", nine).symlink_to("/etc/passwd")
    (old.queue / "info/3/notes").touch()
    (old.queue / "mess" / str((one + 1) % 23) / str(one)).touch()
    why = {
        one: "not accepted, or done",
        two: "not accepted, or done",
        three: "info breaks off within an address",
        four: "local holds what is no recipient",
        five: "remote breaks off within an address",
        six: "mess, local without info",
        seven: "todo holds no envelope",
        eight: "info without mess",
        nine: "mess is not a file",
    }
    said = take(mail, old, code=1)
    strangers = [f"old/queue/mess/{(one + 1) % 23}/{one}", "old/queue/info/3/notes"]
    assert said[:2] == [f"{file}: belongs to no message: left there" for file in strangers]
    assert said[2:-1] == [f"old/queue: message {number}: {why[number]}: left there" for number in sorted(numbers)]
    assert said[-1] == "took over 1 messages from old"
    assert left(mail) == ["info", "local", "mess"]


def test_the_same_command_again_takes_what_has_come_since(mail: Machine, old: OldHome) -> None:
    old.active(b"first", [b"Tjoe@old.example"])
    assert take(mail, old) == ["took over 1 messages from old"]
    first = Message(mail, b"first")
    for file in (first.mess, *first.files.values()):
        file.unlink()  # it was delivered
    old.active(b"second", [b"Tjoe@old.example"])
    old.submitted(b"third", [b"joe@old.example"])
    assert take(mail, old) == ["took over 2 messages from old"]
    assert take(mail, old) == ["took over 0 messages from old"]
    assert left(mail) == ["info", "local", "mess", "mess", "todo"]


def test_a_new_message_under_an_old_number_is_another_one(mail: Machine, old: OldHome) -> None:
    number = old.active(b"first", [b"Tjoe@old.example"])
    take(mail, old)
    old.place("mess", number).write_bytes(b"Received: x\nsecond")
    assert take(mail, old) == ["took over 1 messages from old"]
    assert Message(mail, b"second").number != Message(mail, b"first").number


def test_a_number_with_files_of_others_in_our_queue_is_not_used(mail: Machine, old: OldHome) -> None:
    old.active(HELLO, [b"Tjoe@old.example"])
    take(mail, old)
    message = Message(mail, HELLO)
    for file in (message.mess, *message.files.values()):
        file.unlink()
    shutil.rmtree(mail.scratch / "new" / "queue" / "taken")
    bounces = mail.scratch / "new" / "queue" / "bounce"
    for number in range(message.number - 300, message.number + 300):  # the file system gives numbers again
        (bounces / str(number)).write_bytes(b"of another one")
    take(mail, old)
    again = Message(mail, HELLO)
    assert again.content().keys() == {"info", "local"}
    assert not abs(again.number - message.number) < 300


# -- who may run ---------------------------------------------------------------------------------


def test_nothing_happens_while_the_old_qmail_send_runs(mail: Machine, old: OldHome) -> None:
    with open(old.queue / "lock/sendmutex", "rb") as mutex:
        fcntl.flock(mutex, fcntl.LOCK_EX)
        (line,) = take(mail, old, code=111)
    assert line.startswith("qmail-setup: fatal: qmail-send is running in old")
    assert not (mail.scratch / "new").exists()


def test_nothing_is_taken_while_our_qmail_send_runs(mail: Machine, old: OldHome, home: Path) -> None:
    old.active(HELLO, [b"Tjoe@old.example"])
    with open(home / "queue/lock/sendmutex", "rb") as mutex:
        fcntl.flock(mutex, fcntl.LOCK_EX)
        (line,) = take(mail, old, code=111)
    assert line.startswith("qmail-setup: fatal: qmail-send is running in new; first: svc -d new/service/qmail-send")
    assert left(mail) == [] and not (home / "queue/taken").exists()


def test_a_home_is_not_taken_over_by_itself_nor_one_below_it(mail: Machine, old: OldHome) -> None:
    (mail.scratch / "link").symlink_to("old")
    for home in "old", "link", "old/new":
        (line,) = take(mail, old, code=111, home=home)
        assert "cannot be taken over by itself" in line or "lies within old" in line
    shutil.rmtree(old.queue)
    (line,) = take(mail, old, code=111)
    assert line.startswith("qmail-setup: fatal: old is no home with a queue: ")
    assert not (mail.scratch / "new").exists()


def test_with_checks_it_is_wrong_usage(tmp_path: Path) -> None:
    for word in "--check", "--fix":
        assert run("qmail-setup", "--from", tmp_path, word, tmp_path / "new").code == 100
    assert run("qmail-setup", "--from").code == 100


# -- what stops it -------------------------------------------------------------------------------


def test_killed_again_and_again_it_has_each_message_once_in_the_end(mail: Machine, old: OldHome) -> None:
    texts = [b"message %d." % number for number in range(100)]
    for text in texts:
        old.active(text, [b"Tjoe@old.example"])
    taken = mail.scratch / "new/queue/taken"
    for goal in 1, 30, 60, 90:
        become = {} if mail.runner is None else {"user": mail.runner, "group": mail.runner, "extra_groups": []}
        words = ("qmail-setup", "--from", old.folder, "--host", HOST, mail.scratch / "new")
        process = start(*words, cwd="/", stdout=subprocess.DEVNULL, **become)
        until(lambda: process.poll() is not None or (taken.exists() and len(os.listdir(taken)) > goal))  # noqa: B023
        process.kill()
        process.wait()
    take(mail, old)
    for text in texts:
        assert Message(mail, text).content().keys() == {"info", "local"}
    assert left(mail) == ["info"] * 100 + ["local"] * 100 + ["mess"] * 100


# -- settings ------------------------------------------------------------------------------------


def test_control_users_and_alias_are_taken_as_they_are(mail: Machine, old: OldHome) -> None:
    old.write("control/virtualdomains", "list.example:alias-list\n")
    old.write("control/servercert.pem", "secret\n", "qmaild", 0o640)
    old.write("users/assign", ".\n")
    old.write("users/cdb", "\0" * 2048)
    old.write("alias/.qmail-root", "&ann@old.example\n", "alias")
    (old.folder / "alias/.qmail-list").symlink_to("list/editor")
    old.write("alias/list/editor", "|somebody\n", "alias", 0o700)
    os.utime(old.folder / "alias/list/editor", (TRIED, TRIED))
    os.mkfifo(old.folder / "alias/pipe")
    assert take(mail, old, code=1) == [
        "old/alias/pipe: left out: neither file nor folder nor link",
        "new/control/servercert.pem: no program here reads this file",
        "took over 0 messages from old",
    ]
    new = mail.scratch / "new"
    for name in "control", "users", "alias":
        assert {f.name for f in (new / name).iterdir()} == {f.name for f in (old.folder / name).iterdir()} - {"pipe"}
    assert (new / "control/virtualdomains").read_text() == "list.example:alias-list\n"
    assert (new / "users/cdb").read_bytes() == bytes(2048)
    assert os.readlink(new / "alias/.qmail-list") == "list/editor"
    editor, certificate = (new / "alias/list/editor").stat(), (new / "control/servercert.pem").stat()
    assert (editor.st_mode, editor.st_mtime) == (0o100700, TRIED)
    assert certificate.st_mode == 0o100640
    if mail.rooted:
        assert certificate.st_uid == 0
        assert editor.st_uid == pwd.getpwnam("alias").pw_uid
    assert mail.check() == b""


def test_what_a_home_has_already_is_kept_and_what_was_removed_later_stays_away(
    mail: Machine, old: OldHome, home: Path
) -> None:
    old.write("control/rcpthosts", "other.example\n")
    old.write("control/badmailfrom", "@spam.example\n")
    assert take(mail, old, code=1) == [
        "new/control/rcpthosts: kept: differs from old/control/rcpthosts",
        "took over 0 messages from old",
    ]
    assert (home / "control/rcpthosts").read_text() == f"{HOST}\n"
    (home / "control/badmailfrom").unlink()
    assert take(mail, old) == ["took over 0 messages from old"]
    assert not (home / "control/badmailfrom").exists()


def test_what_may_be_otherwise_than_it_was_is_said(mail: Machine, old: OldHome) -> None:
    (old.folder / "control/rcpthosts").unlink()
    (old.folder / "control/defaultdelivery").unlink()
    (old.folder / "control/spfbehavior").touch()
    (old.folder / "control/we\nird").touch()
    assert take(mail, old)[:-1] == [
        "new/control/rcpthosts: missing, as there: SMTP takes mail for any host",
        "new/control/defaultdelivery: missing: mail of users without a .qmail file goes into ./Maildir/; "
        "see --delivery",
        "new/control/spfbehavior: no program here reads this file",
        "new/control/we?ird: no program here reads this file",
    ]
    assert not (mail.scratch / "new/control/locals").exists()


def test_folders_may_be_deep_but_not_too_deep(mail: Machine, old: OldHome) -> None:
    number = old.submitted(HELLO, [b"joe@old.example"])
    assert number
    before = os.getcwd()
    os.chdir(old.folder / "alias")
    for _ in range(2500):
        os.mkdir("d")
        os.chdir("d")
    os.chdir(before)
    done = mail.setup("--from", old.folder, mail.scratch / "new")
    subprocess.run(["rm", "-rf", old.folder / "alias/d", mail.scratch / "new/alias/d"], check=True)  # rmtree cannot
    assert done.code == 1 and done.err == b""
    assert b"/d: left out: too deep\n" in done.out
    assert done.out.endswith(b"took over 1 messages from %s\n" % bytes(old.folder))


@pytest.mark.root
@pytest.mark.parametrize("mail", KINDS[1:], indirect=True)
def test_a_link_in_alias_leads_root_nowhere(mail: Machine, old: OldHome, home: Path) -> None:
    old.write("alias/list/editor", "|somebody\n", "alias")
    outside = mail.scratch / "outside"
    outside.mkdir()
    (home / "alias/list").symlink_to(outside)
    assert take(mail, old, code=1)[0] == "new/alias/list: kept: differs from old/alias/list"
    assert list(outside.iterdir()) == []


# -- and then ----------------------------------------------------------------------------------


@pytest.mark.parametrize("rooted", KINDS)
def test_what_was_taken_over_is_delivered(rooted: bool) -> None:
    mail = Instance(rooted)
    old = OldHome(mail.scratch / "old", mail.runner)
    joe, sue = f"joe@{HOST}".encode(), f"sue@{HOST}".encode()
    old.active(b"Subject: 1\n\nactive.\n", [b"T" + joe, b"D" + sue])
    old.submitted(b"Subject: 2\n\nsubmitted.\n", [joe])
    old.active(b"Subject: 3\n\nfailed.\n", bounce=b"<x@far.example>:\nIt failed there.\n\n", sender=joe)
    mail.run("qmail-setup", "--from", old.folder, mail.home)
    with mail:
        for text in "active.", "submitted.", "It failed there.":
            mail.joe.received(text)
        mail.wait_until_empty()
        assert (len(mail.joe.messages()), mail.sue.messages()) == (3, [])
