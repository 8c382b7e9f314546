"""qmail-lint names each mistake in a home with its file and line, and nothing else."""

from __future__ import annotations

import errno
import os
import pwd
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import faults
import pytest
from commands import run
from instance import NOBODY

import mta.setup.setup  # noqa: F401  # else each fork of ours reads it
from mta import showctl
from mta.setup.delivery import WAYS, instructions
from supervise.account import become
from supervise.program import spawn
from tools.lint.access import EVERYBODY, READERS
from tools.lint.controls import known
from tools.lint.lint import main

KINDS = [pytest.param(False, id="plain"), pytest.param(True, id="root", marks=pytest.mark.root)]
HOST = "mx.mail.example"
BY_ROOT = [pytest.param(True, marks=pytest.mark.root)]


class Home:
    """A home laid out by root or by a plain user, which is put right after each test."""

    def __init__(self, folder: Path, rooted: bool) -> None:
        self.folder, self.rooted = folder, rooted
        self.user = NOBODY if os.geteuid() == 0 and not rooted else None
        self.owner = os.geteuid() if self.user is None else self.user
        if self.user is not None:
            os.chown(folder, self.user, self.user)
        self.env = {"QMAILHOME": str(folder)}
        assert run("qmail-setup", "--host", HOST, env=self.env, user=self.user, cwd="/").code == 0
        self.first = {file: (file.stat(), file.read_bytes()) for file in self.files()}
        self.modes = {folder / name: (folder / name).stat().st_mode for name in (".", "control", "users", "alias")}

    def files(self) -> list[Path]:
        return [
            file for name in ("control", "users", "alias") for file in (self.folder / name).iterdir() if is_file(file)
        ]

    def restore(self) -> None:
        """Put everything back."""
        for folder, mode in self.modes.items():
            folder.mkdir(exist_ok=True)
            folder.chmod(mode & 0o7777)
        for name in ("control", "users", "alias"):
            for file in (self.folder / name).iterdir():
                if is_file(file):
                    file.unlink()
                elif file.name != "Maildir":
                    file.rmdir()
        for file, (about, content) in self.first.items():
            file.write_bytes(content)
            file.chmod(about.st_mode & 0o7777)
            os.chown(file, about.st_uid, about.st_gid)

    def write(self, name: str, text: str | None) -> None:
        """Write a file; None removes it."""
        file = self.folder / name
        if text is None:
            file.unlink()
            return
        file.write_text(text, newline="")
        file.chmod(0o644)
        os.chown(file, self.owner, -1)

    def compile(self, program: str) -> None:
        assert run(program, env=self.env, user=self.user).code == 0

    def complaints(self, *words: bytes, code: int = 0) -> list[str]:
        """The lines that the command prints; it runs in a fork of ours, as its owner would have it run."""
        reading, writing = os.pipe()

        def prepare() -> None:
            os.environb[b"QMAILHOME"] = os.fsencode(self.folder)
            if self.user is not None:
                become(self.user, self.user)

        pid = spawn(lambda: main([b"qmail-lint", *words]), {1: writing, 2: writing}, prepare)
        os.close(writing)
        with open(reading) as output:
            lines = output.read().splitlines()
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == code
        return lines


def is_file(file: Path) -> bool:
    return file.is_symlink() or not file.is_dir()


@pytest.fixture(scope="module")
def homes() -> Iterator[Callable[[bool], Home]]:
    """Makes one home of each kind."""
    made: dict[bool, Home] = {}
    with tempfile.TemporaryDirectory(dir="/tmp") as scratch:
        Path(scratch).chmod(0o755)

        def home(rooted: bool) -> Home:
            if rooted not in made:
                folder = Path(scratch) / ("root" if rooted else "plain")
                folder.mkdir()
                folder.chmod(0o755)
                made[rooted] = Home(folder, rooted)
            return made[rooted]

        yield home


@pytest.fixture(params=KINDS)
def home(request: pytest.FixtureRequest, homes: Callable[[bool], Home]) -> Iterator[Home]:
    found = homes(request.param)
    yield found
    found.restore()


