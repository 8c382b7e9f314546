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


@pytest.mark.parametrize("rooted", [False, pytest.param(True, marks=pytest.mark.root)])
def test_hooks_hear_of_logins_and_others_may_ask(rooted: bool) -> None:
    with Instance(rooted, controls={"virtualdomains": "dom.example:joe"}) as mail:
        runner = {} if mail.runner is None else {"user": mail.runner}
        who = {} if mail.joe.uid == 0 else {"user": mail.joe.uid}
        home = {"HOME": str(mail.joe.home)}
        assert run("vadduser", "ann", input=b"secret\n", env=home, **who).code == 0  # type: ignore[arg-type]
        (mail.joe.home / ".vmailmgr").mkdir()
        for name in ("postsetuid", "postexec", "loginfail", "error", "presetuid"):
            file = mail.joe.home / f".vmailmgr/checkvpw-{name}"
            file.write_text(f'#!/bin/sh\necho {name} "$VUSER" "$CHECKVPW_ERROR"\n')
            file.chmod(0o755)

        def log_in(login: str, script: str = "echo $0; exit 0") -> tuple[int, list[str]]:
            pipe = f"printf '{login}' | checkvpw sh -c '{script}' Maildir 3<&0 </dev/null"
            done = run("sh", "-c", pipe, env=mail.env, cwd=mail.scratch, **runner)  # type: ignore[arg-type]
            return done.code, done.out.decode().splitlines()

        good = "Ann@dom.example\\0secret\\0\\0"
        assert log_in(good) == (0, ["postsetuid ann ", "./users/ann", "postexec ann "])
        assert log_in(good, "exit 7") == (7, ["postsetuid ann "])
        (mail.joe.home / "users/ann").rename(mail.joe.home / "users/away")
        code, said = log_in(good)
        assert (code, said[1:]) == (0, ["/var/lib/vmailmgr/error-maildir/", "postexec ann "])
        (mail.joe.home / "users/away").rename(mail.joe.home / "users/ann")
        wrong = "ann@dom.example\\0other\\0\\0"
        assert log_in(wrong) == (1, ["loginfail ann Invalid or incorrect password"])
        nobody = "bob@dom.example\\0secret\\0\\0"
        assert log_in(nobody) == (1, ["loginfail bob Invalid or unknown virtual user"])
        assert log_in("ann@dom.example") == (2, [])  # the domain's hooks are not asked before it is known
        (mail.joe.home / ".vmailmgr/checkvpw-postsetuid").write_text("#!/bin/sh\nexit 1\n")
        assert log_in(good) == (111, ["error ann execution of checkvpw-postsetuid failed"])

        def ask(told: bytes) -> tuple[int, bytes]:
            done = run("vauthenticate", input=told, env=mail.env, cwd=mail.scratch, **runner)  # type: ignore[arg-type]
            return done.code, done.out

        code, answer = ask(b"dom.example\0ann\0secret")
        assert code == 0 and answer.endswith(b"\nMAILDIR=./users/ann\nVUSER=ann\n")
        assert b"HOME=%s\n" % bytes(mail.joe.home) in answer
        assert ask(b"dom.example\0ann\0Secret") == ask(b"x.example\0ann\0secret") == (1, b"")
        assert ask(b"dom.example\0ann") == (2, b"")


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
