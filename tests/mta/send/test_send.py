"""qmail-send as a whole: a real process between spawners and a cleaner that the test plays."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from commands import BIN
from sending import LOCAL, REMOTE, Home, Sending
from until import until

from mta.queue import layout

LONG_AGO = 1_000_000_000
QUEUE = {"QMAILQUEUE": str(BIN / "qmail-queue")}


def count(lines: list[str], text: str) -> int:
    return sum(text in line for line in lines)


def test_a_message_is_delivered_and_every_line_of_the_log_is_the_originals(home: Home) -> None:
    n = home.submit(b"joe@example.org", b"hold x@far.example", text=b"Subject: hi\n\n", sender=b"sue x@example.net")
    with Sending(home) as sending:
        sending.logged("success")
        sending.release(b"hold x@far.example", b"K1.2.3.4 accepted message.\nRemote host said: 250 ok 50%\n")
        sending.logged("end msg")
        assert sending.stop() == 0
        assert sending.lines == [
            "status: local 0/10 remote 0/20",
            f"new msg {n}",
            f"info msg {n}: bytes 13 from <sue_x@example.net> qp 77 uid 500",
            f"starting delivery 1: msg {n} to local joe@example.org",
            "status: local 1/10 remote 0/20",
            f"starting delivery 2: msg {n} to remote hold_x@far.example",
            "status: local 1/10 remote 1/20",
            "delivery 1: success: did_1+0+0//",
            "status: local 0/10 remote 1/20",
            "delivery 2: success: 1.2.3.4_accepted_message./Remote_host_said:_250_ok_50_/",
            "status: local 0/10 remote 0/20",
            f"end msg {n}",
            "status: exiting",
        ]
    assert home.left() == []
    split = b"%d/%d" % (n % 23, n)
    assert sending.requests == [
        ("local", 0, split, b"sue x@example.net", b"joe@example.org"),
        ("remote", 0, split, b"sue x@example.net", b"hold x@far.example"),
    ]


def test_the_trigger_wakes_it_at_once(home: Home) -> None:
    with Sending(home) as sending:
        sending.logged("status")
        for number in range(3):
            home.submit(b"joe%d@example.org" % number)
            home.pull()
            sending.logged("end msg", number + 1)


def test_it_sleeps_when_there_is_nothing_to_do(home: Home) -> None:
    home.submit(b"soft@example.org")
    with Sending(home) as sending:
        sending.logged("deferral")

        def used() -> int:
            """Processor time in hundredths of a second."""
            return sum(map(int, Path(f"/proc/{sending.pid}/stat").read_text().rpartition(")")[2].split()[11:13]))

        before = used()
        time.sleep(0.3)  # there is no condition for nothing happening
        assert used() - before < 10


def test_a_failure_is_told_to_the_sender_and_a_failing_bounce_to_the_postmaster(home: Home) -> None:
    home.control("doublebounceto", "hard-postmaster")
    home.control("doublebouncehost", "far.example")
    first = home.submit(
        b"joe@example.org", b"hard@far.example", sender=b"hard-sue@example.org", text=b"Subject: x\n\nHi\n"
    )
    with Sending(home, env=QUEUE) as sending:
        sending.reports[b"hard-postmaster@far.example"] = b"Dnobody reads this\n"
        sending.logged("triple bounce: discarding bounce/")
        sending.logged("end msg", 3)
        assert sending.requests[1].sender == b"hard-sue@example.org"
        assert [request[3:] for request in sending.requests[2:]] == [
            (b"", b"hard-sue@example.org"),
            (b"#@[]", b"hard-postmaster@far.example"),
        ]
        assert sending.logged(f"bounce msg {first} qp ")
        assert count(sending.lines, "bounce msg") == 2
    assert home.left() == []


def test_a_bounce_holds_the_failures_and_the_message(home: Home) -> None:
    home.control("virtualdomains", "virt.example:joe")
    home.submit(b"a@virt.example", b"hard@far.example", sender=b"hold@example.org", text=b"Subject: x\n\nHi\n")
    with Sending(home, env=QUEUE) as sending:
        sending.reports[b"joe-a@virt.example"] = b"Dno\n\nsuch box"
        until(lambda: b"hold@example.org" in sending.held)
        _, _, text = (home.path / "mess" / os.fsdecode(sending.requests[-1].file)).read_bytes().split(b"\n", 2)
        assert text == (
            b"From: MAILER-DAEMON@mail.example.org\n"
            b"To: hold@example.org\n"
            b"Subject: failure notice\n"
            b"\n"
            b"Hi. This is the qmail-send program at mail.example.org.\n"
            b"I'm afraid I wasn't able to deliver your message to the following addresses.\n"
            b"This is a permanent error; I've given up. Sorry it didn't work out.\n"
            b"\n"
            b"<a@virt.example>:\n"
            b"no\n"
            b"/such box\n"
            b"\n"
            b"<hard@far.example>:\n"
            b"Sorry, no mailbox here by that name. (#5.1.1)\n"
            b"\n"
            b"--- Below this line is a copy of the message.\n"
            b"\n"
            b"Return-Path: <hold@example.org>\n"
            b"Subject: x\n"
            b"\n"
            b"Hi\n"
        )


def test_a_bounce_that_cannot_be_queued_is_tried_again_later(home: Home) -> None:
    number = home.submit(b"hard@example.org")
    with Sending(home, env={"QMAILQUEUE": "/bin/false"}) as sending:
        sending.logged("warning: trouble injecting bounce message, will try later")
        assert sending.stop() == 0
        assert not count(sending.lines, "end msg")
    assert home.state(number) == layout.ACTIVE
    with Sending(home, env=QUEUE) as sending:
        sending.logged(f"end msg {number}")
        assert not [request for request in sending.requests if request.recipient == b"hard@example.org"]


def test_a_list_has_a_sender_for_each_recipient_and_its_owner_hears_of_failures(home: Home) -> None:
    home.submit(b"hard@example.org", b"joe@far.example", sender=b"hold-@example.org-@[]")
    with Sending(home, env=QUEUE) as sending:
        until(lambda: b"hold-@example.org" in sending.held)
        assert {request[3:] for request in sending.requests} == {
            (b"hold-hard=example.org@example.org", b"hard@example.org"),
            (b"hold-joe=far.example@example.org", b"joe@far.example"),
            (b"", b"hold-@example.org"),
        }


def test_what_is_deferred_waits_over_a_restart_until_its_time(home: Home) -> None:
    number = home.submit(b"soft@example.org", b"joe@example.org")
    with Sending(home) as sending:
        sending.logged("deferral")
        sending.logged("success")
        assert sending.stop() == 0
    birth = home.file(layout.info(number)).stat().st_mtime
    assert 100 <= home.file(layout.local(number)).stat().st_mtime - int(birth) <= 130
    assert home.file(layout.local(number)).read_bytes() == b"Tsoft@example.org\0Djoe@example.org\0"
    with Sending(home) as sending:
        sending.logged("status")
        sending.kill(signal.SIGALRM)
        sending.logged("deferral")
        assert sending.recipients() == [b"soft@example.org"]


def test_what_has_become_due_while_it_was_down_is_tried_at_its_start(home: Home) -> None:
    number = home.submit(b"soft@far.example")
    with Sending(home) as sending:
        sending.logged("deferral")
        sending.stop()
    os.utime(home.file(layout.remote(number)), (LONG_AGO, LONG_AGO))
    with Sending(home) as sending:
        sending.reports[b"soft@far.example"] = b"Kat last\n"
        sending.logged(f"end msg {number}")


def test_after_its_lifetime_a_message_is_tried_once_more_and_bounces(home: Home) -> None:
    number = home.submit(b"soft@example.org", sender=b"hold@example.org")
    with Sending(home) as sending:
        sending.logged("deferral")
        sending.stop()
    for name in layout.info(number), layout.local(number):
        os.utime(home.file(name), (LONG_AGO, LONG_AGO))
    with Sending(home, env=QUEUE) as sending:
        text = "Try_again_later._(#4.3.0)/I'm_not_going_to_try_again;_this_message_has_been_in_the_queue_too_long./"
        sending.logged(f"delivery 1: failure: {text}")
        sending.logged(f"end msg {number}")
        assert until(lambda: sending.held)


def test_a_report_that_is_none_defers(home: Home) -> None:
    number = home.submit(b"bad@example.org", b"joe@example.org")
    with Sending(home) as sending:
        sending.reports[b"joe@example.org"] = b""
        sending.logged("report mangled, will defer", 2)
        sending.stop()
    assert home.file(layout.local(number)).read_bytes() == b"Tbad@example.org\0Tjoe@example.org\0"


def test_spawners_are_not_believed(home: Home) -> None:
    home.submit(b"hold@example.org", b"hold2@example.org")
    with Sending(home) as sending:
        until(lambda: len(sending.held) == 2)
        sending.say(LOCAL, b"\x07Kwho?\0\xffK\0")
        sending.logged("warning: internal error: delivery report out of range", 2)
        for piece in (b"\x00", b"K" + b"x" * 7000, b"y" * 7000, b"\0\x01", b"Z", b"now\0"):  # a slow and talkative one
            sending.say(LOCAL, piece)
        sending.logged("delivery 2: deferral: now")
        (line,) = sending.logged("delivery 1: success: ")
        assert line == "delivery 1: success: " + "x" * 7000 + "y" * 2998


def test_no_more_run_at_a_time_than_the_controls_and_the_spawner_allow(home: Home) -> None:
    home.control("concurrencylocal", "300")
    home.control("concurrencyremote", "2")
    home.submit(*(b"hold%d@%s" % (n, host) for n in range(8) for host in (b"example.org", b"far.example")))
    with Sending(home, limit=5) as sending:
        sending.logged("status: local 0/5 remote 0/2")
        sending.logged("status: local 5/5 remote 2/2")
        sending.release(b"hold0@example.org")
        sending.release(b"hold1@far.example")
        until(lambda: {b"hold5@example.org", b"hold2@far.example"} <= sending.held.keys())
        assert len(sending.held) == 7
        assert sending.requests[-1].slot in (0, 1)


def test_with_a_concurrency_of_0_deliveries_are_on_hold(home: Home) -> None:
    home.control("concurrencyremote", "0")
    home.submit(b"mary@far.example", b"joe@example.org")
    with Sending(home) as sending:
        sending.logged("success")
        sending.stop()
        assert sending.recipients() == [b"joe@example.org"]


def test_hup_reads_the_local_hosts_again(home: Home) -> None:
    home.submit(b"joe@example.org")
    with Sending(home) as sending:
        sending.logged("end msg")  # it has looked into todo
        home.control("locals", "new.example")
        home.control("virtualdomains", "virt.example:joe")
        sending.kill(signal.SIGHUP)
        home.submit(b"a@new.example", b"b@virt.example", b"c@example.org")
        home.pull()
        sending.logged("end msg", 2)
        assert {request[::4] for request in sending.requests[1:]} == {
            ("local", b"a@new.example"),
            ("local", b"joe-b@virt.example"),
            ("remote", b"c@example.org"),
        }
        (home.home / "control/locals").unlink()
        (home.home / "control/locals").mkdir()
        sending.kill(signal.SIGHUP)
        sending.logged("alert: unable to reread control/locals")


def test_hup_reads_how_many_may_run_again(home: Home) -> None:
    home.control("concurrencylocal", "2")
    home.submit(*(b"hold%d@example.org" % n for n in range(9)))
    with Sending(home) as sending:
        until(lambda: len(sending.held) == 2)
        home.control("concurrencylocal", "6")
        sending.kill(signal.SIGHUP)
        until(lambda: len(sending.held) == 6)
        sending.logged("status: local 6/6 remote 0/20")
        home.control("concurrencylocal", "1")
        sending.kill(signal.SIGHUP)
        home.submit(b"joe@far.example")
        home.pull()
        sending.logged("status: local 6/1 remote 1/20")
        for n in range(6):
            sending.release(b"hold%d@example.org" % n)
        sending.logged("status: local 1/1 remote 0/20")
        (home.home / "control/concurrencyremote").mkdir()
        sending.kill(signal.SIGHUP)
        sending.logged("alert: unable to reread control/concurrencyremote")


def test_a_spawner_may_run_hundreds_at_a_time(home: Home) -> None:
    home.control("concurrencylocal", "300")
    home.submit(*(b"hold%d@example.org" % n for n in range(310)))
    with Sending(home, limit=1000) as sending:
        until(lambda: len(sending.held) == 300)
        sending.logged("status: local 300/300 remote 0/20")
        assert {request.slot for request in sending.requests} == {*range(300)}
        sending.say(LOCAL, b"\xff\xffKwho?\0")
        sending.logged("warning: internal error: delivery report out of range")
        sending.release(b"hold256@example.org", b"Dno")
        sending.logged("delivery 257: failure: no")
        until(lambda: len(sending.held) == 300)
        assert sending.requests[-1].slot == 256


def test_term_waits_for_what_runs_and_begins_nothing(home: Home) -> None:
    home.control("concurrencylocal", "1")
    number = home.submit(b"hold@example.org", b"joe@example.org")
    with Sending(home) as sending:
        until(lambda: sending.held)
        sending.kill(signal.SIGTERM)
        home.submit(b"late@example.org")
        home.pull()
        sending.release(b"hold@example.org")
        assert sending.wait() == 0
        assert sending.lines[-3:] == [
            "delivery 1: success: done",
            "status: local 0/1 remote 0/20 exitasap",
            "status: exiting",
        ]
        assert sending.recipients() == [b"hold@example.org"]
    assert home.file(layout.local(number)).read_bytes() == b"Dhold@example.org\0Tjoe@example.org\0"


def test_there_is_only_one(home: Home) -> None:
    with Sending(home) as first:
        first.logged("status")
        with Sending(home) as second:
            assert second.wait() == 111
            assert second.lines == ["alert: cannot start: qmail-send is already running"]


def test_it_says_why_it_cannot_start(home: Home) -> None:
    (home.home / "control/me").unlink()
    (home.home / "control/locals").unlink()
    with Sending(home) as sending:
        assert sending.wait() == 111
        assert sending.lines == ["alert: cannot start: unable to read controls"]
    home.control("me", "mail.example.org")
    with Sending(home, limit=-1) as sending:
        assert sending.wait() == 111
        assert sending.lines == ["alert: cannot start: hath the daemon spawn no fire?"]
    home.path.rename(home.home / "elsewhere")
    with Sending(home) as sending:
        assert sending.wait() == 111
        assert sending.lines == ["alert: cannot start: unable to switch to queue directory"]


def test_when_a_spawner_is_lost_it_waits_for_the_other_and_leaves(home: Home) -> None:
    number = home.submit(b"hold@example.org", b"hold@far.example")
    with Sending(home) as sending:
        until(lambda: len(sending.held) == 2)
        sending.gone.add(LOCAL)
        sending.logged("alert: oh no! lost spawn connection! dying...")
        sending.release(b"hold@far.example")
        assert sending.wait() == 0
        assert sending.lines[-1] == "status: exiting"
    with Sending(home) as sending:  # nothing is lost
        sending.release(b"hold@example.org")
        sending.logged(f"end msg {number}")
        assert sending.recipients() == [b"hold@example.org"]


def test_when_the_cleaner_is_lost_it_leaves(home: Home) -> None:
    with Sending(home) as sending:
        sending.logged("status")
        sending.gone.add(REMOTE + 2)
        assert sending.wait() == 0
        assert sending.lines[1:] == ["alert: oh no! lost qmail-clean connection! dying...", "status: exiting"]


def test_what_the_cleaner_cannot_remove_is_said_and_done_later(home: Home) -> None:
    number = home.submit(b"joe@example.org")
    with Sending(home, clean=b"!") as sending:
        sending.logged(f"warning: qmail-clean unable to clean up todo/{number}")
        assert sending.requests == []
        sending.clean = b"+"
        home.pull()
        sending.logged(f"end msg {number}")


def test_leftovers_go_after_36_hours(home: Home) -> None:
    old, young, waiting = (home.submit(b"soft@example.org") for _ in range(3))
    for number in old, young:
        for name in layout.todo(number), layout.intd(number):
            home.file(name).unlink()
    ago = time.time() - layout.OSSIFIED - 100
    os.utime(home.file(layout.mess(old)), (ago, ago))
    os.utime(home.file(layout.mess(waiting)), (ago, ago))
    with Sending(home) as sending:
        until(lambda: not home.file(layout.mess(old)).exists())
        sending.logged("deferral")
        sending.stop()
    assert home.file(layout.mess(young)).exists()
    assert home.file(layout.mess(waiting)).exists()


def test_a_kill_at_any_moment_loses_nothing(home: Home) -> None:
    people = [b"joe%d@%s" % (n, host) for n in range(20) for host in (b"example.org", b"far.example")]
    for first in range(0, len(people), 4):
        home.submit(*people[first : first + 4])
    delivered: set[bytes] = set()

    def waiting() -> bool:  # a kill may leave a message that is done, to go after 36 hours
        return any(not name.startswith("mess/") for name in home.left())

    for line in range(1, 100, 9):  # it is killed as soon as its log has so many lines
        with Sending(home, limit=3) as sending:
            until(lambda line=line, sending=sending: len(sending.lines) >= line or not waiting())
        delivered |= set(sending.recipients())
    with Sending(home) as sending:
        until(lambda: not waiting())
    assert delivered | set(sending.recipients()) == set(people)


def test_two_thousand_messages_pass(home: Home) -> None:
    numbers = {home.submit(b"joe%d@example.org" % n, sender=b"sue%d@example.net" % n) for n in range(2000)}
    home.control("concurrencylocal", "100")
    with Sending(home) as sending:
        sending.logged("end msg", 2000)
        assert {int(line.split()[2]) for line in sending.lines if line.startswith("end msg")} == numbers
        assert sorted(sending.recipients()) == sorted(b"joe%d@example.org" % n for n in range(2000))
    assert home.left() == []


def test_a_message_to_thousands_passes_in_bounded_memory(home: Home) -> None:
    people = [b"somebody-%d@example.org" % n for n in range(5000)]
    home.control("concurrencylocal", "100")
    home.submit(*people)
    with Sending(home) as sending:

        def size() -> int:
            status = Path(f"/proc/{sending.pid}/status").read_text()
            return int(status.partition("VmRSS:")[2].split()[0])

        sending.logged("starting delivery 10:")
        before = size()
        sending.logged("starting delivery 5000:")
        assert size() - before < 1024
        sending.logged("end msg")
    assert sending.recipients() == people
