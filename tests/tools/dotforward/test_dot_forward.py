"""dot-forward: what a .forward file does with a message."""

from __future__ import annotations

import pytest
from commands import Result
from forwarding import LINES, MESSAGE, Forwarding

MAILBOX = "".join(LINES.values()).encode() + MESSAGE  # what programs get


def shown(forwarding: Forwarding, content: str, **env: str | None) -> Result:
    """What is shown of a file."""
    forwarding.write(".forward", content)
    return forwarding.forward("dot-forward", "-n", ".forward", **env)


def done(forwarding: Forwarding, content: str, **env: str | None) -> Result:
    """Do what a file says."""
    forwarding.write(".forward", content)
    return forwarding.forward("dot-forward", ".forward", **env)


def test_recipients_are_read_like_a_header_field_from_right_to_left(forwarding: Forwarding) -> None:
    content = '# mine\nbob, Sue Q. <sue@b.example> (at home)\n"a b"@c.example, ann@host+\n\n'
    assert shown(forwarding, content) == (
        99,
        b"",
        b"forward sue@b.example\nforward bob@here.example\nforward ann@host.here.example\nforward a b@c.example\n",
    )


def test_the_message_is_forwarded_once_for_all(forwarding: Forwarding) -> None:
    result = done(forwarding, "bob@a.example\nsue@a.example, bob@a.example\n", SENDER="list@x", NEWSENDER="owner@x")
    assert (result.code, result.out) == (99, b"") and result.err.startswith(b"dot-forward: info: qp ")
    assert forwarding.message == LINES["DTLINE"].encode() + MESSAGE
    assert forwarding.envelope == [b"Fowner@x", b"Tbob@a.example", b"Tbob@a.example", b"Tsue@a.example"]


def test_without_its_variables_the_sender_is_nobody_and_no_line_is_in_front(forwarding: Forwarding) -> None:
    assert done(forwarding, "bob@a.example\n", NEWSENDER=None, DTLINE=None).code == 99
    assert (forwarding.message, forwarding.envelope[0]) == (MESSAGE, b"F")


# -- oneself ---------------------------------------------------------------------------------


@pytest.mark.parametrize("myself", ["joe", "JOE", "\\joe", '"joe"', "Joe (me) <joe>", "joe@HERE.example"])
def test_the_user_gets_the_message_by_the_lines_that_follow(forwarding: Forwarding, myself: str) -> None:
    assert shown(forwarding, myself) == (0, b"", b"direct delivery\n")
    assert done(forwarding, myself) == (0, b"", b"")
    assert not forwarding.queued


def test_the_user_and_others_get_it(forwarding: Forwarding) -> None:
    result = done(forwarding, 'bob@a.example, joe, "|cat"\n')
    assert (result.code, result.out) == (0, MAILBOX)
    assert forwarding.envelope[1:] == [b"Tbob@a.example"]


def test_the_user_elsewhere_is_somebody_else(forwarding: Forwarding) -> None:
    assert shown(forwarding, "joe@a.example, joe@\n").code == 99
    assert shown(forwarding, "joe\n", USER=None) == (99, b"", b"forward joe@here.example\n")
    assert shown(forwarding, "joe@here.example\n", HOST=None) == (99, b"", b"forward joe@here.example\n")


# -- files -----------------------------------------------------------------------------------


def test_the_first_file_that_says_anything_counts(forwarding: Forwarding) -> None:
    forwarding.write("empty", "# nothing\n(only a comment), <>\n")
    forwarding.write("first", "bob@a.example")
    forwarding.write("second", "sue@a.example\n")
    result = forwarding.forward("dot-forward", "-n", "none", "empty", "first", "second")
    assert result == (99, b"", b"skipping empty file empty\nforward bob@a.example\n")


def test_without_any_the_lines_that_follow_count(forwarding: Forwarding) -> None:
    forwarding.write("empty", "")
    for files in [], ["none"], ["none", "empty"]:
        assert forwarding.forward("dot-forward", *files) == (0, b"", b"")


def test_a_file_that_may_be_there_defers(forwarding: Forwarding) -> None:
    (forwarding.folder / "folder").mkdir()
    forwarding.write("file", "")
    for name, words in (("folder", b"unable to read folder: is a directory"), ("file/x", b"unable to open file/x: ")):
        result = forwarding.forward("dot-forward", name)
        assert result.code == 111
        assert result.err.startswith(b"dot-forward: fatal: " + words)


