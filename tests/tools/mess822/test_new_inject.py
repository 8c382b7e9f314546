"""new-inject: the header that goes out, the envelope, and a machine in trouble."""

from __future__ import annotations

import re

import pytest
from commands import Result
from faults import faults_of
from injecting import Home

from tools.mess822.new_inject import main

DATED = b"Date: 15 aug 1998 13:32:12 cdt\nMessage-ID: <x@y>\n"
FIXED = b"Date: 15 Aug 1998 13:32:12 -0500\nMessage-ID: <x@y>\n"


def inject(home: Home, text: bytes, *words: str, **env: str) -> Result:
    return home.command("new-inject", *words, text=text, **env)


def test_a_message_is_completed_and_queued(home: Home) -> None:
    assert inject(home, b"To: Bill Q. Smith <bill@irs+>\nSubject: hi\nBcc: sue\n\nbody") == (0, b"", b"")
    assert home.envelope == [b"Fjoe@heaven.af.mil", b"Tbill@irs.heaven.af.mil", b"Tsue@heaven.af.mil"]
    assert re.fullmatch(
        rb"Date: \d+ \w+ \d+ [\d:]+ -0000\nMessage-ID: <\d{14}\.\d+\.qmail@heaven.af.mil>\n"
        rb'From: joe@heaven.af.mil\nTo: "Bill Q. Smith" <bill@irs.heaven.af.mil>\nSubject: hi\n\nbody\n',
        home.message,
    )


def test_lists_are_merged_and_everything_has_its_place(home: Home) -> None:
    text = (
        b"X: y\nto: a@b.c (A)\nReturn-Path: <me@x.y>\nContent-Length: 7\n" + DATED + b"Received: by x\nTo: d@e.f\n"
        b"Resent-To:  kept  as it is\nReply-To: r@s.t\nFrom: F <f@g.h>\nSender: s@s.s\n"
    )
    done = inject(home, text, "-n")
    assert done.out == (
        b"Envelope-Sender: me@x.y\nEnvelope-Recipients:\n  a@b.c,\n  d@e.f,\n"
        b"Received: by x\nResent-To:  kept  as it is\n" + FIXED + b'From: "F" <f@g.h>\nSender: s@s.s\nReply-To: r@s.t\n'
        b'To: "A" <a@b.c>, d@e.f\nX: y\n'
    )


@pytest.mark.parametrize(
    ("fields", "words", "recipients"),
    [
        (b"To: a@b.c\n", ["x@y.z"], [b"x@y.z"]),
        (b"To: a@b.c\n", ["-h", "x@y.z"], [b"a@b.c"]),
        (b"To: a@b.c\n", ["-H", "x@y.z"], [b"x@y.z", b"a@b.c"]),
        (b"To: a@b.c\n", ["-a"], []),
        (b"To: a@b.c\nCc: c\nApparently-To: d@e.f\n", [], [b"a@b.c", b"c@heaven.af.mil", b"d@e.f"]),
        (b"To: a@b.c\nEnvelope-Recipients: e@f.g, h@i.j\n", [], [b"e@f.g", b"h@i.j"]),
        (b"To: a@b.c\nEnvelope-Recipients:\n", [], []),
        (b"Resent-To: a@b.c\n", [], []),
    ],
)
def test_recipients_are_arguments_or_named_in_the_header(
    home: Home, fields: bytes, words: list[str], recipients: list[bytes]
) -> None:
    assert inject(home, fields, *words).code == 0
    assert home.envelope[1:] == [b"T" + recipient for recipient in recipients]
    assert b"Envelope-" not in home.message


@pytest.mark.parametrize(
    ("fields", "words", "sender"),
    [
        (b"Return-Path: <r@x.y>\nEnvelope-Sender: e@x.y\n", ["-f", "f"], b"f@heaven.af.mil"),
        (b"Return-Path: <r@x.y>\nEnvelope-Sender: e@x.y\n", [], b"e@x.y"),
        (b"Return-Path: <r@x.y>\n", [], b"r@x.y"),
        (b"Return-Path: <>\n", [], b""),
        (b"Return-Path: <r@x.y>\n", ["-S"], b"joe@heaven.af.mil"),
        (b"", ["-f", ""], b""),
        (b"", ["-R"], b"joe-@heaven.af.mil-@[]"),
    ],
)
def test_the_sender_is_the_first_of_those_that_are_given(
    home: Home, fields: bytes, words: list[str], sender: bytes
) -> None:
    assert inject(home, fields, *words).code == 0
    assert home.envelope == [b"F" + sender]
    assert b"Return-Path" not in home.message


