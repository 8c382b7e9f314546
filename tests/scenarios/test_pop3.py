"""Users fetch by POP3 what was delivered to them."""

from __future__ import annotations

import poplib
from collections.abc import Iterator
from pathlib import Path

import pytest
from accounts import Accounts, hashed
from instance import JOE, SUE, Instance
from siege import SHAME
from tcp import OURS, Server
from until import until

PASSWORDS = {"joe": "Joe's own secret", "sue": "another one"}


@pytest.fixture
def server(mail: Instance) -> Iterator[Server]:
    """qmail-popup for the users of *mail*: checkpassword finds out who they are, or where that needs root, a script."""
    for box in mail.joe, mail.sue:  # of others' messages: some have lines that poplib refuses
        for file in [*(box.home / "Maildir").glob("new/*"), *(box.home / "Maildir").glob("cur/*")]:
            file.unlink()
    pop3 = ("qmail-popup", "pop.example")
    if mail.rooted:
        folder = mail.scratch / "accounts"
        folder.mkdir(exist_ok=True)
        accounts = Accounts(folder)
        for box, uid in (mail.joe, JOE), (mail.sue, SUE):
            accounts.add(box.name, uid, hashed(PASSWORDS[box.name]), box.home)
        first, *words = accounts.seen_by
        options = (*words, str(OURS), "-vRHl0")
        program = (*pop3, "checkpassword", "qmail-pop3d", "Maildir")
        made = Server(*program, tcpserver=Path("/usr/bin") / first, options=options, cwd=mail.scratch)
    else:
        who = {} if mail.runner is None else {"user": mail.runner, "group": mail.runner, "extra_groups": []}
        made = Server(*pop3, checker(mail), "qmail-pop3d", "Maildir", cwd=mail.scratch, **who)
    with made as server:
        yield server
        assert not SHAME.search(server.log())


def checker(mail: Instance) -> Path:
    """A program with checkpassword's interface that knows joe and sue, who both are the user that runs it."""
    lines = [f'"{name} {secret} "*) cd {mail.scratch}/{name};;' for name, secret in PASSWORDS.items()]
    path = mail.scratch / "checker"
    path.write_text(
        "\n".join(
            ["#!/bin/sh", 'case $(tr "\\0" " " <&3) in', *lines, "*) exit 1;;", "esac", 'exec 3<&-; exec "$@"', ""]
        )
    )
    path.chmod(0o755)
    return path


def login(server: Server, name: str) -> poplib.POP3:
    client = poplib.POP3("127.0.0.1", server.port, timeout=30)
    client.user(name)
    client.pass_(PASSWORDS[name])
    return client


def fetched(server: Server, name: str, text: str) -> bytes:
    """Wait until the user finds a message with *text*, and fetch and delete it; its lines."""

    def found() -> bytes:
        client = login(server, name)
        messages = {number: b"\n".join(client.retr(number)[1]) for number in range(1, client.stat()[0] + 1)}
        here = [number for number, message in messages.items() if text.encode() in message]
        for number in here:
            client.dele(number)
        client.quit()
        return messages[here[0]] if here else b""

    return until(found, what=f"{text!r} in the mail of {name}")


def test_each_user_fetches_their_own_mail_and_deletes_it(mail: Instance, server: Server) -> None:
    for box in mail.joe, mail.sue:
        text = mail.send(box.address, text=".a dot, and more\n")
        message = fetched(server, box.name, text)
        assert message.startswith(b"Return-Path: <peer@far.example>\nDelivered-To: %s@" % box.name.encode())
        assert message.rstrip().endswith(b"\n.a dot, and more")
        cur = [file.read_bytes() for file in (box.home / "Maildir" / "cur").iterdir()]
        assert not any(text.encode() in left for left in (*box.messages(), *cur))


def test_what_is_only_looked_at_stays_and_is_seen(mail: Instance, server: Server) -> None:
    text = mail.send(mail.joe.address)
    mail.joe.received(text)

    def seen() -> bool:
        client = login(server, "joe")
        client.list()
        client.quit()
        return not mail.joe.messages()

    until(seen)
    assert fetched(server, "joe", text)


@pytest.mark.parametrize("name", ["joe", "nobody-by-that-name", "root", ""])
def test_a_wrong_password_opens_nothing(mail: Instance, server: Server, name: str) -> None:
    client = poplib.POP3("127.0.0.1", server.port, timeout=30)
    with pytest.raises(poplib.error_proto, match=r"authorization failed|syntax error|USER first"):
        client.user(name)
        client.pass_("guess")
    client.close()


def test_a_client_that_is_cut_off_loses_nothing(mail: Instance, server: Server) -> None:
    text = mail.send(mail.joe.address)
    mail.joe.received(text)

    def deletes_and_goes() -> bool:
        client = login(server, "joe")
        count = client.stat()[0]
        for number in range(1, count + 1):
            client.dele(number)
        client.close()
        return count > 0

    until(deletes_and_goes)
    assert fetched(server, "joe", text)