def test_a_home_that_qmail_setup_has_laid_out_is_without_mistake(home: Home) -> None:
    assert home.complaints() == []
    assert home.complaints(b"-e") == []


def test_nor_is_what_else_qmail_setup_writes(home: Home) -> None:
    for way in WAYS:
        home.write("control/defaultdelivery", instructions(way).decode() + "\n")
        assert home.complaints() == []
    for file in (home.folder / "alias").glob(".qmail-*"):
        file.unlink()
    words = ["--to", "joe@elsewhere.example", str(home.folder)]
    assert run("qmail-setup", *words, env=home.env, user=home.user, cwd="/").code == 0
    assert home.complaints() == []


def test_it_knows_the_control_files_of_which_other_commands_tell() -> None:
    assert {name for name, _ in showctl.FILES} | set(showctl.OURS) == set(known())
    assert {name for names in (*READERS.values(), EVERYBODY) for name in names} <= set(known())


NOT_TAKEN = "is not in control/rcpthosts, so SMTP clients may not send to it"
NO_COLON = "no colon, so the line does not count"
NO_FILE = "no program reads a file of this name"
FORM = "neither =LOCAL:user:uid:gid:home:dash:ext: nor +LOC:user:uid:gid:home:dash:pre:"
DOT = "no line that begins with a dot at the end"
CR = "a carriage return at the end of the line, as other systems write it"
NOBODY_THERE = "missing; there is no .qmail-{0} among the aliases, so mail for {0} bounces"
SAME = "does not count: line {} is for the same"
JOE = "joe:1:1:/home/joe"

