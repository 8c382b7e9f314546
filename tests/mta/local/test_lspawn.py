from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest
from commands import run
from deliveries import JOE, Instance
from until import until

# -- reports -------------------------------------------------------------------------------

REPORTS = {
    0: b"Ksaid\n", 100: b"Dsaid\n", 1: b"Dsaid\n", 255: b"Dsaid\n",
    111: b"Zsaid\n", 71: b"Zsaid\n", 74: b"Zsaid\n", 75: b"Zsaid\n",
    112: b"ZInternal qmail-lspawn bug.\n", 113: b"ZNot allowed to perform deliveries as root.\n",
    115: b"ZNFS failure in qmail-local.\n", 116: b"ZUnable to find alias user!\n",
    117: b"ZTrouble reading users/cdb in qmail-lspawn.\n", 118: b"ZTemporary failure in qmail-lspawn.\n",
    119: b"ZOut of memory in qmail-lspawn.\n", 120: b"ZUnable to run qmail-local.\n",
    121: b"ZUnable to run qmail-getpw.\n", 126: b"DUnable to run qmail-local.\n",
}  # fmt: skip


def test_exit_codes_become_letters(plain: Instance) -> None:
    plain.program("qmail-local", 'echo said; exit "$7"')
    with plain.lspawn() as spawning:
        for code, report in REPORTS.items():
            assert spawning.deliver(b"joe@%d" % code) == report, code


def test_a_crash_defers_whatever_was_said(plain: Instance) -> None:
    plain.program("qmail-local", "echo said; kill -KILL $$")
    assert plain.once() == b"Zqmail-local crashed.\n"


def test_the_arguments_of_qmail_local(plain: Instance) -> None:
    plain.program("qmail-local", r'for word; do printf "%s|" "$word"; done; cat; pwd')
    with plain.lspawn("./Maildir/") as spawning:
        user = f"--|joe|{plain.joe}|".encode()
        rest = b"Subject: hi\n\nhello\n" + bytes(plain.home) + b"\n"
        assert spawning.deliver(b"JOE@b@here") == b"K" + b"--|alias|" + bytes(plain.home) + (
            b"/alias|JOE@b|-|JOE@b|here|sue@x.y|./Maildir/|" + rest
        )
        assert spawning.deliver(b"joe@here") == b"K" + user + b"joe|||here|sue@x.y|./Maildir/|" + rest
        assert spawning.deliver(b"Joe-A-b@here", b"") == b"K" + user + b"Joe-A-b|-|A-b|here||./Maildir/|" + rest


def test_text_ends_at_a_nul_and_long_text_is_cut(plain: Instance) -> None:
    plain.write(".qmail", r"|printf 'one\000two'; exit 100")
    assert plain.once() == b"Done"
    plain.write(".qmail", r"|yes | head -c 3000; exit 100")
    assert plain.once() == b"D" + b"y\n" * 1500
    plain.write(".qmail", r"|yes | head -c 3001; exit 100")
    cut = b"\nError report too long, sorry.\n"
    assert plain.once() == b"D" + (b"y\n" * 1500)[: 3000 - len(cut) - 3] + cut


def test_a_program_that_says_much_costs_no_memory(plain: Instance) -> None:
    plain.write(".qmail", "|head -c 100000000 /dev/zero | tr '\\0' x")
    with plain.lspawn() as spawning:
        report = spawning.deliver(b"joe@here")
        assert report.endswith(b"Error report too long, sorry.\n") and len(report) < 3001
        status = Path(f"/proc/{spawning.process.pid}/status").read_text()
        [peak] = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
        assert int(peak) < 60_000  # KiB


# -- who has the address -------------------------------------------------------------------


