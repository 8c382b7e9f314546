"""What rblsmtpd makes of lists on a real name server."""

from __future__ import annotations

import re

import pytest
from blocklists import IMPOSSIBLE, SERVED, ask, refusal

from ucspi.rbl.lists import name_at

BROKEN = "list.broken.example"  # the name server answers that it cannot


def test_who_is_in_no_list_is_served_and_nothing_is_logged(cache: str) -> None:
    for options in ([], ["-r", "none.example"], ["-a", "none.example"], ["-r", "none.example:text", "-b", "-c"]):
        assert ask(*options, cache=cache) == (0, SERVED, b"")


def test_who_is_in_a_list_hears_its_text_and_the_log_has_it_too(cache: str) -> None:
    code, out, err = ask("-r", "block.example", cache=cache)
    assert (code, out) == (0, refusal("451 in the list, see %IP%"))
    assert re.fullmatch(rb"rblsmtpd: 192\.0\.2\.1 pid \d+: 451 in the list, see %IP%\n", err)


@pytest.mark.parametrize(
    ("options", "reply"),
    [
        ("-r none.example -r parts.example -r block.example", "451 one two"),
        ("-r empty.example -r parts.example", "451 one two"),
        ("-r hyphen.example", "451 -gone"),
        ("-r strange.example", "451 a?b??? ~"),
        ("-r long.example", "451 " + "a" * 200),
        ("-r alias.example", "451 in the list, see %IP%"),
        ("-r BLOCK.example.", "451 in the list, see %IP%"),
        ("-r .parts..example", "451 one two"),
        ("-b -r parts.example", "553 one two"),
        ("-b -B -r parts.example", "451 one two"),
        ("-r parts.example -b", "451 one two"),
        ("-r parts.example -a allow.example", "451 one two"),
        ("-a none.example -b -r parts.example", "553 one two"),
    ],
)
def test_the_first_list_that_has_the_client_decides(options: str, reply: str, cache: str) -> None:
    assert ask(*options.split(), cache=cache).out == refusal(reply)


@pytest.mark.parametrize("options", ["-a allow.example -r block.example", "-a anything.example -r block.example"])
def test_a_list_of_friends_in_front_of_the_others_lets_in(options: str, cache: str) -> None:
    assert ask(*options.split(), cache=cache) == (0, SERVED, b"")


# -- lists without texts -----------------------------------------------------------------------


def test_a_list_without_texts_gets_one_with_the_address_in_it(cache: str) -> None:
    reply = "451 192.0.2.1 is listed: http://x/192.0.2.1"
    assert ask("-r", "plain.example:%IP% is listed: http://x/%IP%", cache=cache).out == refusal(reply)
    assert ask("-b", "-r", "plain.example:50% of %IP", cache=cache).out == refusal("553 50% of %IP")
    assert ask("-r", "plain.example:", cache=cache).out == refusal("451 ")


def test_an_answer_that_no_list_would_give_is_none(cache: str) -> None:
    assert ask("-r", "anything.example:text", cache=cache).out == SERVED
    assert ask("-r", "block.example:text", cache=cache).out == SERVED  # it has texts only


def test_a_list_that_says_that_it_does_not_answer_us_has_failed(cache: str) -> None:
    assert ask("-r", "refused.example:text", cache=cache).out == SERVED
    assert ask("-c", "-r", "refused.example:text", cache=cache).out == refusal("451 temporary RBL lookup error")


# -- lists that fail ---------------------------------------------------------------------------


@pytest.mark.parametrize("failing", [BROKEN, "loop.example", IMPOSSIBLE])
@pytest.mark.parametrize(
    ("options", "reply"),
    [
        ("-r %s", None),
        ("-b -r %s -r parts.example", "451 one two"),
        ("-a %s -r parts.example", None),
        ("-c -r %s -a allow.example", "451 temporary RBL lookup error"),
        ("-cb -r %s", "451 temporary RBL lookup error"),
        ("-r %s -c", None),
        ("-cC -r %s", None),
        ("-c -a %s", None),
        ("-cb -a %s -r parts.example", "451 one two"),
        ("-c -a %s -a allow.example -r block.example", None),
    ],
)
def test_a_list_that_fails_opens_or_with_c_closes(failing: str, options: str, reply: str | None, cache: str) -> None:
    out = ask(*(options % failing).split(), cache=cache).out
    assert out == (SERVED if reply is None else refusal(reply))