# what is written where (None: removed) -> the complaints
CASES: list[tuple[dict[str, str | None], list[str]]] = [
    (
        {"control/me": None},
        ["control/me: missing; this host has no name"],
    ),
    ({"control/me": ""}, ["control/me:1: empty"]),
    ({"control/me": f"{HOST}\nother.example\n"}, ["control/me:2: only the first line counts"]),
    (
        {"control/rcpthosts": None},
        ["control/rcpthosts: missing; SMTP clients may send mail to any host (an open relay)"],
    ),
    (
        {"control/locals": f"{HOST}\n# words\n\nOld.Example \n"},
        [f"control/locals:4: Old.Example {NOT_TAKEN}"],
    ),
    ({"control/locals": None, "control/rcpthosts": "mail.example\n"}, [f"control/me:1: {HOST} {NOT_TAKEN}"]),
    ({"control/locals": "a.b.example\nB.example\n", "control/rcpthosts": ".b.example\nb.EXAMPLE\n"}, []),
    (
        {"control/locals": f"{HOST}\n.mail.example\nmail..example\nx,y.example\nmail.example.\nuser@mail.example\n"},
        [
            "control/locals:2: .mail.example begins with a dot, which does not stand for the hosts below it here",
            "control/locals:3: mail..example is no host name",
            "control/locals:4: x,y.example is no host name",
            "control/locals:5: mail.example. ends with a dot, and no host in an address does",
            "control/locals:6: user@mail.example is an address, and a host is asked for",
        ],
    ),
    (
        {"control/rcpthosts": f"{HOST}\n*.example\n.example\none two\n[192.0.2.1]\n"},
        [
            "control/rcpthosts:2: *.example is no host name",
            "control/rcpthosts:4: a blank in one two",
        ],
    ),
    ({"control/rcpthosts": f"{HOST}\r\nother.example\r\n"}, [f"control/rcpthosts:{at}: {CR}" for at in (1, 2)]),
    (
        {
            "control/virtualdomains": f"virtual.example:all\n{HOST}:all\njoe@{HOST.upper()}:all\n:all\n",
            "alias/.qmail-all-default": "",
        },
        [
            f"control/virtualdomains:2: does not count: {HOST} is in control/locals, line 1",
            f"control/virtualdomains:3: does not count: {HOST.upper()} is in control/locals, line 1",
        ],
    ),
    (
        {"control/virtualdomains": "one.example:nobody-here\nalias.example:postmaster\njoe@two.example:gone\n"},
        [
            "control/virtualdomains:1: nobody-here is neither a user's nor an alias: "
            "there is no .qmail-nobody-here-... among the aliases",
            "control/virtualdomains:2: postmaster is neither a user's nor an alias: "
            "there is no .qmail-postmaster-... among the aliases",
            "control/virtualdomains:3: gone is neither a user's nor an alias: "
            "there is no .qmail-gone-joe among the aliases",
        ],
    ),
    (
        {
            "control/virtualdomains": "one.example:Lists\njoe@two.example:gone\nthree.example:\nfour.example:a.b\n",
            "alias/.qmail-lists-default": "",
            "alias/.qmail-gone-joe": "",
            "alias/.qmail-a:b-joe": "",
        },
        [],
    ),
    ({"control/virtualdomains": "one.example:nobody-here\n", "alias/.qmail-default": "|true\n"}, []),
    (
        {
            "control/virtualdomains": "one.example\none two:all\n.x.example:all\n.X.example:all-x\ny.example: all\n",
            "alias/.qmail-all-default": "",
        },
        [
            f"control/virtualdomains:1: {NO_COLON}",
            "control/virtualdomains:2: a blank in one two",
            "control/virtualdomains:3: does not count: line 4 is for the same",
            "control/virtualdomains:5: a blank in  all",
        ],
    ),
    *(
        ({f"control/{name}": f"{HOST}\nb.example\n{HOST.upper()}\n", **more}, [f"control/{name}:3: {SAME.format(1)}"])
        for name, more in (("rcpthosts", {}), ("locals", {"control/rcpthosts": f"{HOST}\nb.example\n"}))
    ),
    ({"control/percenthack": "a.example\n\nA.Example\n"}, [f"control/percenthack:3: {SAME.format(1)}"]),
    ({"control/smtpcapabilities": "SIZE\nsize\n"}, [f"control/smtpcapabilities:2: {SAME.format(1)}"]),
    *(
        (
            {f"control/{name}": "# x\n@a.example\njoe@b\n@A.example\nJoe@B\n"},
            [
                f"control/{name}:4: {SAME.format(2)}",
                f"control/{name}:5: {SAME.format(3)}",
            ],
        )
        for name in ("badmailfrom", "badmailto", "badrcptto")
    ),
    (
        {"control/badmailfrom": "@spam.example\nspam.example\njoe@spam.example\njoe doe@spam.example\njoe@\n@spam\n"},
        [
            "control/badmailfrom:2: spam.example has no @: it is no address, and a whole host is written @host",
            "control/badmailfrom:4: a blank in joe doe",
            "control/badmailfrom:5:  is no host name",
        ],
    ),
    (
        {"control/badrcptto": "joe\n"},
        ["control/badrcptto:1: joe has no @: it is no address, and a whole host is written @host"],
    ),
    (
        {"control/badmailto": "joe\n"},
        ["control/badmailto:1: joe has no @: it is no address, and a whole host is written @host"],
    ),
    (
        {"control/concurrencylocal": "1001\n", "control/concurrencyremote": "1000\n"},
        ["control/concurrencylocal:1: 1001 is more than qmail-start lets run at a time, 1000"],
    ),
    (
        {"control/concurrencyremote": "2000 or so\n"},
        [
            "control/concurrencyremote:1: 2000 or so is more than qmail-start lets run at a time, 1000",
            "control/concurrencyremote:1: 2000 or so is no number; it counts as 2000",
        ],
    ),
    ({"control/databytes": "10M\n"}, ["control/databytes:1: 10M is no number; it counts as 10"]),
    ({"control/timeoutsmtpd": "long\n"}, ["control/timeoutsmtpd:1: long is no number; the default holds"]),
    ({"control/queuelifetime": ""}, ["control/queuelifetime:1: empty"]),
    ({"control/trace": "yes\n"}, ["control/trace:1: yes is no number; the default holds"]),
    ({"control/recipients": "joe@x\n"}, ["control/recipients:1: joe@x is no number; the default holds"]),
    ({"control/maxrcpt": "-1\n"}, ["control/maxrcpt:1: -1 is no number; the default holds"]),
    ({"control/recipientsremote": "5\n6\n"}, ["control/recipientsremote:2: only the first line counts"]),
    ({"control/patrn": "028\n"}, ["control/patrn:1: 028 is no octal number, and mail for users waits"]),
    (
        {"control/smtproutes": "a.example:relay.example:2525\nb.example\n:[2001:db8::1]:25\nx y:r\nc.example:r:smtp\n"},
        [
            f"control/smtproutes:2: {NO_COLON}",
            "control/smtproutes:4: a blank in x y",
            "control/smtproutes:5: smtp is no port",
        ],
    ),
    (
        {"control/smtproutes": "a.example:\nA.example:192.0.2.1\nb.example:2001:db8::1\nc.example:r e:65536\n"},
        [
            "control/smtproutes:1: does not count: line 2 is for the same",
            "control/smtproutes:3: db8::1 is no port",
            "control/smtproutes:4: 65536 is no port",
            "control/smtproutes:4: a blank in r e",
        ],
    ),
    (
        {"control/qmqpservers": "192.0.2.1\n[2001:db8::1]:628\nmail.example\n192.0.2.1:6x\n192.0.2.2:628\n::1\n"},
        [
            "control/qmqpservers:3: mail.example does not begin with an IP address",
            "control/qmqpservers:4: 192.0.2.1:6x is neither IP nor IP:PORT; it counts as 192.0.2.1, port 628",
        ],
    ),
    (
        {"control/outgoingip": "192.0.2.1\nmail.example\n2001:db8::1\n192.0.2.2\n"},
        [
            "control/outgoingip:1: does not count: line 4 is for the same",
            "control/outgoingip:2: mail.example is no IP address, and no mail is sent",
        ],
    ),
    (
        {"control/percenthack": f"other.example\n{HOST}\n@x\n"},
        [
            f"control/percenthack:2: {HOST} is in control/rcpthosts, so user%any.host@{HOST} makes this an open relay",
            "control/percenthack:3: @x is an address, and a host is asked for",
        ],
    ),
    (
        {"control/smtpcapabilities": "size\nDSN\n"},
        ["control/smtpcapabilities:2: DSN is nothing that qmail-smtpd could announce"],
    ),
    (
        {"control/doublebounceto": "joe@x.example\n"},
        ["control/doublebounceto:1: joe@x.example has an @, and the host stands in a file of its own"],
    ),
    ({"control/bouncefrom": "MAILER DAEMON\n"}, ["control/bouncefrom:1: a blank in MAILER DAEMON"]),
    ({"control/helohost": f"{HOST}\r\n"}, [f"control/helohost:1: {CR}"]),
    ({"control/defaulthost": "mail example\n"}, ["control/defaulthost:1: a blank in mail example"]),
    ({"control/smtpgreeting": f"{HOST} no UCE please\n"}, []),
    (
        {"control/defaultdelivery": "\n./Mailbox\n& joe\n"},
        [
            "control/defaultdelivery:1: Uh-oh: first line of .qmail file is blank. (#4.2.1)",
            "control/defaultdelivery:3: a blank in the address  joe",
        ],
    ),
    ({"control/defaultdelivery": "|dot-forward .forward\n|preline procmail\n"}, []),
    (
        {"control/scanner": "clamd:nowhere\nspam:eat\r\nwhat:1\nvirus:quarantine\n"},
        [
            "control/scanner: names no daemon",
            "control/scanner: says to quarantine, and not where",
            "control/scanner:1: nowhere is neither a path nor IP:PORT",
            f"control/scanner:2: {CR}",
            "control/scanner:2: eat is none of pass, reject, quarantine, defer",
            "control/scanner:3: there is no setting what",
        ],
    ),
    (
        {"control/scanner": "clamd:/run/clamd\n\nquarantine:alias\nvirus:quarantine\n"},
        ["control/scanner:3: {home}/alias/ is no Maildir: it lacks tmp, new, cur"],
    ),
    (
        {"control/rewrite": "*.:\nx:y\n=x\n"},
        ["control/rewrite:2: begins with none of =*?-", f"control/rewrite:3: {NO_COLON}"],
    ),
    (
        {"control/badmailform": "@x.example\n", "control/rcpthosts~": "", "control/spfbehavior": "3\n"},
        [
            f"control/badmailform: {NO_FILE}; is it to be badmailfrom?",
            f"control/rcpthosts~: {NO_FILE}; is it to be rcpthosts?",
            f"control/spfbehavior: {NO_FILE}",
        ],
    ),
    (
        {"users/asign": "", "users/mailnames": "joe:joe.doe\nsue\n", "users/subusers": "a:joe:b:\nx:y\n"},
        [
            f"users/asign: {NO_FILE}; is it to be assign?",
            "users/mailnames:2: too few colons, so the line does not count",
            "users/subusers:2: too few colons, so the line does not count",
        ],
    ),
    (
        {"users/assign": f"=joe:{JOE}:::\njoe\n+joe-:{JOE}:-::\n=JOE:{JOE}:::\nxsue:{JOE}:::\n=r:root:0:0:/root:::\n"},
        [
            f"users/assign:2: {FORM}",
            "users/assign:4: does not count: line 1 is for the same",
            "users/assign:5: begins with neither = nor +, and is taken as if it did with =",
            "users/assign:6: the user is root, for whom no mail is delivered",
            f"users/assign:7: {DOT}",
            "users/assign: does not count: users/cdb is missing; run qmail-newu",
        ],
    ),
    (
        {"users/assign": f"+JoE:{JOE}:-::\n=a:a:x:1:/a:::\n=b:b:1:1:b:::\n.\nanything\n"},
        [
            "users/assign: does not count: users/cdb is missing; run qmail-newu",
            "users/assign:1: JoE ends with a capital, so no address is found by it",
            "users/assign:2: uid and gid are no numbers",
            "users/assign:3: the home is no absolute path",
        ],
    ),
    (
        {"users/cdb": "rubbish"},
        [
            "users/cdb: there is no users/assign that it was made of",
            "users/cdb: unable to read {home}/users/cdb: protocol error; run qmail-newu",
        ],
    ),
    (
        {"control/morercpthosts": "more.example\n"},
        ["control/morercpthosts: does not count: control/morercpthosts.cdb is missing; run qmail-newmrh"],
    ),
    *(
        ({f"alias/.qmail-{name}": None}, [f"alias/.qmail-{name}: {NOBODY_THERE.format(name)}"])
        for name in ("postmaster", "mailer-daemon", "root")
    ),
    ({"alias/.qmail-postmaster": None, "alias/.qmail-root": None, "alias/.qmail-default": "|fastforward x.cdb\n"}, []),
    (
        {"alias/.qmail-Joe": "./Maildir/\n", "alias/.qmail-a.b": "./Maildir/\n"},
        [
            "alias/.qmail-Joe: a capital in the name, and every address is looked for in small letters",
            "alias/.qmail-a.b: a dot in the name, and one in an address is looked for as a colon",
        ],
    ),
    (
        {"alias/.qmail-joe": "\n&joe doe\nsue@x.example\r\n+list\n./Mailbox\n|true\n"},
        [
            "alias/.qmail-joe:1: Uh-oh: first line of .qmail file is blank. (#4.2.1)",
            "alias/.qmail-joe:2: a blank in the address joe doe",
            f"alias/.qmail-joe:3: {CR}",
            "alias/.qmail-joe:5: Uh-oh: .qmail has file delivery but has x bit set. (#4.7.0)",
            "alias/.qmail-joe:6: Uh-oh: .qmail has prog delivery but has x bit set. (#4.7.0)",
        ],
    ),
]


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda at: f"{at} " + " ".join(CASES[at][0]))
def test_a_mistake_is_named_with_its_file_and_line(home: Home, number: int) -> None:
    files, told = CASES[number]
    for name, text in files.items():
        home.write(name, text)
    assert home.complaints() == in_order(line.replace("{home}", str(home.folder)) for line in told)