def test_mail_goes_to_the_mailbox_that_is_usual(plain: Instance) -> None:
    with plain.lspawn("./Mailbox") as spawning:
        assert spawning.deliver(b"joe@here") == b"Kdid 1+0+0\n"
        assert spawning.deliver(b"joe-list@here") == b"DSorry, no mailbox here by that name. (#5.1.1)\n"
    assert (plain.joe / "Mailbox").read_text().endswith("Delivered-To: joe@here\nSubject: hi\n\nhello\n\n")
    assert (plain.joe / "Mailbox").stat().st_uid == plain.owner


def test_mail_to_nobody_is_done(plain: Instance) -> None:
    assert plain.once(b"@here") == b"K"


def test_a_new_table_counts_from_the_next_delivery_on(plain: Instance) -> None:
    with plain.lspawn() as spawning:
        assert spawning.deliver(b"jim@here") == b"DSorry, no mailbox here by that name. (#5.1.1)\n"
        plain.assign("jim", plain.owner, plain.joe)
        assert spawning.deliver(b"jim@here") == b"Kdid 1+0+0\n"


def test_a_damaged_table_defers(plain: Instance) -> None:
    (plain.home / "users/cdb").write_text("junk")
    assert plain.once() == b"ZTrouble reading users/cdb in qmail-lspawn.\n"


@pytest.mark.parametrize(
    "fields", ["x:1", "joe:x:1:/:-:", "joe:1:x:/:-:", "joe:4294967295:1:/:-:", "joe:9999999999:1:/:-:"]
)
def test_a_table_of_nonsense_defers(plain: Instance, fields: str) -> None:
    from ucspi import cdb

    table = bytes(plain.home / "users/cdb")
    cdb.write(table, table + b".tmp", [(b"!joe\0", fields.replace(":", "\0").encode()), (b"", b"")])
    assert plain.once() == b"ZInternal qmail-lspawn bug.\n"


def test_mail_for_root_is_refused_for_now(plain: Instance) -> None:
    plain.assign("joe", 0, plain.joe)
    assert plain.once() == b"ZNot allowed to perform deliveries as root.\n"


def test_a_plain_users_instance_is_nobody_else(plain: Instance) -> None:
    plain.assign("joe", plain.owner + 1, plain.joe)
    assert plain.once() == b"ZSorry, I may not deliver as joe. (#4.3.5)\n"


def test_an_unknown_user_is_the_alias_folder_of_a_plain_users_instance(plain: Instance) -> None:
    (plain.home / "alias/.qmail-info").write_text("|echo $USER $LOCAL $EXT\n")
    plain.own()
    assert plain.once(b"Info@here") == b"Kalias Info Info\ndid 0+0+1\n"


def test_a_qmail_getpw_of_the_sites_own_is_asked(plain: Instance) -> None:
    fields = ("jim", plain.owner, plain.owner, plain.joe, "-", '"$1"')
    plain.program("qmail-getpw", r"echo noise >&2; printf '%s\000' " + " ".join(map(str, fields)))
    plain.write(".qmail-info", "|echo $USER $EXT")
    assert plain.once(b"info@here") == b"Kjim info\ndid 0+0+1\n"
    plain.program("qmail-getpw", "echo incomplete")
    assert plain.once(b"info@here") == b"ZInternal qmail-lspawn bug.\n"
    plain.program("qmail-getpw", "kill -KILL $$")
    assert plain.once(b"info@here") == b"ZTemporary failure in qmail-lspawn.\n"


# -- workers -------------------------------------------------------------------------------


def test_one_worker_serves_one_user_and_nothing_stays_of_a_delivery(plain: Instance) -> None:
    plain.write(".qmail", "|umask 0; cd /; echo $PPID; env | grep -c ^DEFAULT=; exit 0")
    plain.write(".qmail-a-default", "|echo $PPID; echo $DEFAULT; pwd; umask; ls /proc/self/fd | wc -l; exit 0")
    with plain.lspawn() as spawning:
        reports = [
            spawning.deliver(b"joe-a-b-c@here"),
            spawning.deliver(b"joe@here"),
            spawning.deliver(b"joe-a-x@here"),
        ]
    texts = [report[1:].split() for report in reports]
    assert len({text[0] for text in texts}) == 1
    place = [bytes(plain.joe), b"0077", b"4", b"did", b"0+0+1"]
    assert texts[0][1:] == [b"b-c", *place]
    assert texts[1][1:] == [b"0", b"did", b"0+0+1"]
    assert texts[2][1:] == [b"x", *place]