def test_the_controls_are_read_before_any_file(forwarding: Forwarding) -> None:
    (forwarding.folder / "control/me").unlink()
    (forwarding.folder / "control/me").mkdir()
    result = forwarding.forward("dot-forward", "none")
    assert result == (111, b"", b"dot-forward: fatal: unable to read controls: is a directory\n")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('"bob', 'unable to parse this line: "bob\n'),
        ("bob (x", "unable to parse this line: bob (x\n"),
        ("/var/mail/joe", "file delivery /var/mail/joe not supported"),
        ('"/var/mail/joe"', "file delivery /var/mail/joe not supported"),
        (":include:/etc/list", "file delivery /etc/list not supported"),
    ],
)
def test_what_is_not_understood_defers_and_nobody_gets_the_message(
    forwarding: Forwarding, line: str, words: str
) -> None:
    result = done(forwarding, f"sue@a.example\n{line}\nbob@a.example\n")
    assert result == (111, b"", f"dot-forward: fatal: {words}\n".encode())
    assert not forwarding.queued


# -- programs --------------------------------------------------------------------------------


def test_each_program_gets_the_message_as_a_mailbox_would_have_it(forwarding: Forwarding) -> None:
    result = done(forwarding, '"|cat", bob@a.example\n"|wc -c"\n')
    assert (result.code, result.out) == (99, MAILBOX + b"%d\n" % len(MAILBOX))
    assert forwarding.envelope[1:] == [b"Tbob@a.example"]


def test_a_vacation_program_answers_once_and_the_user_gets_the_message(forwarding: Forwarding) -> None:
    answer = 'read from address rest; grep -q "$address" .answered 2>/dev/null || echo "$address" >>.answered'
    forwarding.write("vacation", f"#!/bin/sh\n[ $1 = joe ] || exit 100\n{answer}\ncat >/dev/null\n", 0o755)
    for _ in range(2):
        assert done(forwarding, '\\joe, "|./vacation joe"\n') == (0, b"", b"")
    assert (forwarding.folder / ".answered").read_text() == "s@far.example\n"
    # as the original: without quotes it is a program without arguments, and an address
    assert shown(forwarding, "|vacation joe\n") == (0, b"", b"pipe through vacation\ndirect delivery\n")


def test_programs_have_run_when_a_later_line_is_wrong(forwarding: Forwarding) -> None:
    result = done(forwarding, '"|echo ran"\n"unclosed\n')
    assert (result.code, result.out) == (111, b"ran\n")


@pytest.mark.parametrize("status", [1, 64, 65, 66, 70, 76, 77, 78, 99, 100, 101, 111, 112])
def test_a_program_that_fails_ends_everything(forwarding: Forwarding, status: int) -> None:
    code = 100 if status in (64, 65, 70, 76, 77, 78, 100, 112) else 111
    assert done(forwarding, f'bob@a.example\n"|exit {status}"\n"|echo ran"\njoe\n') == (code, b"", b"")
    assert not forwarding.queued


def test_a_program_that_crashes_defers(forwarding: Forwarding) -> None:
    assert done(forwarding, '"|kill -9 $$"\n') == (111, b"", b"dot-forward: fatal: child crashed\n")


def test_a_program_needs_a_message_that_can_be_read_again(forwarding: Forwarding) -> None:
    forwarding.write(".forward", '"|cat >/dev/null"\n')
    result = forwarding.here("dot-forward", ".forward", input=MESSAGE)
    assert result == (111, b"", b"dot-forward: fatal: unable to rewind input: unseekable descriptor\n")


def test_an_address_before_an_at_sign_may_look_like_a_program(forwarding: Forwarding) -> None:
    assert shown(forwarding, '"|x"@a.example, /y@a.example\n').err == b"forward /y@a.example\nforward |x@a.example\n"


# -- the queue -------------------------------------------------------------------------------


@pytest.mark.parametrize(("exit", "code", "word"), [(31, 100, b"permanently"), (53, 111, b"write error")])
def test_a_queue_that_does_not_take_the_message_says_why(
    forwarding: Forwarding, exit: int, code: int, word: bytes
) -> None:
    queue = forwarding.write("refusing", f"#!/bin/sh\ncat >/dev/null\nexit {exit}\n", 0o755)
    result = done(forwarding, "bob@a.example, joe\n", QMAILQUEUE=str(queue))
    assert result.code == code
    assert result.err.startswith(b"dot-forward: fatal: unable to forward message: ") and word in result.err


def test_wrong_usage(forwarding: Forwarding) -> None:
    words = b"dot-forward: illegal option -- x\ndot-forward: usage: dot-forward [ -nN ] file ...\n"
    assert forwarding.forward("dot-forward", "-x") == (100, b"", words)


def test_a_nul_ends_what_a_recipient_means(forwarding: Forwarding) -> None:
    assert shown(forwarding, "bob@a\0b\n") == (99, b"", b"forward bob@a\n")
