"""qmail-why as users run it: on logs as multilog leaves them, and on a queue as qmail-send does."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import Result, run
from hypothesis import given
from hypothesis import strategies as st
from logfiles import EPOCH, SECOND, at, put, put_current, put_old
from sending import Home

from mta.queue import layout
from mta.send.rewrite import LOCAL, REMOTE
from mta.send.schedule import next_try
from mta.why import logs
from mta.why.query import Query

BEGIN = EPOCH // SECOND  # seconds since 1970 of second 0 in the logs here
DATE = b"2027-01-15 08:00:"


class Scene(Home):
    """A home, the logs of its services, and what qmail-why tells of it."""

    def log(self, *lines: str, service: str = "qmail-send", first: float = 1) -> None:
        """Write a log with a line for each second, from *first* on."""
        text = b"".join(b"%b %b\n" % (at(first + count), line.encode()) for count, line in enumerate(lines))
        put(self.home / "service" / service, "run", b"")
        put_current(self.home / "service" / service / "log/main", text)

    def why(self, *words: str | Path, user: int | None = None) -> Result:
        return run("qmail-why", *words, env=self.env | {"SVDIR": None}, user=user)

    def told(self, *words: str | Path) -> str:
        """What is told as text."""
        done = self.why("-u", *words)
        assert (done.code, done.err) == (0, b""), done
        return done.out.decode()

    def stories(self, *words: str | Path) -> list[dict[str, Any]]:
        """What is told as JSON."""
        done = self.why("-u", "--json", *words)
        assert (done.code, done.err) == (0, b""), done
        return [json.loads(line) for line in done.out.splitlines()]

    def queued(self, number: int, sender: str = "sue@example.net", birth: float = 1, **channels: list[str]) -> None:
        """Put a message into the queue that was taken on at second *birth*, with recipients as `Tjoe@example.org`."""
        self.put(layout.mess(number), b"Received: (qmail 77 invoked by uid 500); now\nSubject: x\n\n")
        self.put(layout.info(number), b"F%b\0" % sender.encode(), BEGIN + birth)
        for name, file in (("local", layout.local), ("remote", layout.remote)):
            if name in channels:
                self.put(file(number), "".join(f"{each}\0" for each in channels[name]).encode(), BEGIN + birth)


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    (scene.home / "service").mkdir()
    yield scene
    scene.remove()


def flat(told: str) -> str:
    """What is told in one line, wherever its lines were broken."""
    return " ".join(told.split())


def taken(number: int, qp: int, sender: str = "sue@example.net", size: int = 812, uid: int = 500) -> tuple[str, str]:
    """The lines of a message that is taken on."""
    return f"new msg {number}", f"info msg {number}: bytes {size} from <{sender}> qp {qp} uid {uid}"


def tried(number: int, delivery: int, to: str, report: str, channel: str = "remote") -> tuple[str, str]:
    """The lines of a delivery."""
    return f"starting delivery {delivery}: msg {number} to {channel} {to}", f"delivery {delivery}: {report}"


WHOLE = (
    *taken(4711, 77),
    *tried(4711, 1, "bob@far.example", "deferral: Connected_to_192.0.2.9_but_greeting_failed./Remote_host_said:_421_/"),
    "status: local 0/10 remote 0/20",
    *tried(4711, 2, "bob@far.example", "success: 192.0.2.9_accepted_message./Remote_host_said:_250_ok_a/b/"),
    "end msg 4711",
)  # fmt: skip
SMTPD = "qmail-smtpd: pid 99 client joe@192.0.2.7 qp 77: bytes 700 from <sue@example.net> rcpts 1"


def test_a_message_is_told_from_who_gave_it_to_its_end(scene: Scene) -> None:
    scene.log(*WHOLE)
    scene.log(SMTPD, service="qmail-smtpd", first=0.5)
    told = """\
Message 4711, qp 77, 812 bytes, from <sue@example.net>
  2027-01-15 08:00:01  given by 192.0.2.7 (as joe) to qmail-smtpd (pid 99)
  2027-01-15 08:00:04  put off for bob@far.example (remote): Connected to
                       192.0.2.9 but greeting failed.
                       Remote host said: 421
  2027-01-15 08:00:07  delivered to bob@far.example (remote): 192.0.2.9 accepted
                       message.
                       Remote host said: 250 ok a/b
  2027-01-15 08:00:08  done, and removed from the queue