def test_a_program_in_the_background_holds_its_delivery_while_it_can_still_speak(plain: Instance) -> None:
    plain.write(".qmail", "|(while ! test -e go; do sleep 0.01; done; echo late) &")
    plain.write(".qmail-x", "|echo fast")
    with plain.lspawn() as spawning:
        spawning.ask(1, b"0/1", b"", b"joe@here")
        assert spawning.deliver(b"joe-x@here") == b"Kfast\ndid 0+0+1\n"
        (plain.joe / "go").touch()
        assert spawning.report() in [(1, b"Kdid 0+0+1\nlate\n"), (1, b"Klate\ndid 0+0+1\n")]


def test_a_silent_program_in_the_background_does_not(plain: Instance) -> None:
    plain.write(".qmail", "|(while ! test -e go; do sleep 0.01; done; touch gone) >/dev/null 2>&1 &")
    with plain.lspawn() as spawning:
        assert spawning.deliver(b"joe@here") == b"Kdid 0+0+1\n"
        (plain.joe / "go").touch()
        until((plain.joe / "gone").exists)


def test_a_worker_that_is_killed_is_replaced(plain: Instance) -> None:
    plain.write(".qmail", "|kill -KILL $PPID")
    plain.write(".qmail-x", "|echo $PPID")
    with plain.lspawn() as spawning:
        before = spawning.deliver(b"joe-x@here")
        assert spawning.deliver(b"joe@here") == b"Zqmail-local crashed.\n"
        after = spawning.deliver(b"joe-x@here")
    assert before[:1] == after[:1] == b"K" and before != after


def test_many_deliveries_at_once_to_one_maildir_lose_nothing(plain: Instance) -> None:
    assert run("maildirmake", plain.joe / "Maildir").code == 0
    plain.own()
    with plain.lspawn("./Maildir/") as spawning:
        for number in range(100):
            spawning.ask(number, b"0/1", b"sue@x.y", b"joe@here")
        assert sorted(spawning.report() for _ in range(100)) == [(number, b"Kdid 1+0+0\n") for number in range(100)]
    assert len(list((plain.joe / "Maildir/new").iterdir())) == 100
    assert not list((plain.joe / "Maildir/tmp").iterdir())


def test_a_message_that_is_running_when_lspawn_is_killed_is_delivered_whole_or_not(plain: Instance) -> None:
    plain.write(".qmail", "|touch begun; while ! test -e go; do sleep 0.01; done\n./Mailbox\n")
    spawning = plain.lspawn()
    spawning.ask(1, b"0/1", b"", b"joe@here")
    until((plain.joe / "begun").exists)
    spawning.process.kill()
    spawning.process.wait()
    (plain.joe / "go").touch()
    until(lambda: (plain.joe / "Mailbox").exists() and (plain.joe / "Mailbox").read_bytes().endswith(b"hello\n\n"))


def test_wrong_usage() -> None:
    assert run("qmail-lspawn").code == 100


# -- root's instance -----------------------------------------------------------------------


@pytest.mark.root
def test_a_delivery_runs_as_its_recipient_without_other_groups(rooted: Instance) -> None:
    rooted.write(".qmail", "|id -u; id -g; id -G; grep -E '^(Cap(Eff|Prm|Inh)|Uid|Gid)' /proc/self/status\n./Mailbox\n")
    report = rooted.once().splitlines()
    ids = b"\t".join([b"%d" % JOE] * 4)
    none = b"\t0000000000000000"
    assert report == [
        b"K%d" % JOE, b"%d" % JOE, b"%d" % JOE,
        b"Uid:\t" + ids, b"Gid:\t" + ids, b"CapInh:" + none, b"CapPrm:" + none, b"CapEff:" + none,
        b"did 1+0+1",
    ]  # fmt: skip
    found = (rooted.joe / "Mailbox").stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (JOE, JOE, 0o600)