def in_order(lines: Iterator[str]) -> list[str]:
    """*lines* by file and by line."""

    def key(line: str) -> tuple[str, int, str]:
        place, _, what = line.partition(": ")
        file, _, number = place.partition(":")
        return file, int(number or 0), what

    return sorted(lines, key=key)


def test_no_mistake_hides_another(home: Home) -> None:
    """As far as they are in different files, and not in those on which others hang."""
    told: list[str] = []
    written: set[str] = set()
    alone = {"control/me", "control/rcpthosts", "control/locals", "alias/.qmail-default", "users/cdb"}
    for files, lines in CASES:
        if not written.intersection(files) and not alone.intersection(files):
            for name, text in files.items():
                home.write(name, text)
            written.update(files)
            told += lines
    assert len(told) > 50
    assert home.complaints() == in_order(line.replace("{home}", str(home.folder)) for line in told)


def test_a_table_that_says_something_else_is_named(home: Home) -> None:
    home.write("users/assign", f"=joe:{JOE}:::\n.\n")
    home.write("control/morercpthosts", "More.example\n")
    home.compile("qmail-newu")
    home.compile("qmail-newmrh")
    assert home.complaints() == []
    for name in ("users/assign", "control/morercpthosts"):
        os.utime(home.folder / name, (2e9, 2e9))
    assert home.complaints() == [
        "control/morercpthosts.cdb: older than control/morercpthosts; run qmail-newmrh",
        "users/cdb: older than users/assign; run qmail-newu",
    ]
    home.write("users/assign", f"=sue:{JOE}:::\n.\n")
    home.write("control/morercpthosts", "other.example\n")
    assert home.complaints() == [
        "control/morercpthosts.cdb: does not hold what control/morercpthosts says; run qmail-newmrh",
        "users/cdb: does not hold what users/assign says; run qmail-newu",
    ]
    home.write("control/morercpthosts", None)
    assert home.complaints()[0] == "control/morercpthosts.cdb: there is no control/morercpthosts that it was made of"


