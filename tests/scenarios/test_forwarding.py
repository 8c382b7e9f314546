"""Mail that is forwarded on its way through a whole system: by aliases, lists and .forward files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from instance import Box, Instance
from until import until

KINDS = [pytest.param(False, id="plain"), pytest.param(True, id="root", marks=pytest.mark.root)]
ALIASES = """\
postmaster: root
root: joe
friends: joe, bob
bob: sue
circle: ring
ring: circle
staff: :include:staff
owner-staff: sue
counted: "|wc -l >counted"
"""
NO_SUCH_USER = "| bouncesaying 'No such user at this domain.'"


@pytest.fixture(scope="module", params=KINDS)
def mail(request: pytest.FixtureRequest) -> Iterator[Instance]:
    """A system that asks fastforward for addresses of nobody, and dot-forward for users without a .qmail file."""
    system = Instance(request.param)
    system.control("defaultdelivery", "|dot-forward .forward\n./Maildir/")
    system.control("locals", "mail.example")
    system.control("virtualdomains", "ourdomain.example:our")
    alias = system.alias
    for name in "postmaster", "root", "mailer-daemon":
        (alias.home / f".qmail-{name}").unlink(missing_ok=True)
    lay(system, "aliases", ALIASES, "newaliases", "aliases")
    lay(system, "staff", "joe, sue\n", "newinclude", "staff")
    lay(system, "all", "joe@mail.example\nsue@mail.example\n", "setmaillist", "all.bin", "all.tmp")
    instructions = "all@ourdomain.example: ?sue@mail.example, ./all.bin; joe@: joe@mail.example;"
    lay(system, "our", instructions, "setforward", "our.cdb", "our.tmp")
    alias.write(".qmail-default", "| fastforward -d aliases.cdb\n")
    alias.write(".qmail-our-default", f"| fastforward -dp our.cdb\n{NO_SUCH_USER}\n")
    with system:
        yield system


def lay(system: Instance, name: str, text: str, *command: str) -> None:
    """Write a file for the alias user, and make of it what the *command* makes."""
    system.alias.write(name, text)
    system.run(*command, input=text.encode(), cwd=system.alias.home)


def paths(message: bytes) -> list[bytes]:
    """The Return-Path and Delivered-To lines of a message."""
    head = message.partition(b"\n\n")[0]
    return [line for line in head.splitlines() if line.startswith((b"Return-Path: ", b"Delivered-To: "))]


@pytest.fixture
def forward(mail: Instance) -> Iterator[None]:
    """Takes away .forward files."""
    yield
    for box in mail.joe, mail.sue:
        (box.home / ".forward").unlink(missing_ok=True)


def test_an_alias_of_an_alias_reaches_the_user(mail: Instance) -> None:
    assert paths(mail.joe.received(mail.send("friends@mail.example"))) == [
        b"Return-Path: <peer@far.example>",
        b"Delivered-To: joe@mail.example",
        b"Delivered-To: friends@mail.example",
    ]
    text = mail.send("Postmaster@mail.example")
    assert b"Delivered-To: root@mail.example\n" in mail.joe.received(text)


def test_each_user_gets_one_copy(mail: Instance) -> None:
    text = mail.send("friends@mail.example")
    mail.joe.received(text)
    mail.sue.received(text)
    mail.wait_until_empty()
    for box in mail.joe, mail.sue:
        assert sum(text.encode() in message for message in box.messages()) == 1


def test_a_list_of_aliases_names_its_owner_as_the_sender(mail: Instance) -> None:
    text = mail.send("staff@mail.example")
    for box in mail.joe, mail.sue:
        lines = paths(box.received(text))
        assert lines[0] == b"Return-Path: <owner-staff@mail.example>"
        assert lines[-1] == b"Delivered-To: staff@mail.example"
    bounce = mail.send("owner-staff@mail.example", sender="")
    assert paths(mail.sue.received(bounce))[0] == b"Return-Path: <>"


def test_everybody_at_our_domain_is_a_list_in_a_file(mail: Instance) -> None:
    text = mail.send("all@ourdomain.example")
    for box in mail.joe, mail.sue:
        lines = paths(box.received(text))
        assert lines[0] == b"Return-Path: <sue@mail.example>"
        assert lines[-1] == b"Delivered-To: our-all@ourdomain.example"


def test_a_circle_of_aliases_is_taken_and_leads_nowhere(mail: Instance) -> None:
    before = len(mail.log("qmail-send"))
    mail.send("circle@mail.example")
    mail.logged("qmail-send", "success: ", before)
    mail.wait_until_empty()


def test_a_program_of_an_alias_gets_the_message(mail: Instance) -> None:
    mail.send("counted@mail.example", text="line\nline\n")
    file = mail.alias.home / "counted"
    assert int(until(lambda: file.exists() and file.read_text())) > 8


def test_an_address_that_is_nobodys_bounces(mail: Instance) -> None:
    text = mail.send("nobody-there@mail.example", sender="sue@mail.example")
    assert b"<nobody-there@mail.example>:\nSorry, no mailbox here by that name. (#5.1.1)\n" in mail.sue.received(text)


def test_an_unknown_address_of_a_domain_gets_the_words_of_the_lines_that_follow(mail: Instance) -> None:
    text = mail.send("joe@ourdomain.example", sender="sue@mail.example")
    mail.joe.received(text)  # and exit 99 kept the line that follows from being done
    text = mail.send("nobody@ourdomain.example", sender="sue@mail.example")
    assert b"<nobody@ourdomain.example>:\nNo such user at this domain.\n" in mail.sue.received(text)
    mail.wait_until_empty()


# -- .forward files --------------------------------------------------------------------------


def forwards(box: Box, text: str) -> None:
    box.write(".forward", text)


@pytest.mark.usefixtures("forward")
def test_a_user_without_a_forward_file_gets_mail_as_usual(mail: Instance) -> None:
    mail.joe.received(mail.send(mail.joe.address))


@pytest.mark.usefixtures("forward")
def test_a_forward_file_sends_mail_on_instead(mail: Instance) -> None:
    forwards(mail.joe, "# on holiday\nsue (my deputy)\n")
    text = mail.send(mail.joe.address)
    assert paths(mail.sue.received(text))[1:] == [b"Delivered-To: sue@mail.example", b"Delivered-To: joe@mail.example"]
    assert not any(text.encode() in message for message in mail.joe.messages())


@pytest.mark.usefixtures("forward")
def test_a_forward_file_keeps_a_copy_and_runs_a_program(mail: Instance) -> None:
    forwards(mail.joe, "\\joe, sue, \"|sed -n 's/^From /seen: /p' >>seen\"\n")
    text = mail.send(mail.joe.address)
    mail.joe.received(text)
    mail.sue.received(text)
    assert (mail.joe.home / "seen").read_text().startswith("seen: peer@far.example ")


@pytest.mark.usefixtures("forward")
def test_users_who_forward_to_each_other_make_no_endless_loop(mail: Instance) -> None:
    forwards(mail.joe, "sue\n")
    forwards(mail.sue, "joe\n")
    before = len(mail.log("qmail-send"))
    mail.send(mail.joe.address, sender="")
    mail.logged("qmail-send", "This_message_is_looping:_it_already_has_my_Delivered-To_line.", before)


@pytest.mark.usefixtures("forward")
def test_a_forward_file_that_is_wrong_keeps_the_message_in_the_queue_until_it_is_mended(mail: Instance) -> None:
    forwards(mail.joe, '"sue\n')
    before = len(mail.log("qmail-send"))
    text = mail.send(mail.joe.address)
    assert "unable_to_parse_this_line" in mail.logged("qmail-send", "deferral: ", before)
    forwards(mail.joe, "sue\n")
    mail.svc("-a", "qmail-send")
    mail.sue.received(text)
    mail.wait_until_empty()


# -- programs of users -----------------------------------------------------------------------


@pytest.fixture
def dot_qmail(mail: Instance) -> Iterator[None]:
    """Takes away .qmail files and what programs in them keep."""
    yield
    for name in ".qmail", ".maildups", ".vacation.msg.answered":
        (mail.joe.home / name).unlink(missing_ok=True)


@pytest.mark.usefixtures("dot_qmail")
def test_who_writes_to_a_user_on_vacation_gets_one_answer(mail: Instance) -> None:
    mail.joe.write(".vacation.msg", "Subject: away\n\nI am away until the first.\n")
    mail.joe.write(".qmail", "|preline vacation joe\n./Maildir/\n")
    first = mail.send(mail.joe.address, sender="sue@mail.example")
    answer = mail.sue.received("I am away until the first.")
    assert b"Return-Path: <>\n" in answer and b"\nAuto-Submitted: auto-replied\n" in answer
    assert b"\nFrom: joe@mail.example\n" in answer and b"\nSubject: away\n" in answer
    second = mail.send(mail.joe.address, sender="sue@mail.example")
    bounce = mail.send(mail.joe.address, sender="")
    for text in first, second, bounce:
        mail.joe.received(text)
    mail.wait_until_empty()
    assert sum(b"I am away until the first." in message for message in mail.sue.messages()) == 1


@pytest.mark.usefixtures("dot_qmail")
def test_a_message_that_comes_twice_is_delivered_once(mail: Instance) -> None:
    mail.joe.write(".qmail", "| eliminate-dups\n./Maildir/\n")
    message = "From: sue@mail.example\nSubject: twice\nMessage-ID: <twice@mail.example>\n\ntwice\n"
    for _ in range(2):
        before = len(mail.log("qmail-send"))
        with mail.smtp() as client:
            client.sendmail("sue@mail.example", [mail.joe.address], message)
        mail.logged("qmail-send", "success: ", before)
        mail.wait_until_empty()
    assert sum(b"\n\ntwice\n" in delivered for delivered in mail.joe.messages()) == 1
