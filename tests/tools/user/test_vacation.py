"""vacation: who gets an answer, which, and how often."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from commands import Result
from crashes import crashes_of
from forwarding import Forwarding

from tools.user import vacation

HEADER = "From: Sue <sue@far.example>\nTo: Joe <JOE@here.example>, ann@x\nSubject: lunch\n today?\nMessage-ID: <1@x>\n"
TEXT = "I am away, and will read about $SUBJECT later.\n"


@pytest.fixture
def away(forwarding: Forwarding) -> Forwarding:
    """Joe's home."""
    forwarding.write(".vacation.msg", TEXT)
    forwarding.delivery |= {"SENDER": "sue@far.example", "RECIPIENT": "joe@here.example", "EXT": "", "DEFAULT": None}
    forwarding.delivery["HOME"] = str(forwarding.folder)
    return forwarding


def tell(away: Forwarding, header: str = HEADER, *options: str, **env: str | None) -> Result:
    """Give a message to vacation."""
    return given(away, header, "vacation", *options, **env)


def given(away: Forwarding, header: str, *argv: str, **env: str | None) -> Result:
    """Give a message to a command."""
    for file in "message", "envelope":
        (away.folder / file).unlink(missing_ok=True)
    message = (header + "\nhello\n").encode("latin-1")
    return away.forward(*argv, message=message, **env)


def answered(away: Forwarding, header: str = HEADER, *options: str, **env: str | None) -> bool:
    """Whether there is an answer."""
    assert tell(away, header, *options, **env) == (0, b"", b"")
    return away.queued


def test_the_sender_gets_the_text_from_nobody(away: Forwarding) -> None:
    assert answered(away)
    assert away.envelope == [b"F", b"Tsue@far.example"]
    head, _, body = away.message.decode().partition("\n\n")
    lines = head.splitlines()
    assert body == "I am away, and will read about lunch today? later.\n"
    for line in (
        *("From: joe@here.example", "To: sue@far.example", "Subject: Re: lunch today?"),
        *("Auto-Submitted: auto-replied", "Precedence: bulk", "In-Reply-To: <1@x>", "References: <1@x>"),
    ):
        assert line in lines
    assert [line for line in lines if line.startswith(("Date: ", "Message-ID: "))]


def test_the_text_may_have_a_header(away: Forwarding) -> None:
    away.write(
        ".vacation.msg", "From: Joe <joe@elsewhere.example>\nSubject: away ($SUBJECT)\nTo: x\n\nNote: back soon\n"
    )
    assert answered(away, HEADER + "References: <0@x>\n")
    head, _, body = away.message.decode().partition("\n\n")
    assert body == "Note: back soon\n"
    assert "From: Joe <joe@elsewhere.example>\n" in head and "Subject: away (lunch today?)\n" in head
    assert head.count("To: ") == 2 and "To: sue@far.example" in head and "References: <0@x> <1@x>" in head


def test_a_text_whose_first_lines_look_like_a_header_is_sent_whole(away: Forwarding) -> None:
    away.write(".vacation.msg", "Note: I am away.\nJoe\n")
    assert answered(away)
    assert away.message.endswith(b"\n\nNote: I am away.\nJoe\n")


def test_each_sender_gets_one_answer_in_a_period(away: Forwarding) -> None:
    assert answered(away)
    assert not answered(away)
    assert not answered(away, SENDER="Sue@Far.EXAMPLE")
    assert answered(away, SENDER="bob@far.example")
    file = away.folder / ".vacation.msg.answered"
    lines = file.read_text().splitlines()
    assert [line.split()[1:] for line in lines] == [["answered", "sue@far.example"], ["answered", "bob@far.example"]]
    aged = [f"{int(line.split()[0]) - 2 * 3600} answered {line.split()[2]}\n" for line in lines]
    file.write_text("".join(aged))
    assert not answered(away, HEADER, "-t3h")
    assert answered(away, HEADER, "-t", "119m")
    assert answered(away, HEADER, "-t0")


@pytest.mark.parametrize(
    "sender",
    [
        *(
            "",
            "#@[]",
            "MAILER-DAEMON@x",
            "postmaster@x",
            "listserv@x",
            "owner-list@x",
            "list-owner@x",
            "list-request@x",
        ),
        *("bounce-123@x", "bounces+1-joe=x@x", "listname-admin@x", "list-admin+joe=x@x", "list-relay@x", "bounces@x"),
        *(
            "list-errors@x",
            "list-bounce@x",
            "list-bounces-joe=here.example@x",
            "list-owner-7@x",
            "No-Reply-7@x",
            "list-bounce-7=joe@x",
        ),
        *("do-not-reply@x", "noreply+7@x", "uucp@x", "MAILER@x", "majordomo@x", "List-Request"),
        *("no-reply@x", "donotreply@x", "bounce@x", "bounces-7@x", "noreply-7@x", "donotreply-7@x", "do-not-reply-7@x"),
        *("list-return-7-joe=here.example@x", "list-bounces+joe=here.example@x", "noreply@x"),
    ],
)
def test_bounces_and_lists_get_no_answer(away: Forwarding, sender: str) -> None:
    assert not answered(away, HEADER, "-j", SENDER=sender)
    assert not (away.folder / ".vacation.msg.answered").exists()