def test_hosts_of_morercpthosts_are_taken(home: Home) -> None:
    home.write("control/locals", f"{HOST}\nMore.example\n")
    home.write("control/morercpthosts", "more.example\n")
    home.compile("qmail-newmrh")
    assert home.complaints() == []


def test_the_same_host_twice_in_morercpthosts_is_named(home: Home) -> None:
    home.write("control/morercpthosts", "a.example\nA.example\n")
    home.compile("qmail-newmrh")
    assert home.complaints() == ["control/morercpthosts:2: does not count: line 1 is for the same"]


@pytest.fixture
def quarantine(home: Home) -> Iterator[Path]:
    """A Maildir where the scanner is to put things."""
    maildir = home.folder / "quarantine"
    assert run("maildirmake", maildir, user=home.user).code == 0
    for folder in (maildir, *maildir.iterdir()):
        os.chown(folder, pwd.getpwnam("qmaild").pw_uid if home.rooted else home.owner, -1)
    home.write("control/scanner", "clamd:/run/clamd\nvirus:quarantine\nquarantine:quarantine\n")
    yield maildir
    shutil.rmtree(maildir)


def test_a_quarantine_that_is_no_maildir_is_named(home: Home, quarantine: Path) -> None:
    assert home.complaints() == []
    home.write("control/scanner", "# where to\nclamd:/run/clamd\n quarantine:nowhere\n\t quarantine:quarantine \r\n")
    (quarantine / "cur").rmdir()
    assert home.complaints() == [
        f"control/scanner:4: {quarantine}/ is no Maildir: it lacks cur",
        f"control/scanner:4: {CR}",
    ]