"""
    for word in ("4711", "77", "sue@example.net", "SUE@EXAMPLE.NET", "bob@far.example", "@far.example"):
        assert scene.told(word) == told, word


@pytest.mark.parametrize("first", [0.5, 1.5, 3.5, 9])
def test_the_line_of_qmail_smtpd_may_come_before_or_behind_those_of_qmail_send(scene: Scene, first: float) -> None:
    scene.log(*WHOLE)
    scene.log(SMTPD, service="smtp-of-any-name", first=first)
    scene.log(SMTPD.replace("sue", "ann"), service="older", first=0.1)  # of another message, which had the qp before
    [story] = scene.stories("4711")
    assert story["given"]["client"] == "joe@192.0.2.7"


def test_the_logs_may_be_named_and_old_and_compressed_ones_are_read(scene: Scene) -> None:
    text = b"".join(b"%b %b\n" % (at(1 + count), line.encode()) for count, line in enumerate(WHOLE))
    middle = text.index(b"starting delivery 2") - len(at(1) + b" ")
    put_old(scene.home / "elsewhere", 5, text[:middle], ".s.zst")
    put_current(scene.home / "elsewhere", text[middle:])
    [story] = scene.stories("77", scene.home / "elsewhere")
    assert [each["verdict"] for each in story["deliveries"]] == ["deferral", "success"]
    assert scene.why("77", scene.home / "elsewhere", "--since", at(99).decode()).code == 1


def test_messages_that_had_the_same_number_one_after_another_are_told_apart(scene: Scene) -> None:
    again = [line.replace("qp 77", "qp 78").replace("bob", "ann").replace("delivery 1", "delivery 3") for line in WHOLE]
    scene.log(*WHOLE, *again)
    assert [(story["qp"], len(story["deliveries"])) for story in scene.stories("4711")] == [(77, 2), (78, 2)]
    assert [story["qp"] for story in scene.stories("ann@far.example")] == [78]
    assert [story["qp"] for story in scene.stories("78")] == [78]


def test_a_bounce_and_what_was_forwarded_are_told_behind_the_message_they_come_from(scene: Scene) -> None:
    scene.log(
        *taken(1, 70),
        *tried(1, 1, "joe@example.org", "success: did_0+1+0/qp_71/", "local"),
        *tried(1, 2, "no@example.org", "failure: Sorry,_no_mailbox_here_by_that_name._(#5.1.1)/", "local"),
        *taken(2, 71),
        "bounce msg 1 qp 72",
        "end msg 1",
        *taken(3, 72, sender=""),
        "end msg 3",
        "end msg 2",
    )
    first, forwarded, bounce = scene.stories("70")
    assert [each["qp"] for each in first["bounces"]] == [72]
    assert forwarded["given"] == {"by": "forward", "message": 1, "qp": 70, "recipient": "joe@example.org"}
    assert bounce["given"] == {"by": "bounce", "message": 1, "qp": 70, "recipient": None}
    assert [story["qp"] for story in scene.stories("72")] == [72]
    assert "\n\nMessage 2, qp 71, 812 bytes, from <sue@example.net>\n" in scene.told("1")
    told = flat(scene.told("1"))
    assert " what failed was told to <sue@example.net>, as qp 72 " in told
    assert " forwarded for joe@example.org, who got message 1 (qp 70) " in told
    assert " it is the bounce of message 1 (qp 70) " in told


def test_the_bounce_of_a_bounce_goes_to_the_postmaster_and_that_of_this_one_nowhere(scene: Scene) -> None:
    lost = tried(2, 2, "no@example.org", "failure: no_mailbox/", "local")
    scene.log(*taken(1, 70, sender=""), *tried(1, 1, "no@example.org", "failure: no_mailbox/"), "bounce msg 1 qp 71")
    assert " what failed was told to the postmaster, as qp 71 " in flat(scene.told("70"))
    scene.log(*taken(2, 71, sender="#@[]"), *lost, "triple bounce: discarding bounce/2", "end msg 2")
    assert " what failed was thrown away " in flat(scene.told("71"))
    assert scene.stories("71")[0]["bounces"] == [{"time": "2027-01-15T08:00:05.000000000+00:00", "qp": None}]


def test_of_a_recipient_only_what_concerns_it_is_told(scene: Scene) -> None:
    scene.log(
        *taken(1, 70),
        *tried(1, 1, "joe@example.org", "success: did_0+1+0/qp_71/", "local"),
        *tried(1, 2, "no@example.org", "failure: Sorry,_no_mailbox_here_by_that_name._(#5.1.1)/", "local"),
        *taken(2, 71),
        "bounce msg 1 qp 72",
        *taken(3, 72, sender=""),
    )
    scene.queued(1, local=[])
    for word, qps in {"joe@example.org": [70, 71], "no@example.org": [70, 72], "@example.org": [70, 71, 72]}.items():
        assert [story["qp"] for story in scene.stories(word)] == qps
    told = scene.told("joe@example.org")
    assert "deliveries to others, not shown: 1" in told and "what failed" not in told


def test_a_recipient_is_found_under_the_name_that_it_had_before_it_was_rewritten(scene: Scene) -> None:
    scene.control("virtualdomains", "virtual.example:joe-virtual")
    scene.log(*taken(1, 70), *tried(1, 1, "joe-virtual-ann@virtual.example", "success: did_1+0+0/", "local"))
    [story] = scene.stories("ann@virtual.example")
    assert story["qp"] == 70
    assert scene.stories("joe-virtual-ann@virtual.example") == [story]


def test_whom_qmail_smtpd_has_refused_is_told_with_its_words(scene: Scene) -> None:
    scene.log(
        "qmail-smtpd: pid 99 client 192.0.2.7 refused: from <sue@x> to <bob@y>: 553_sorry,_not_in_my_list_(#5.7.1)",
        "qmail-smtpd: pid 99 client 192.0.2.7 refused: from <ann@x>: 555_syntax_error_(#5.5.4)",
        "qmail-smtpd: pid 99 client 192.0.2.7 refused: from <sue@x> to <joe@z> rcpts 3: 451_qqt_failure_(#4.3.0)",
        service="qmail-smtpd",
    )
    assert scene.told("bob@y") == (
        "Refused: from <sue@x> to <bob@y>\n"
        "  2027-01-15 08:00:01  192.0.2.7 got for an answer from qmail-smtpd (pid 99):\n"
        "                       553 sorry, not in my list (#5.7.1)\n"
    )
    assert [story["recipient"] for story in scene.stories("@x")] == ["bob@y", None, "joe@z"]
    assert [story["state"] for story in scene.stories("ann@x")] == ["refused"]


def test_deliveries_that_a_new_qmail_send_has_cut_off_are_told_so(scene: Scene) -> None:
    for end in ("status: exiting", "starting delivery 1: msg 2 to local x@y"):
        scene.log(*taken(1, 70), *tried(1, 5, "bob@far.example", "deferral: busy/")[:1], end, "delivery 5: success: x/")
        [story] = scene.stories("70")
        assert [each["verdict"] for each in story["deliveries"]] == ["cut off"]
    assert "(remote) was cut off by the end of qmail-send" in flat(scene.told("70"))


def test_a_bounce_whose_failure_is_not_in_the_logs_any_more_is_told(scene: Scene) -> None:
    scene.log(
        *tried(1, 2, "bob@far.example", "success: x/"), "bounce msg 1 qp 72", "end msg 1", *taken(3, 72, sender="")
    )
    first, bounce = scene.stories("1")
    assert (first["bounces"][0]["qp"], bounce["given"]["by"]) == (72, "bounce")
    assert " as qp 72 " in flat(scene.told("1"))


def test_where_the_logs_begin_in_the_middle_of_a_story_that_is_said(scene: Scene) -> None:
    scene.log("delivery 3: success: x/", *WHOLE[2:])
    told = scene.told("bob@far.example")
    assert told.startswith("Message 4711\n  2027-01-15 08:00:02  here the logs begin to tell of it\n")
    assert scene.stories("4711")[0]["sender"] is None


# -- what comes next -------------------------------------------------------------------------


def waiting(*more: str) -> tuple[str, ...]:
    """A log of a message for two hosts and a user, of whom one has got it."""
    return (
        *taken(9, 70),
        *tried(9, 1, "bob@far.example", "deferral: busy/"),
        *tried(9, 2, "ann@far.example", "success: taken/"),
        *tried(9, 3, "joe@example.org", "deferral: busy/", "local"),
        *more,
    )


def test_the_next_try_is_that_of_qmail_send_and_counts_from_the_last_one(scene: Scene) -> None:
    scene.queued(9, local=["Tjoe@example.org"], remote=["Tbob@far.example", "Dann@far.example"])
    scene.log(*waiting())
    [story] = scene.stories("9")
    assert story["state"] == "waiting"
    moments = [
        (next_try(BEGIN + 1, BEGIN + 7, LOCAL), "joe@example.org"),
        (next_try(BEGIN + 1, BEGIN + 3, REMOTE), "bob@far.example"),
    ]
    for each, (moment, recipient) in zip(story["next"], moments, strict=True):
        assert each["recipients"] == [recipient]
        minute, second = divmod(moment - BEGIN, 60)
        assert each["time"] == f"2027-01-15T08:{minute:02d}:{second:02d}.000000000+00:00"
    assert story["gives_up"] == "2027-01-22T08:00:01.000000000+00:00"
    again = tried(9, 4, "bob@far.example", "deferral: busy/")
    scene.log(*waiting(*again))
    later = scene.stories("9")[0]["next"][1]["time"]
    assert later > story["next"][1]["time"] or next_try(BEGIN + 1, BEGIN + 9, REMOTE) == moments[1][0]
    assert "put off for bob@far.example (remote), as before\n" in scene.told("9")


def test_after_a_new_start_of_qmail_send_the_next_try_is_the_time_of_the_file(scene: Scene) -> None:
    scene.queued(9, local=["Tjoe@example.org"], remote=["Tbob@far.example", "Dann@far.example"])
    for name in (layout.local(9), layout.remote(9)):
        os.utime(scene.file(name), (BEGIN + 500, BEGIN + 500))
    scene.log(*waiting("status: exiting"))
    [story] = scene.stories("9")
    assert {each["time"] for each in story["next"]} == {"2027-01-15T08:08:20.000000000+00:00"}


def test_who_is_being_delivered_to_has_no_next_try(scene: Scene) -> None:
    scene.queued(9, remote=["Tbob@far.example"])
    scene.log(*taken(9, 70), "starting delivery 1: msg 9 to remote bob@far.example")
    [story] = scene.stories("9")
    assert (story["next"], story["deliveries"][0]["verdict"]) == ([], "running")
    assert scene.told("9").endswith(f"  {DATE.decode()}03  being delivered to bob@far.example (remote)\n")


def test_a_message_that_only_the_queue_knows_is_told(scene: Scene) -> None:
    scene.log("status: local 0/10 remote 0/20")
    scene.queued(9, local=["Djoe@example.org"], remote=["Tbob@far.example"])
    scene.put(layout.bounce(9), b"<x@y>:\nno\n\n")
    for word in ("9", "sue@example.net", "bob@far.example"):
        told = scene.told(word)
        assert told.startswith("Message 9, from <sue@example.net>\n  2027-01-15 08:00:01  no log tells of it\n")
        assert "  next try for bob@far.example (remote), " in told
        assert flat(told).endswith(" what failed is told to the sender when all the others are done")


def test_a_message_that_qmail_send_has_not_seen_yet_is_told_by_its_qp_too(scene: Scene) -> None:
    number = scene.submit(
        b"bob@far.example", text=b"Received: (qmail 77 invoked by uid 500); now\nReceived: from a (1)\n\n"
    )
    scene.log(SMTPD, service="qmail-smtpd")
    for word in (str(number), "77", "bob@far.example", "sue@example.net"):
        [story] = scene.stories(word)
        assert (story["state"], story["message"], story["qp"], story["uid"]) == ("new", number, 77, 500)
        assert (story["origin"], story["given"]["client"]) == ("a (1)", "joe@192.0.2.7")
    assert scene.told("77").endswith(" qmail-send has not taken it on yet\n")


def test_a_message_that_has_gone_is_not_taken_for_another_one_with_its_number(scene: Scene) -> None:
    scene.log(*WHOLE[:-1])
    assert [story["state"] for story in scene.stories("77")] == ["gone"]
    scene.queued(4711, sender="ann@example.net", remote=["Tbob@far.example"])
    assert [story["state"] for story in scene.stories("77")] == ["gone"]
    assert "no log tells its end" in scene.told("77")


# -- the command -----------------------------------------------------------------------------


def test_the_last_stories_are_told_and_how_many_older_ones_there_are(scene: Scene) -> None:
    scene.log(*(line for number in range(1, 31) for line in (*taken(number, 100 + number), f"end msg {number}")))
    for words, count in (([], 10), (["-n", "3"], 3), (["--stories=30"], 30)):
        done = scene.why("--json", "sue@example.net", *words)
        assert [json.loads(line)["qp"] for line in done.out.splitlines()] == list(range(131 - count, 131))
        said = b"qmail-why: older ones, not shown: %d (-n shows more)\n" % (30 - count)
        assert (done.code, done.err) == (0, said if count < 30 else b"")
    since = at(85).decode()
    assert [story["qp"] for story in scene.stories("sue@example.net", "--since", since)] == [129, 130]


def test_of_what_is_not_known_nothing_is_told(scene: Scene) -> None:
    scene.log(*WHOLE)
    for word in ("12", "nobody@example.org", "@example.com", "ue@example.net"):
        assert scene.why(word) == (1, b"", b"qmail-why: nothing is known of such a message\n")


@pytest.mark.parametrize("words", [[], ["joe"], ["-n", "0", "1"], ["-n", "x", "1"], ["--nonsense", "1"]])
def test_wrong_usage_is_said(scene: Scene, words: list[str]) -> None:
    done = scene.why(*words)
    assert (done.code, done.out) == (100, b"")
    assert done.err.splitlines()[-1].startswith(b"qmail-why: usage: qmail-why [ -u ] ")


def test_without_logs_or_a_queue_what_is_missing_is_said_and_the_rest_is_told(scene: Scene) -> None:
    scene.queued(9, remote=["Tbob@far.example"])
    done = scene.why("9")
    assert (done.code, done.err) == (
        111,
        b"qmail-why: warning: there are no services in %b/service\n" % os.fsencode(scene.home),
    )
    assert done.out.startswith(b"Message 9, ")
    scene.log(*WHOLE)
    scene.path.rename(scene.home / "elsewhere")
    done = scene.why("77")
    assert done.code == 111 and done.out.startswith(b"Message 4711, qp 77")
    assert done.err == b"qmail-why: warning: unable to switch to %b: file does not exist\n" % os.fsencode(scene.path)


@pytest.mark.root
def test_who_may_not_read_the_queue_is_told_what_the_logs_say(scene: Scene) -> None:
    scene.queued(4711, remote=["Tbob@far.example"])
    scene.log(*WHOLE[:-1])
    for folder, _, files in os.walk(scene.home):
        for name in (folder, *(os.path.join(folder, file) for file in files)):
            os.chmod(name, 0o755)
    (scene.path / "info").chmod(0o700)
    done = scene.why("77", user=65534)
    assert (done.code, done.err) == (111, b"qmail-why: warning: unable to read queue/info: access denied\n")
    assert b"  the queue cannot be read, which would tell what comes\n" in done.out


def test_a_damaged_message_is_named_and_the_others_are_told(scene: Scene) -> None:
    scene.log("status: local 0/10 remote 0/20")
    scene.queued(9, remote=["Tbob@far.example"])
    scene.put(layout.info(9), b"nonsense")
    done = scene.why("9")
    assert (done.code, done.out) == (111, b"")
    assert done.err == b"qmail-why: warning: unable to read message 9 in the queue: its files are damaged\n"


def test_lines_have_80_columns_and_nothing_that_a_terminal_obeys(scene: Scene) -> None:
    long = "x" * 300 + "@far.example"
    scene.queued(9, sender="\033[2J@y", remote=[f"T{long}", "T\033[2J@far.example"])
    scene.log(*taken(9, 70, sender="_[2J@y"), *tried(9, 1, long, "deferral: \033[2J_" + "word_" * 99 + "y" * 200 + "/"))
    for word in ("9", "@far.example"):
        told = scene.told(word)
        assert max(map(len, told.splitlines())) <= 80
        assert told.replace("\n", "").isprintable()


LINES = st.sampled_from([*WHOLE, *waiting(), SMTPD, "bounce msg 4711 qp 5", "triple bounce: discarding bounce/9"])


@given(st.lists(st.tuples(LINES, st.text(alphabet="0159 :<>@/", max_size=3), st.integers(0, 80))))
def test_no_line_can_upset_it(lines: list[tuple[str, str, int]]) -> None:
    stories = logs.Stories(Query(b"bob@far.example"), 10)
    for count, (line, more, where) in enumerate(lines):
        stories.take(at(count), 0, (line[:where] + more + line[where + len(more) :]).encode())


def test_what_is_remembered_does_not_grow_with_the_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "KEPT", 50)
    stories = logs.Stories(Query(b"nobody@example.org"), 10)
    for number in range(1000):
        accepted = f"qmail-smtpd: pid 1 client 192.0.2.7 qp {5000 + number}: bytes 1 from <a@b> rcpts 1"
        for line in (
            *taken(number, number),
            *tried(number, number, "x@y", "success: ok/"),
            f"end msg {number}",
            accepted,
        ):
            stories.take(at(number), 0, line.encode())
    assert len(stories.by_qp) == len(stories.givers) == 50
    assert not stories.daemons[0].messages and not stories.daemons[0].deliveries and not stories.told