@pytest.mark.parametrize(
    "field",
    [
        *("Precedence: bulk", "precedence:  JUNK ", "Precedence: list", "List-Id: <x>", "List-Unsubscribe: <x>"),
        *("Mailing-List: contact x", "Auto-Submitted: auto-generated", "Auto-Submitted: auto-replied; x=y"),
        *("X-Mailing-List: x", "X-BeenThere: x", "X-Mailman-Version: 2", "X-Spam-Flag: YES", "List-Post: x"),
        *("X-Auto-Response-Suppress: OOF", "X-Auto-Response-Suppress: DR, AutoReply", "x-auto-response-suppress: all"),
        *(
            "Content-Type: multipart/report; report-type=delivery-status;\n boundary=x",
            "content-type: Multipart/Report",
        ),
    ],
)
def test_mail_of_machines_gets_no_answer(away: Forwarding, field: str) -> None:
    assert not answered(away, HEADER + field + "\n", "-j")


def test_mail_of_people_who_say_so_gets_one(away: Forwarding) -> None:
    said = "Precedence: first-class\nAuto-Submitted: no; x=y\nX-Auto-Response-Suppress: DR, NDR\nX-Spam-Flag: NO\n"
    assert answered(away, HEADER + said + "Content-Type: multipart/mixed; boundary=multipart/report\n")


@pytest.mark.parametrize(
    "sender", ["bouncer@x", "administrator@x", "jane+lists@x", "no.reply@x", "requests@x", "ownership@x", "relay@x"]
)
def test_people_whose_names_are_like_those_get_one(away: Forwarding, sender: str) -> None:
    assert answered(away, SENDER=sender)


def test_an_answer_gets_no_answer(away: Forwarding) -> None:
    assert answered(away)
    assert not answered(away, away.message.decode().partition("\n\n")[0] + "\n", "-j", SENDER="other@x")


@pytest.mark.parametrize(
    ("readers", "answer"),
    [
        *(
            ("To: joe@here.example", True),
            ("Cc: x, (me) <Joe@Here.Example>", True),
            ("Resent-To: joe@here.example", True),
            ("Resent-Cc: joe@here.example", True),
        ),
        *(("To: friends:joe@here.example, ann;", True), ('To: "x', False), ("Bcc: joe@here.example", False)),
        *(("To: joe@other.example", False), ("Subject: joe@here.example", False), ("X: y", False)),
    ],
)
def test_a_message_that_does_not_name_the_reader_gets_no_answer(away: Forwarding, readers: str, answer: bool) -> None:
    assert answered(away, readers + "\n") == answer
    assert answered(away, readers + "\n", "-j", SENDER="other@far.example")


def test_the_reader_may_have_other_addresses(away: Forwarding) -> None:
    assert answered(away, "To: j.doe@old.example\n", "-aj.doe@old.example", "-a", "x@y")
    # a virtual domain: the recipient has its prefix, what the sender wrote has not
    assert answered(
        away,
        "To: joe@v.example\n",
        RECIPIENT="v-joe@v.example",
        HOST="v.example",
        DEFAULT="joe",
        SENDER="b@far.example",
    )


def test_a_queue_that_does_not_take_the_answer_is_asked_again_later(away: Forwarding) -> None:
    queue = away.write("refusing", "#!/bin/sh\ncat >/dev/null\nexit 53\n", 0o755)
    result = tell(away, QMAILQUEUE=str(queue))
    words = b"vacation: fatal: unable to send the answer: qq write error or disk full (#4.3.0)\n"
    assert result == (111, b"", words)
    assert answered(away)


def test_a_sender_to_whom_nothing_can_be_sent_gets_no_answer(away: Forwarding) -> None:
    queue = away.write("refusing", "#!/bin/sh\ncat >/dev/null\nexit 31\n", 0o755)
    assert tell(away, QMAILQUEUE=str(queue)).code == 0


def test_a_sender_who_looks_like_an_option_gets_an_answer(away: Forwarding) -> None:
    assert answered(away, SENDER="-f@far.example")
    assert away.envelope == [b"F", b"T-f@far.example"]


def test_trouble_is_named(away: Forwarding, tmp_path: Path) -> None:
    (tmp_path / ".vacation.msg").unlink()
    words = f"vacation: warning: no answer: unable to read {tmp_path}/.vacation.msg: file does not exist\n"
    assert tell(away) == (0, b"", words.encode())
    (tmp_path / ".vacation.msg").mkdir()
    assert tell(away).code == 0 and not away.queued
    for options in ["a", "b"], ["-tx", "a"], ["-t", "5y", "a"], ["-z", "a"], ["-t"]:
        done = tell(away, HEADER, *options)
        assert done.code == 0 and done.err.endswith(b"vacation: warning: no answer: wrong usage\n")
        done = tell(away, HEADER, *options, SENDER=None)
        assert done.code == 100 and b"vacation: usage: vacation [ -jnIs ]" in done.err
    assert tell(away, SENDER=None) == (100, b"", b"vacation: fatal: SENDER not set\n")
    assert tell(away, RECIPIENT=None) == (0, b"", b"vacation: warning: no answer: RECIPIENT not set\n")
    assert not away.queued