@pytest.mark.parametrize("home", BY_ROOT, indirect=True)
def test_a_quarantine_to_which_qmaild_cannot_deliver_is_named(home: Home, quarantine: Path) -> None:
    os.chown(quarantine / "new", 0, 0)
    assert home.complaints() == [f"control/scanner:3: qmaild may not write to {quarantine}/new"]
    os.chown(quarantine / "tmp", 0, 0)
    assert home.complaints() == [f"control/scanner:3: qmaild may not write to {quarantine}/tmp"]
    os.chown(quarantine, 0, 0)
    assert home.complaints() == [f"control/scanner:3: qmaild may not go through {quarantine}"]


@pytest.fixture(params=[None, pytest.param(NOBODY, marks=pytest.mark.root)], ids=["mine", "another's"])
def null_client(request: pytest.FixtureRequest) -> Iterator[Path]:
    """The home of a null client, and no more than it needs."""
    with tempfile.TemporaryDirectory(dir="/tmp") as scratch:
        home = Path(scratch)
        home.chmod(0o755)
        for name in ("bin", "control"):
            (home / name).mkdir(mode=0o755)
            (home / name).chmod(0o755)
        (home / "bin/qmail-queue").symlink_to(Path(sys.executable).parent / "qmail-qmqpc")
        for name, line in {"me": HOST, "qmqpservers": "192.0.2.1", "defaultdomain": "mail.example"}.items():
            (home / "control" / name).write_text(f"{line}\n")
            (home / "control" / name).chmod(0o644)
        if request.param:
            for file in (home, *home.rglob("*")):
                os.chown(file, request.param, request.param, follow_symlinks=False)
        yield home