@pytest.mark.parametrize("nobody", ["nonsense", "127.0.0.1:x", "127.0.0.1:1"])
def test_without_anybody_to_ask_every_list_fails_at_once(nobody: str) -> None:
    assert ask("-r", "block.example", cache=nobody).out == SERVED
    assert ask("-c", "-r", "block.example", cache=nobody).out == refusal("451 temporary RBL lookup error")


def test_another_cache_is_asked_when_one_is_down_or_fails(cache: str) -> None:
    assert ask("-cb", "-r", "parts.example", cache=f"127.0.0.1:1 {cache}").out == refusal("553 one two")


# -- addresses ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("client", "text"),
    [
        ("2001:db8::1", "an IPv6 address"),
        ("2001:0DB8:0::1%eth0", "an IPv6 address"),
        ("::ffff:192.0.2.1", "in the list, see %IP%"),
        ("::ffff:c000:201", "in the list, see %IP%"),
        ("abc", "what is no address"),
        ("1.2.3", "three numbers"),
        ("", "the list itself"),
        (None, "the list itself"),
    ],
)
def test_the_list_is_asked_about_every_kind_of_address(client: str | None, text: str, cache: str) -> None:
    code, out, err = ask("-r", "block.example", cache=cache, client=client)
    assert (code, out) == (0, refusal("451 " + text))
    assert err.startswith(b"rblsmtpd: %s pid " % (client or "").encode())


def test_an_ipv6_address_can_be_let_in(cache: str) -> None:
    assert ask("-a", "allow.example", "-r", "block.example", cache=cache, client="2001:db8::1").out == SERVED


def test_names_of_questions() -> None:
    assert name_at(b"l.example", b"192.0.2.1") == b"1.2.0.192.l.example"
    assert name_at(b"l.example", b"::1.2.3.4").startswith(b"4.0.3.0.2.0.1.0.0.0.")
    assert name_at(b"l.example", b"2001:db8::zz") == b"2001:db8::zz.l.example"
    assert name_at(b"", b"01.2.3.x") == b"x.3.2.01"


# -- what the program is told ------------------------------------------------------------------


def test_i_serves_and_tells_the_program_what_the_list_says(cache: str) -> None:
    program = ("sh", "-c", 'echo "$RBLSMTPD"; exec "$@"', "sh")
    code, out, err = ask("-i", "-r", "strange.example", *program, cache=cache)
    assert (code, out) == (0, b"[RBL info] a?b??? ~\n" + SERVED)
    assert re.fullmatch(rb"rblsmtpd: 192\.0\.2\.1 pid \d+: \[RBL info\] a\?b\?\?\? ~\n", err)
    assert ask("-i", "-r", "none.example", *program, cache=cache) == (0, b"\n" + SERVED, b"")


def test_i_does_not_change_what_the_environment_decides(cache: str) -> None:
    assert ask("-i", "-r", "block.example", cache=cache, RBLSMTPD="-no").out == refusal("553 no")


# -- a delay -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "greetdelay"), [("-w 1", None), ("-w1", "30"), ("-W", "1"), ("-w0", "1"), ("-r none.example -W", "1")]
)
def test_a_client_that_is_not_yet_decided_about_waits(options: str, greetdelay: str | None, cache: str) -> None:
    code, out, err = ask(*options.split(), cache=cache, GREETDELAY=greetdelay)
    assert (code, out) == (0, SERVED)
    assert re.fullmatch(rb"rblsmtpd: 192\.0\.2\.1 pid \d+: greetdelay: 1\n", err)


@pytest.mark.parametrize("options", ["-a allow.example -w 3000", "-r block.example -w 3000", "-W", "-w 0"])
def test_nobody_waits_without_need(options: str, cache: str) -> None:
    assert b"greetdelay" not in ask(*options.split(), cache=cache).err


def test_waiting_is_not_for_those_whom_the_environment_decides_about(cache: str) -> None:
    assert ask("-w", "3000", cache=cache, RBLSMTPD="") == (0, SERVED, b"")
