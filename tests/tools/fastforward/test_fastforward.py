"""fastforward: looking recipients up, following what is found, forwarding."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import BIN, environment
from forwarding import LINES, MESSAGE, Forwarding

FROM = b"from <s@far.example>\n"


def shown(forwarding: Forwarding, recipient: str, **env: str | None) -> bytes:
    """What is shown for a recipient."""
    done = forwarding.forward("fastforward", "-n", "table.cdb", RECIPIENT=recipient, **env)
    assert (done.code, done.out) == (0, b"")
    return done.err


# -- looking up ------------------------------------------------------------------------------


def test_an_address_counts_before_its_host_and_that_before_its_user(forwarding: Forwarding) -> None:
    forwarding.table("@v.example: &host@x; joe@v.example: &joe@x; joe@: &user@x; sue@: &sue@x;")
    assert shown(forwarding, "Joe@V.example") == FROM + b"to <joe@x>\n"
    assert shown(forwarding, "sue@v.example") == FROM + b"to <host@x>\n"
    assert shown(forwarding, "a@b@v.example") == FROM + b"to <host@x>\n"
    assert shown(forwarding, "joe@other.example") == FROM + b"to <user@x>\n"


def test_an_unknown_recipient_bounces_or_is_left_to_the_lines_that_follow(forwarding: Forwarding) -> None:
    forwarding.table("joe: &a@x; joe@here.example: ?owner;")
    bounce = (100, b"", b"Sorry, no mailbox here by that name. (#5.1.1)\n")
    for recipient in "joe@here.example", "joe@", "@joe", "":
        assert forwarding.forward("fastforward", "table.cdb", RECIPIENT=recipient) == bounce
        assert forwarding.forward("fastforward", "-p", "table.cdb", RECIPIENT=recipient) == (0, b"", b"")
    assert forwarding.forward("fastforward", "-pP", "table.cdb", RECIPIENT="x") == bounce
    assert not forwarding.queued


def test_the_recipient_may_be_what_default_stands_for(forwarding: Forwarding) -> None:
    forwarding.table("joe@here.example: &a@x;")
    for env in {"DEFAULT": "joe", "EXT": "x"}, {"DEFAULT": None, "EXT": "joe"}:
        done = forwarding.forward("fastforward", "-nd", "table.cdb", **env)
        assert done == (0, b"", FROM + b"to <a@x>\n")


@pytest.mark.parametrize(
    ("options", "env", "words"),
    [
        ("-N", {"RECIPIENT": None}, b"$RECIPIENT must be set"),
        ("-d", {}, b"$DEFAULT or $EXT must be set"),
        ("-d", {"EXT": "joe", "HOST": None}, b"$HOST must be set"),
    ],
)
def test_without_a_recipient_nothing_is_done(
    forwarding: Forwarding, options: str, env: dict[str, str | None], words: bytes
) -> None:
    forwarding.table("joe@here.example: &a@x;")
    done = forwarding.forward("fastforward", options, "table.cdb", **env)
    assert done == (100, b"", b"fastforward: fatal: " + words + b"\n")


# -- following -------------------------------------------------------------------------------


def test_an_address_that_is_forwarded_to_is_followed_by_itself_only(forwarding: Forwarding) -> None:
    forwarding.table("list@here.example: a@x, b@v, c@z; a@x: B@Y; b@y: d@w; @v: no@x; c@: no@x;")
    assert shown(forwarding, "list@here.example") == FROM + b"to <d@w>\nto <b@v>\nto <c@z>\n"


def test_each_address_gets_the_message_once_case_counting(forwarding: Forwarding) -> None:
    forwarding.table("all: programmers, testers; programmers: joe@x, bob@x; testers: joe@x, Joe@x, fred@x;")
    assert shown(forwarding, "all") == FROM + b"to <bob@x>\nto <joe@x>\nto <Joe@x>\nto <fred@x>\n"


def test_a_circle_leads_nowhere(forwarding: Forwarding) -> None:
    forwarding.table("a: &b; b: &c; c: &a; d: &d, &e@x;")
    assert shown(forwarding, "a") == b"no forwarding\n"
    assert shown(forwarding, "d") == FROM + b"to <e@x>\n"


def test_a_hundred_thousand_aliases_in_a_row_are_followed_to_the_end(forwarding: Forwarding) -> None:
    forwarding.table("".join(f"a{number}: &a{number + 1};" for number in range(100_000)))
    assert shown(forwarding, "a0") == FROM + b"to <a100000>\n"


def test_members_of_a_list_are_followed_and_so_are_lists_in_lists(forwarding: Forwarding) -> None:
    forwarding.maillist("one@x\n./b.bin\nann\n", "a.bin")
    forwarding.maillist("two@x\n./a.bin\n", "b.bin")
    forwarding.table(f"list: zero@x, ./a.bin, {forwarding.folder}/b.bin; ann: ann@y;")
    assert shown(forwarding, "list") == FROM + b"to <zero@x>\nto <one@x>\nto <two@x>\nto <ann@y>\n"


def test_a_list_has_no_programs(forwarding: Forwarding) -> None:
    forwarding.write("l.bin", b"|touch ran\0!touch ran\0&a@x\0odd\0&cut")
    forwarding.table("list@here.example: ./l.bin;")
    assert forwarding.forward("fastforward", "table.cdb").code == 0
    assert forwarding.envelope[1:] == [b"Ta@x"]
    assert not (forwarding.folder / "ran").exists()


def test_a_list_that_is_missing_private_or_a_folder_defers_and_nobody_gets_the_message(forwarding: Forwarding) -> None:
    (forwarding.folder / "folder").mkdir()
    forwarding.write("private", b"&a@x\0", 0o640)
    for name, words in (
        ("./none", b"unable to read ./none: file does not exist"),
        ("./private", b"./private is not world-readable"),
        ("./folder", b"unable to read ./folder: is a directory"),
    ):
        forwarding.table(f"list@here.example: a@x, {name}, b@x;")
        for option in "-p", "-P", "-n":
            done = forwarding.forward("fastforward", option, "table.cdb")
            assert done == (111, b"", b"fastforward: fatal: " + words + b"\n")
    assert not forwarding.queued


def test_an_address_too_long_for_any_envelope_is_passed_over(forwarding: Forwarding) -> None:
    forwarding.write("l.bin", b"&" + b"a" * 899 + b"\0&" + b"b" * 898 + b"\0")
    forwarding.table("list@here.example: ./l.bin;")
    assert shown(forwarding, "list@here.example") == FROM + b"to <" + b"b" * 898 + b">\n"


# -- the envelope sender ---------------------------------------------------------------------


def test_bounces_go_to_the_owner_unless_the_message_is_a_bounce(forwarding: Forwarding) -> None:
    forwarding.table("list@here.example: ?owner@x, a@x; @there.example: ?dom@x, b@x; c@there.example: c@x;")
    for sender, copies in ("s@far.example", b"owner@x"), ("", b""), ("#@[]", b"#@[]"):
        assert shown(forwarding, "list@here.example", SENDER=sender) == b"from <" + copies + b">\nto <a@x>\n"
    assert shown(forwarding, "list@here.example", SENDER=None) == b"from <owner@x>\nto <a@x>\n"
    assert shown(forwarding, "c@there.example") == b"from <dom@x>\nto <c@x>\n"


def test_a_list_in_a_list_that_has_an_owner_gets_the_message_itself(forwarding: Forwarding) -> None:
    forwarding.table("all@here.example: ?all-owner@x, sub@here.example, a@x; sub@here.example: ?sub-owner@x, b@x;")
    assert shown(forwarding, "all@here.example") == b"from <all-owner@x>\nto <sub@here.example>\nto <a@x>\n"
    assert shown(forwarding, "sub@here.example") == b"from <sub-owner@x>\nto <b@x>\n"


def test_nothing_that_is_shown_can_do_anything_to_a_terminal(forwarding: Forwarding) -> None:
    forwarding.table("l: ?o\\\n\x1b@x, &a\\\nb\x01@\xe9, |e\\\x07\\ \\\tx;")
    assert shown(forwarding, "l") == b"run |e_ _x\nfrom <o__@x>\nto <a_b_@_>\n"


# -- forwarding ------------------------------------------------------------------------------


def test_the_message_is_queued_once_for_all_with_its_delivered_to_line_in_front(forwarding: Forwarding) -> None:
    forwarding.table("list@here.example: ?owner@x, a@x, b@x;")
    done = forwarding.forward("fastforward", "table.cdb")
    assert (done.code, done.out) == (0, b"") and done.err.startswith(b"fastforward: qp ")
    assert forwarding.message == LINES["DTLINE"].encode() + MESSAGE
    assert forwarding.envelope == [b"Fowner@x", b"Ta@x", b"Tb@x"]
    assert forwarding.forward("fastforward", "-p", "table.cdb", DTLINE=None).code == 99
    assert forwarding.message == MESSAGE


def test_a_message_on_a_pipe_is_forwarded_and_a_large_one_too(forwarding: Forwarding) -> None:
    forwarding.table("list@here.example: a@x;")
    text = MESSAGE + b"x" * 1_000_000
    table = str(forwarding.folder / "table.cdb")
    done = forwarding.command("fastforward", table, text=text, RECIPIENT="list@here.example")
    assert done.code == 0
    assert forwarding.message == text


@pytest.mark.parametrize(
    ("exit", "code", "words"),
    [
        (11, 100, b"envelope address too long for qq (#5.1.3)"),
        (31, 100, b"mail server permanently rejected message (#5.3.0)"),
        (53, 111, b"qq write error or disk full (#4.3.0)"),
        (91, 111, b"qq internal bug (#4.3.0)"),
        (1, 111, b"qq temporary problem (#4.3.0)"),
    ],
)
def test_a_queue_that_does_not_take_the_message_says_why(
    forwarding: Forwarding, exit: int, code: int, words: bytes
) -> None:
    forwarding.table("list@here.example: a@x;")
    queue = forwarding.write("refusing", f"#!/bin/sh\ncat >/dev/null\nexit {exit}\n", 0o755)
    done = forwarding.forward("fastforward", "-p", "table.cdb", QMAILQUEUE=str(queue))
    assert done == (code, b"", b"fastforward: fatal: " + words + b"\n")


def test_a_message_that_cannot_be_read_is_not_queued(forwarding: Forwarding) -> None:
    forwarding.table("list@here.example: a@x;")
    env = environment({**forwarding.env, **forwarding.delivery})
    words = ["fastforward", "table.cdb"]
    with open(forwarding.folder / "mess", "wb") as file:
        done = subprocess.run(words, stdin=file, env=env, cwd=forwarding.folder, capture_output=True, check=False)
    assert done.returncode == 111
    assert done.stderr == b"fastforward: fatal: unable to read message: file descriptor not open\n"
    assert forwarding.envelope == [b""]  # no envelope, so nothing that a queue takes


# -- programs --------------------------------------------------------------------------------


def test_each_program_gets_the_whole_message_and_what_follows_goes_on(forwarding: Forwarding) -> None:
    forwarding.table("list@here.example: |cat, a@x, |wc\\ -c, !cat, b@x;")
    done = forwarding.forward("fastforward", "table.cdb")
    mailbox = "".join(LINES.values()).encode() + MESSAGE
    assert (done.code, done.out) == (0, MESSAGE + b"%d\n" % len(MESSAGE) + mailbox)
    assert forwarding.message == LINES["DTLINE"].encode() + MESSAGE
    assert forwarding.envelope[1:] == [b"Ta@x", b"Tb@x"]


def test_a_program_has_the_environment_of_the_delivery(forwarding: Forwarding) -> None:
    forwarding.table("list@here.example: |echo\\ $SENDER\\ $RECIPIENT\\ $USER;")
    done = forwarding.forward("fastforward", "-p", "table.cdb")
    assert done == (99, b"s@far.example list@here.example joe\n", b"")
    assert not forwarding.queued


@pytest.mark.parametrize("status", [1, 64, 65, 66, 70, 76, 77, 78, 99, 100, 101, 111, 112, 127])
def test_a_program_that_fails_ends_everything(forwarding: Forwarding, status: int) -> None:
    forwarding.table(f"list@here.example: a@x, |exit\\ {status}, |touch\\ ran;")
    code = 100 if status in (64, 65, 70, 76, 77, 78, 100, 112) else 111
    assert forwarding.forward("fastforward", "table.cdb") == (code, b"", b"")
    assert not forwarding.queued
    assert not (forwarding.folder / "ran").exists()


def test_a_program_that_crashes_defers(forwarding: Forwarding) -> None:
    forwarding.table("list@here.example: |kill\\ -9\\ $$;")
    words = b"fastforward: fatal: child crashed in |kill -9 $$\n"
    assert forwarding.forward("fastforward", "table.cdb") == (111, b"", words)


def test_a_program_that_reads_nothing_hurts_nobody(forwarding: Forwarding) -> None:
    forwarding.table("list@here.example: !exit\\ 0, a@x;")
    message = MESSAGE + b"x" * 1_000_000
    assert forwarding.forward("fastforward", "table.cdb", message=message).code == 0
    assert forwarding.message.endswith(message)


def test_nothing_is_run_when_things_are_only_shown(forwarding: Forwarding) -> None:
    forwarding.table("list@here.example: |touch\\ ran, !touch\\ ran;")
    assert shown(forwarding, "list@here.example") == b"run |touch ran\nrun !touch ran\nno forwarding\n"
    assert not (forwarding.folder / "ran").exists()


# -- the database ----------------------------------------------------------------------------


def test_a_database_that_is_missing_or_no_database_defers(forwarding: Forwarding) -> None:
    (forwarding.folder / "folder").mkdir()
    forwarding.write("short", b"\0" * 2047)
    for name, words in (
        ("none", b"unable to read none: file does not exist"),
        ("short", b"unable to read short: input/output error"),
        ("folder", b"unable to read folder: is a directory"),
    ):
        done = forwarding.forward("fastforward", "-p", name)
        assert done == (111, b"", b"fastforward: fatal: " + words + b"\n")


def test_a_database_that_was_cut_or_zeroed_never_bounces_mail(forwarding: Forwarding) -> None:
    """The original takes zeros for an empty database."""
    forwarding.table("list@here.example: a@x;")
    whole = (forwarding.folder / "table.cdb").read_bytes()
    sizes = [0, 8, 2047, *range(2048, len(whole), 8)]
    for content in [*(whole[:size] for size in sizes), b"\0" * 2048, b"\0" * len(whole)]:
        forwarding.write("table.cdb", content)
        done = forwarding.forward("fastforward", "-n", "table.cdb")
        if done != (0, b"", FROM + b"to <a@x>\n"):
            assert done == (111, b"", b"fastforward: fatal: unable to read table.cdb: input/output error\n")


def test_wrong_usage(forwarding: Forwarding) -> None:
    usage = b"fastforward: usage: fastforward [ -nNpP ] data.cdb\n"
    assert forwarding.forward("fastforward", "-n") == (100, b"", usage)
    assert forwarding.forward("fastforward", "-z") == (100, b"", b"fastforward: illegal option -- z\n" + usage)


@pytest.mark.parametrize("command", ["fastforward", "dot-forward"])
def test_a_message_pays_for_no_module_that_it_does_not_need(forwarding: Forwarding, command: str) -> None:
    forwarding.table("list@here.example: a@x;")
    argv = [sys.executable, "-X", "importtime", BIN / command, "-n", "table.cdb"]
    env = environment({**forwarding.env, **forwarding.delivery})
    with open(Path(os.devnull)) as null:
        done = subprocess.run(argv, stdin=null, env=env, cwd=forwarding.folder, capture_output=True, check=False)
    lines = [line for line in done.stderr.splitlines() if line.startswith(b"import time:")]
    modules = {line.rpartition(b"|")[2].strip() for line in lines}
    assert b"mta.tokens" in modules
    heavy = {b"argparse", b"ctypes", b"email", b"json", b"psutil", b"rich", b"socket", b"typing", b"zstandard"}
    assert not modules & (heavy | {b"mta.queue.submit", b"mta.local.delivery"})