def lint(home: Path) -> list[str]:
    code, out, err = run("qmail-lint", env={"QMAILHOME": str(home)})
    assert (code, err) == (0, b"")
    return out.decode().splitlines()


def test_a_null_client_needs_no_more_than_it_needs(null_client: Path) -> None:
    assert lint(null_client) == []


def test_what_a_null_client_needs_is_looked_at(null_client: Path) -> None:
    control = null_client / "control"
    (control / "qmqpservers").write_text("mail.example\n")
    (control / "me").unlink()
    (control / "defaultdomain").chmod(0o666)
    control.chmod(0o777)
    assert lint(null_client) == [
        "control: mode 0777: everybody may change it",
        "control/defaultdomain: mode 0666: everybody may change it",
        "control/me: missing; this host has no name",
        "control/qmqpservers: names no server, so no mail leaves this null client",
        "control/qmqpservers:1: mail.example does not begin with an IP address",
    ]


@pytest.mark.parametrize(("name", "line"), [("locals", HOST), ("smtproutes", ":mail.example"), ("databytes", "1")])
def test_who_has_a_file_of_a_server_is_no_null_client(null_client: Path, name: str, line: str) -> None:
    """It may hand on by QMQP what it takes by SMTP."""
    (null_client / "control" / name).write_text(f"{line}\n")
    assert "control/rcpthosts: missing; SMTP clients may send mail to any host (an open relay)" in lint(null_client)


def test_an_assigned_user_may_have_a_virtual_domain(home: Home) -> None:
    home.write("users/assign", f"+joe-:{JOE}:-::\n+zero-:root:0:0:/root:-::\n.\n")
    home.write("control/virtualdomains", "one.example:joe\ntwo.example:joe-two\nthree.example:zero\n")
    home.compile("qmail-newu")
    assert home.complaints() == [
        "control/virtualdomains:3: zero is neither a user's nor an alias: it is root's, for whom no mail is delivered",
        "users/assign:2: the user is root, for whom no mail is delivered",
    ]


def test_modes_by_which_others_may_change_things_are_named(home: Home) -> None:
    (home.folder / "control").chmod(0o777)
    (home.folder / "control/locals").chmod(0o666)
    (home.folder / "alias/.qmail-root").chmod(0o664)
    home.write("users/include", "joe\n")
    (home.folder / "users/include").chmod(0o602)
    assert home.complaints() == [
        "alias/.qmail-root: mode 0664: others may write it (020), so mail waits",
        "control: mode 0777, should be 0755",
        "control/locals: mode 0666: everybody may change it",
        "users/include: mode 0602: everybody may change it",
    ]
    home.write("control/patrn", "002\n")
    assert home.complaints()[0].startswith("control: ")


def test_a_file_that_may_only_forward_is_held_to_it(home: Home) -> None:
    (home.folder / "alias/.qmail-root").chmod(0o744)
    told = "alias/.qmail-root:1: Uh-oh: .qmail has file delivery but has x bit set. (#4.7.0)"
    assert home.complaints() == [told]


