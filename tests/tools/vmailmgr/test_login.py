"""A user of a virtual domain gets mail by the running system, and fetches it by POP3."""

from __future__ import annotations

import poplib

import pytest
from commands import run
from instance import Instance
from tcp import Server
from until import until


@pytest.mark.parametrize("rooted", [False, pytest.param(True, marks=pytest.mark.root)])
def test_mail_comes_and_is_fetched(rooted: bool) -> None:
    with Instance(rooted, controls={"virtualdomains": "dom.example:joe"}) as mail:
        who = {} if mail.joe.uid == 0 else {"user": mail.joe.uid}
        home = {"HOME": str(mail.joe.home)}
        assert run("vadduser", "ann", input=b"secret\n", env=home, **who).code == 0  # type: ignore[arg-type]
        mail.joe.write(".qmail-default", "|vdeliver\n")
        text = mail.send("Ann@dom.example")
        mail.joe.received(text, "users/ann")
        words = ("qmail-popup", "pop.example", "checkvpw", "qmail-pop3d", "Maildir")
        runner = {} if mail.runner is None else {"user": mail.runner, "group": mail.runner, "extra_groups": []}
        with Server(*words, env=mail.env, cwd=mail.scratch, **runner) as server:
            for name, password in ("ann@dom.example", "Secret"), ("bob@dom.example", "secret"), ("ann@x", "secret"):
                client = poplib.POP3("127.0.0.1", server.port, timeout=30)
                client.user(name)
                with pytest.raises(poplib.error_proto, match="authorization failed"):
                    client.pass_(password)
                client.close()
            until(lambda: fetched(server.port, text), what=text)
            until(lambda: not mail.joe.messages("users/ann"))
        bounced = mail.send("bob@dom.example", sender="joe@mail.example")
        assert b"unknown virtual user 'bob'" in mail.joe.received(bounced)


def fetched(port: int, text: str) -> bool:
    """Log in, and fetch and delete a message with *text*; whether it is there yet."""
    client = poplib.POP3("127.0.0.1", port, timeout=30)
    client.user("ann@dom.example")
    client.pass_("secret")
    found = client.stat()[0] == 1 and text.encode() in b"\n".join(client.retr(1)[1])
    if found:
        client.dele(1)
    client.quit()
    return found