@pytest.mark.root
def test_a_program_has_none_of_the_daemons_descriptors(rooted: Instance) -> None:
    rooted.write(".qmail", "|for fd in /proc/$$/fd/*; do readlink $fd; done; true")
    *found, _ = rooted.once()[1:].splitlines()
    assert found[0] == bytes(rooted.home / "queue/mess/0/1")
    assert len(found) == 3 and found[1] == found[2] and found[1].startswith(b"pipe:")


@pytest.mark.root
def test_users_never_share_a_worker_and_each_keeps_one(rooted: Instance) -> None:
    others = "".join(f"={name}:{name}:{JOE + n}:{JOE}:{rooted.joe}:::\n" for n, name in enumerate(("ann", "bob"), 1))
    rooted.assign("joe", JOE, rooted.joe, others)
    rooted.write(".qmail", "|echo $PPID; id -u")
    with rooted.lspawn() as spawning:
        seen: dict[bytes, set[bytes]] = {}
        for name in (b"joe", b"ann", b"bob", b"ann", b"joe", b"bob"):
            pid, uid, *_ = spawning.deliver(name + b"@here")[1:].splitlines()
            seen.setdefault(uid, set()).add(pid)
    assert sorted(seen) == [b"%d" % (JOE + n) for n in range(3)]
    assert all(len(pids) == 1 for pids in seen.values())
    assert len(set.union(*seen.values())) == 3


@pytest.mark.root
def test_what_a_user_may_not_write_is_not_written(rooted: Instance) -> None:
    (rooted.home / "secret").mkdir(mode=0o700)
    rooted.write(".qmail", f"{rooted.home}/secret/box\n")
    assert rooted.once() == b"ZUnable to open %s/secret/box: access denied. (#4.2.1)\n" % bytes(rooted.home)
    rooted.write(".qmail", f"{rooted.home}/secret/\n")
    assert rooted.once() == b"ZUnable to chdir to maildir. (#4.2.1)\n"


@pytest.mark.root
def test_root_never_gets_a_delivery(rooted: Instance) -> None:
    rooted.assign("joe", 0, rooted.joe)
    rooted.write(".qmail", "|touch ran")
    assert rooted.once() == b"ZNot allowed to perform deliveries as root.\n"
    assert not (rooted.joe / "ran").exists()


@pytest.mark.root
def test_qmail_getpw_runs_as_qmailp(rooted: Instance) -> None:
    rooted.program("qmail-getpw", rf"printf '%s\000' $(id -u)-$(id -g) {JOE} {JOE} {rooted.joe} - info")
    rooted.write(".qmail-info", "|echo $USER")
    qmailp = pwd.getpwnam("qmailp")
    assert rooted.once(b"info@here") == b"K%d-%d\ndid 0+0+1\n" % (qmailp.pw_uid, qmailp.pw_gid)


@pytest.mark.root
def test_our_qmail_getpw_finds_alias_for_whom_nobody_knows(rooted: Instance) -> None:
    rooted.program("qmail-local", 'echo "$2 $5 $6"; id -un')
    assert rooted.once(b"no-such@here") == b"Kalias - no-such\nalias\n"


@pytest.mark.root
def test_a_worker_keeps_nothing_open_that_belongs_to_the_daemon(rooted: Instance) -> None:
    rooted.write(".qmail", "|echo $PPID")
    with rooted.lspawn() as spawning:
        pid = int(spawning.deliver(b"joe@here")[1:].split()[0])
        assert spawning.process.stdin and spawning.process.stdout
        daemons = {
            os.readlink(f"/proc/self/fd/{pipe.fileno()}") for pipe in (spawning.process.stdin, spawning.process.stdout)
        }
        workers = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
        assert not daemons & workers