def test_a_text_that_cannot_be_sent_keeps_no_mail(away: Forwarding) -> None:
    away.write(".vacation.msg", 'From: "joe\nSubject: away\n\naway\n')
    done = tell(away)
    assert done.code == 0 and b'vacation: warning: no answer: unable to parse this line: From: "joe' in done.err
    assert not away.queued


@pytest.mark.parametrize("name", ["vacation", "qmail-vacation"])
@pytest.mark.parametrize("options", [[], ["-j"], ["-n"], ["-t3d"], ["-j", "-n", "-t2w"]])
def test_a_line_of_the_original_works(away: Forwarding, name: str, options: list[str]) -> None:
    """With preline, whose lines stand in front of the header, and the user's name, which counts at any host."""
    old = "To: Joe <JOE@old.example>\nSubject: hi\n"
    assert given(away, old, "preline", name, *options, "joe") == (0, b"", b"")
    assert away.queued and away.envelope == [b"F", b"Tsue@far.example"]
    assert given(away, old, "preline", name, *options, "joe") == (0, b"", b"")
    assert not away.queued
    given(away, old, "preline", name, *options, "jim", SENDER="bob@far.example")
    assert away.queued == ("-j" in options)


def test_the_text_may_be_elsewhere(away: Forwarding, tmp_path: Path) -> None:
    away.write("sales.msg", "The shop is closed.\n")
    assert answered(away, HEADER, "-msales.msg")
    assert away.message.endswith(b"\n\nThe shop is closed.\n")
    assert not answered(away, HEADER, "-m", str(tmp_path / "sales.msg"))
    assert answered(away)


def test_who_has_been_answered_can_be_seen_and_forgotten(away: Forwarding) -> None:
    assert answered(away)
    assert answered(away, SENDER="Bob@far.example")
    shown = away.forward("vacation", "-s", SENDER=None)
    assert shown.code == 0 and [line.split()[2] for line in shown.out.splitlines()] == [
        b"sue@far.example",
        b"bob@far.example",
    ]
    assert away.forward("vacation", "-I", SENDER=None) == (0, b"", b"")
    assert away.forward("vacation", "-s", SENDER=None).out == b""
    assert answered(away)


@pytest.mark.parametrize("sender", ["bob@far", "bob@far+", "bob", "bob@far.", "two words@far", 'q"x@far'])
def test_the_answer_goes_to_the_sender_as_the_envelope_has_it(away: Forwarding, sender: str) -> None:
    assert answered(away, SENDER=sender)
    assert away.envelope == [b"F", b"T" + sender.encode()]
    (to,) = (line for line in away.message.splitlines() if line.startswith(b"To: "))
    assert to.endswith(sender.rpartition("@")[2].encode())


def test_a_line_end_in_a_sender_makes_no_field(away: Forwarding) -> None:
    assert answered(away, SENDER="x\nBcc: y@far.example")
    assert b"\nBcc" not in away.message


def test_a_memory_of_another_form_stays_and_keeps_no_mail(away: Forwarding, tmp_path: Path) -> None:
    memory = away.write(".vacation.msg.answered", b"\0\x06\x15a database\n")
    done = tell(away)
    assert done.code == 0 and away.queued
    words = f"vacation: warning: {memory}: line 1 has no time, word and key; starting anew in {memory}.known\n"
    assert done.err == words.encode()
    assert not answered(away)
    assert memory.read_bytes() == b"\0\x06\x15a database\n"


def test_a_huge_header_gets_no_answer(away: Forwarding) -> None:
    assert not answered(away, HEADER + "X: " + "y" * (9 << 20) + "\n", "-j")


def test_killed_at_any_call_it_answers_once_at_most(away: Forwarding, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message is tried again then, and the memory is never of another form."""
    script = '#!/bin/sh\nexec 3<&1\ncat >/dev/null\ngrep -q Tsue <&3 && echo >>"$SENT"\nexit 0\n'
    away.write("counting", script, 0o755)
    away.write("mess", HEADER + "\nhello\n")
    variables = {**away.env, **away.delivery, "QMAILQUEUE": str(away.folder / "counting")}
    for name, value in variables.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)

    runs = 0

    def fresh() -> None:
        nonlocal runs
        runs += 1
        monkeypatch.setenv("SENT", str(away.folder / f"sent{runs}"))  # a queue that outlives its run writes elsewhere
        for file in away.folder.glob(".vacation.msg.*"):
            file.unlink()

    def attend() -> None:
        os.dup2(os.open(away.folder / "mess", os.O_RDONLY), 0)
        assert vacation.attend([b"vacation"]) == 0

    for _ in crashes_of(attend, fresh):
        again = tell(away, QMAILQUEUE=variables["QMAILQUEUE"], SENT=os.environ["SENT"])
        assert again == (0, b"", b"")
        sent = Path(os.environ["SENT"])
        assert not sent.exists() or sent.read_bytes() == b"\n"
    assert sent.read_bytes() == b"\n"