@pytest.mark.parametrize("letters", ["M", "m"])
def test_letters_of_the_environment_are_options_in_either_case(home: Home, letters: str) -> None:
    assert inject(home, b"", QMAILINJECT=letters).code == 0
    assert re.fullmatch(rb"Fjoe-\d+\.\d+@heaven.af.mil", home.envelope[0])
    assert inject(home, b"From: x@y.z\nMessage-ID: <x>\n", "-FI", QMAILSUSER="ann", QMAILNAME='J "R"').code == 0
    assert home.envelope == [b"Fann@heaven.af.mil"]
    assert b'From: "J \\"R\\"" <joe@heaven.af.mil>\n' in home.message and b"<x>" not in home.message


def test_a_list_that_one_is_subscribed_to_makes_mail_followup_to(home: Home) -> None:
    (home.folder / "lists").write_text("# mine\nangels@heaven.af.mil \n")
    follow = {"QMAILMFTFILE": str(home.folder / "lists")}
    printed = inject(home, b"To: Angels\nCc: bob@x.y\n", "-n", **follow).out
    assert b"\nMail-Followup-To: Angels@heaven.af.mil, bob@x.y\n" in printed
    assert b"Mail-Followup-To" not in inject(home, b"To: bob@x.y\n", "-n", **follow).out
    assert b"Mail-Followup-To: me@x.y\n" in inject(home, b"To: Angels\nMail-Followup-To: me@x.y\n", "-n", **follow).out


def test_a_rewrite_file_takes_the_place_of_the_control_files(home: Home) -> None:
    (home.folder / "control/rewrite").write_text("# ours\n=:site.example\n?:.example  \n")
    assert inject(home, b"To: a, b@c, d@e.\n").code == 0
    assert home.envelope == [b"Fjoe@site.example", b"Ta@site.example", b"Tb@c.example", b"Td@e."]
    (home.folder / "own").write_text("=:own.example\n")
    assert inject(home, b"To: a, b@c\n", QMAILREWRITEFILE=str(home.folder / "own")).code == 0
    assert home.envelope == [b"Fjoe@own.example", b"Ta@own.example", b"Tb@c"]
    assert inject(home, b"To: a\n", QMAILREWRITEFILE=str(home.folder / "none")).code == 0
    assert home.envelope[1:] == [b"Ta@site.example"]


@pytest.mark.parametrize("tail", [b"body", b"\nbody\n", b"\nbody"])
def test_a_body_has_an_empty_line_in_front_and_an_end(home: Home, tail: bytes) -> None:
    assert inject(home, DATED + tail, "-n").out.endswith(b"Cc: recipient list not shown: ;\n\nbody\n")


def test_trouble_is_told_by_the_exit_code(home: Home) -> None:
    assert inject(home, b"", "-x").code == 100
    assert inject(home, b"", QMAILREWRITEFILE="/").err == (
        b"new-inject: fatal: unable to read $QMAILREWRITEFILE: is a directory\n"
    )
    (home.folder / "control/rewrite").mkdir()
    assert inject(home, b"").code == 111
    (home.folder / "control/rewrite").rmdir()
    for code, exits in ((31, 100), (71, 111)):
        (home.folder / "capture").write_text(f"#!/bin/sh\ncat >/dev/null\nexit {code}\n")
        assert inject(home, b"").code == exits


@pytest.mark.long
def test_a_machine_in_trouble_is_no_reason_to_give_up(home: Home) -> None:
    env = {name: value for name, value in home.env.items() if value is not None}
    argv = [b"new-inject", b"-a", b"mary@far.example"]
    *failed, last = faults_of(main, argv, stdin=b"Subject: hi\n\nhello\n", env=env, folder=str(home.folder))
    assert last.code == 0
    assert len(failed) > 20
    assert [outcome for outcome in failed if outcome.code not in (0, 111) or b": bug: " in outcome.err] == []