def test_what_cannot_be_read_is_named(home: Home) -> None:
    (home.folder / "control/rcpthosts").unlink()
    (home.folder / "control/rcpthosts").mkdir()
    (home.folder / "control/helohost").symlink_to("nowhere")
    (home.folder / "alias/.qmail-x").symlink_to("nowhere")
    os.mkfifo(home.folder / "alias/.qmail-y")
    os.mkfifo(home.folder / "users/include")
    assert home.complaints() == [
        "alias/.qmail-x: cannot be looked at: file does not exist",
        "alias/.qmail-y: no file, so it does not count",
        "control/helohost: cannot be looked at: file does not exist",
        "control/rcpthosts: cannot be read: it is no file",
        "users/include: cannot be read: it is no file",
    ]


@pytest.mark.parametrize("home", BY_ROOT, indirect=True)
def test_whoever_has_to_read_a_file_and_may_not_is_named(home: Home) -> None:
    for name in ("control/rcpthosts", "control/me", "alias/.qmail-root"):
        (home.folder / name).chmod(0o600)
    home.write("control/smtproutes", "a.example:b.example\n")
    (home.folder / "control/smtproutes").chmod(0o640)
    assert home.complaints() == [
        "alias/.qmail-root: mode 0600: alias may not read it, so mail waits",
        "control/me: mode 0600: everybody has to read it, and not everybody may",
        "control/me: mode 0600: qmaild has to read it, and may not",
        "control/me: mode 0600: qmailr has to read it, and may not",
        "control/me: mode 0600: qmails has to read it, and may not",
        "control/rcpthosts: mode 0600: qmaild has to read it, and may not",
        "control/smtproutes: mode 0640: qmailr has to read it, and may not",
    ]
    os.chown(home.folder / "control/smtproutes", -1, pwd.getpwnam("qmailr").pw_gid)
    assert len(home.complaints()) == 6


@pytest.mark.parametrize("home", BY_ROOT, indirect=True)
def test_strange_owners_are_named(home: Home) -> None:
    os.chown(home.folder / "control/locals", NOBODY, -1)
    os.chown(home.folder / "alias/.qmail-root", NOBODY, -1)
    assert home.complaints() == [
        f"alias/.qmail-root: belongs to user {NOBODY}, who can do everything that alias can",
        f"control/locals: belongs to user {NOBODY}, who may change it",
    ]


@pytest.mark.root
def test_for_root_too_a_plain_users_home_is_that_users(homes: Callable[[bool], Home]) -> None:
    home = homes(False)
    assert run("qmail-lint", env=home.env) == (0, b"", b"")


def test_a_script_can_ask_whether_there_is_anything(home: Home) -> None:
    home.write("control/databytes", "many\n")
    told = home.complaints()
    assert len(told) == 1
    assert home.complaints(b"-e", code=1) == told
    home.complaints(b"-x", code=100)
    home.complaints(b"word", code=100)


def test_as_a_command_it_says_that_there_is_no_home(tmp_path: Path) -> None:
    code, out, err = run("qmail-lint", env={"QMAILHOME": str(tmp_path / "none")})
    assert (code, out) == (111, b"")
    assert err.startswith(b"qmail-lint: fatal: unable to switch to ")


@pytest.mark.parametrize("home", [pytest.param(False, id="plain")], indirect=True)
def test_a_machine_in_trouble_hides_no_mistake(home: Home) -> None:
    home.write("control/databytes", "many\n")
    env = {"QMAILHOME": str(home.folder)}
    for at in range(10_000):
        call, _, code, out, err = faults.run(main, [b"qmail-lint", b"-e"], at, errno.EIO, b"", env, "/")
        if code == 1:
            assert b"control/databytes:1: " in out or b"control/databytes: cannot be " in out
            assert err == b""
        else:
            assert (code, err.count(b"\n")) == (111, 1)
            assert err.startswith(b"qmail-lint: fatal: ")
        if not call:
            break
