"""domaincheck stands in front of qmail-smtpd, with a real name server to ask and real clients."""

from __future__ import annotations

import errno
import os
import re
import signal
import smtplib
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import faults
import psutil
import pytest
from authority import Authority
from commands import BIN, Result, environment, run
from hurrying import hurried
from nameserver import name_server  # noqa: F401
from processes import descendants
from receiving import MESSAGE, Home
from tcp import Server, rest
from tlsclient import over
from until import until

from supervise.program import follow
from tools.domaincheck.domaincheck import main
from ucspi import dns

GREETING = b"220 heaven.af.mil ESMTP\r\n"
OK = b"250 ok\r\n"
GO = b"354 go ahead\r\n"
BYE = b"221 heaven.af.mil\r\n"
UNIMPLEMENTED = b"502 unimplemented (#5.5.1)\r\n"
NO_MAIL = b"503 MAIL first (#5.5.1)\r\n"
MISSING = b"sorry, your envelope sender's domain %s does not exist (#%d.1.8)\r\n"
UNKNOWN = b"451 sorry, I can't find out whether your envelope sender's domain %s exists (#4.1.8)\r\n"
TO = b"RCPT TO:<bill@heaven.af.mil>\r\n"
TEXT = b"DATA\r\nSubject: x\r\n\r\nhello\r\n.\r\n"


@pytest.fixture
def home(tmp_path: Path, name_server: str) -> Home:  # noqa: F811
    home = Home(tmp_path)
    home.env["DNSCACHEIP"] = name_server
    home.env["TCPREMOTEHOST"] = None
    return home


def mail(domain: bytes, box: bytes = b"joe@") -> bytes:
    return b"MAIL FROM:<" + box + domain + b">\r\n"


def told(home: Home, say: bytes, *options: str, **env: str | None) -> list[bytes]:
    """The replies to a client that says *say* and then QUIT, without the greeting and the farewell."""
    code, out, _ = asked(home, say + b"QUIT\r\n", *options, **env)
    lines = out.splitlines(keepends=True)
    assert (code, lines[0], lines[-1]) == (0, GREETING, BYE)
    return lines[1:-1]


def asked(home: Home, say: bytes, *options: str, **env: str | None) -> Result:
    return run("domaincheck", *options, "qmail-smtpd", input=say, env={**home.env, **env})


# -- domains -----------------------------------------------------------------------------
EXIST = b"mail both four six ALIAS mailalias badmx brokenmx localmail".split()
MISS = [b"nothing.example", b"text.example", b"nomail.example", b"", b"a..example", b"x" * 64 + b".example", b"[x]"]


def test_mail_from_a_domain_that_exists_is_taken(home: Home) -> None:
    assert told(home, b"".join(mail(name + b".example") for name in EXIST)) == [OK] * len(EXIST)


@pytest.mark.parametrize(("options", "code"), [((), 553), (("-B",), 451), (("-B", "-b"), 553)])
def test_mail_from_one_that_does_not_or_takes_none_is_refused(home: Home, options: tuple[str, ...], code: int) -> None:
    refused = [b"%d " % code + MISSING % (name, code // 100) for name in MISS]
    replies = told(home, b"".join(mail(name) + TO for name in MISS), *options)
    assert replies == [reply for refusal in refused for reply in (refusal, NO_MAIL)]


def test_where_the_domain_name_system_does_not_tell_the_client_tries_again(home: Home) -> None:
    name = b"host.broken.example"
    assert told(home, mail(name) + TO) == [UNKNOWN % name, NO_MAIL]
    assert told(home, mail(name) + TO, "-C") == [OK, OK]
    assert told(home, mail(name) + TO, "-Cc") == [UNKNOWN % name, NO_MAIL]


def test_without_anybody_to_ask_it_is_the_same(home: Home) -> None:
    name = b"mail.example"
    assert told(home, mail(name), DNSCACHEIP="127.0.0.1:1") == [UNKNOWN % name]
    assert told(home, mail(name), "-C", DNSCACHEIP="127.0.0.1:1") == [OK]


SENDERS = [b"<>", b"<joe>", b"<joe@[192.0.2.1]>", b"<joe@192.0.2.1>", b"<joe@[IPv6:2001:db8::1]>"]
SENDERS += [
    b"<@nothing.example:joe@mail.example>",
    b'<"joe@nothing.example"@mail.example> SIZE=1',
    b" joe@mail.example",
]


def test_what_names_no_domain_is_taken_and_whatever_form_an_address_has(home: Home) -> None:
    assert told(home, b"".join(b"mAIL FROM:" + sender + b"\r\n" for sender in SENDERS)) == [OK] * len(SENDERS)


def test_a_client_that_may_relay_is_not_asked_about(home: Home) -> None:
    say = mail(b"nothing.example") + b"RCPT TO:<joe@elsewhere.example>\r\n"
    assert told(home, say, "-n", RELAYCLIENT="", DNSCACHEIP="127.0.0.1:1") == [OK, OK]


def test_one_line_tells_of_each_refusal(home: Home) -> None:
    long = b"x." * 200 + b"example"
    code, out, err = asked(home, mail(b"nothing.example") + mail(b"a\x7fb") + mail(long))
    assert out.count(b"\r\n553 ") == 3
    line = rb"domaincheck: 192\.0\.2\.7 pid \d+: (553 .*)\n"
    first, second, third = re.fullmatch(line * 3, err).groups()  # type: ignore[union-attr]
    assert first + b"\r\n" == b"553 " + MISSING % (b"nothing.example", 5)
    assert second + b"\r\n" == b"553 " + MISSING % (b"a?b", 5)
    assert third.endswith(b" does not exist (#5.1.8)")
    assert code == 1  # qmail-smtpd's: the client is gone without QUIT


def test_whatever_the_address_of_a_client_is_it_stays_one_line(home: Home) -> None:
    done = asked(home, mail(b"nothing.example"), TCPREMOTEIP="192.0.2.7\n\x1b[31m\x7fx")
    assert done.err.startswith(b"domaincheck: 192.0.2.7??[31m?x pid ")
    assert done.err.count(b"\n") == 1


# -- clients -----------------------------------------------------------------------------
NAMELESS = b"553 sorry, your address %s has no name that exists (#5.7.25)\r\n"
WHO_KNOWS = b"451 sorry, I can't find out whether your address %s has a name (#4.7.25)\r\n"
CLIENTS = [
    ("127.0.0.1", None, [OK]),
    ("::ffff:127.0.0.1", None, [OK]),
    ("127.0.0.9", None, [NAMELESS % b"127.0.0.9"]),
    ("127.0.0.4", None, [NAMELESS % b"127.0.0.4"]),  # its name has no address
    ("127.0.0.6", None, [WHO_KNOWS % b"127.0.0.6"]),
    ("127.0.0.9", "both.example", [OK]),
    ("127.0.0.1", "nothing.example", [NAMELESS % b"127.0.0.1"]),
    ("", None, [OK]),
]  # fmt: skip


@pytest.mark.parametrize(("address", "name", "replies"), CLIENTS)
def test_a_client_without_a_name_is_refused_if_asked_for(
    home: Home, address: str, name: str | None, replies: list[bytes]
) -> None:
    assert told(home, mail(b"mail.example"), "-n", TCPREMOTEIP=address, TCPREMOTEHOST=name) == replies


def test_without_being_asked_for_it_does_not_matter(home: Home) -> None:
    assert told(home, mail(b"mail.example"), TCPREMOTEIP="127.0.0.9") == [OK]


def test_a_client_with_a_name_needs_a_sender_with_a_domain_all_the_same(home: Home) -> None:
    replies = told(home, mail(b"nothing.example") + b"MAIL FROM:<>\r\n", "-n", TCPREMOTEIP="127.0.0.1")
    assert replies == [b"553 " + MISSING % (b"nothing.example", 5), OK]


# -- the conversation --------------------------------------------------------------------
def test_a_message_goes_through_as_it_is(home: Home) -> None:
    say = mail(b"mail.example") + TO + b"DATA\r\n..x\r\nMAIL FROM:<a@nothing.example>\r\nx\0\xff\r\n.\r\nNOOP\r\n"
    *replies, accepted, noop = told(home, say)
    assert (replies, noop) == ([OK, OK, GO], OK)
    assert accepted.startswith(b"250 ok ")
    assert home.envelope() == b"Fjoe@mail.example\0Tbill@heaven.af.mil\0\0"
    assert home.message().split(b"\n", 2)[2] == b".x\nMAIL FROM:<a@nothing.example>\nx\0\xff\n"


def test_a_refused_sender_takes_the_one_before_with_him(home: Home) -> None:
    replies = told(home, mail(b"mail.example") + TO + mail(b"nothing.example") + TO + mail(b"both.example") + TO)
    assert [reply[:3] for reply in replies] == [b"250", b"250", b"553", b"503", b"250", b"250"]


def test_every_message_of_a_connection_is_looked_at(home: Home) -> None:
    message = TO + TEXT
    replies = told(home, (mail(b"mail.example") + message + mail(b"nothing.example") + message) * 2)
    taken = [b"250", b"250", b"354", b"250"]
    refused = [b"553", b"503", b"503"] + [b"502"] * 4  # what would have been the message is taken for commands
    assert [reply[:3] for reply in replies] == (taken + refused) * 2


def test_data_that_is_refused_begins_no_message(home: Home) -> None:
    replies = told(home, b"DATA\r\n" + mail(b"nothing.example") + mail(b"mail.example"))
    assert [reply[:3] for reply in replies] == [b"503", b"553", b"250"]


def test_replies_of_several_lines_stay_whole(home: Home) -> None:
    replies = told(home, b"EHLO x\r\n" + mail(b"nothing.example"))
    assert [reply[:4] for reply in replies] == [b"250-", b"250-", b"250 ", b"553 "]


def test_it_makes_no_difference_to_other_clients(home: Home) -> None:
    for say in (
        b"", b"QUIT\r\n", b"NOOP", b"HELP\r\nnonsense\r\n\r\nVRFY x\n", b"x" * 200_000 + b"\r\nNOOP\r\n", MESSAGE,
        MESSAGE.replace(b"hello\r\n", b"hello\n"), MESSAGE.replace(b".\r\nQUIT\r\n", b""), b"QUIT\r\nNOOP\r\n",
        b"MAIL FROM:<joe@mail.example> " + b"x" * 400_000 + b"\r\n", b"MAIL FROM:<joe@mail.example>\0x\r\n",
        b"MAIL FROM:<joe@mail.example>\r\nRCPT TO:<bill@heaven.af.mil>\r\nDATA\r\n" + b"x" * 500_000,
    ):  # fmt: skip
        say = say.replace(b"irs.gov", b"mail.example")
        alone, between = home.smtpd(say), asked(home, say)
        assert (steady(between.out), between.code, between.err) == (steady(alone.out), alone.code, alone.err)


def steady(replies: bytes) -> bytes:
    """*replies* without the time and the number of a message."""
    return re.sub(rb"(?m)^250 ok \d+ qp \d+", b"250 ok", replies)


def test_in_one_write_or_byte_by_byte_a_client_hears_the_same(home: Home) -> None:
    say = b"EHLO x\r\n" + mail(b"nothing.example") + mail(b"mail.example") + TO + TEXT + b"QUIT\r\n"
    with Server("domaincheck", "qmail-smtpd", env={**home.env, "TCPREMOTEHOST": None}) as server:
        at_once = server.ask(say=say)
        with server.connect() as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(len(say)):
                client.send(say[at : at + 1])
            assert steady(rest(client)) == steady(at_once)
        assert b"553 " in at_once
        server.logged("tcpserver: end ", 2)


def test_pipelined_commands_are_answered_together(home: Home) -> None:
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, its:
        process = served(home, its)
        assert ours.recv(4096) == GREETING
        ours.send(mail(b"mail.example") + TO + mail(b"nothing.example"))
        assert ours.recv(4096) == OK + OK + b"553 " + MISSING % (b"nothing.example", 5)
        ours.shutdown(socket.SHUT_WR)
        process.communicate(timeout=30)


def served(home: Home, client: socket.socket, *options: str, **more: str) -> subprocess.Popen[bytes]:
    """qmail-smtpd behind domaincheck, for *client*."""
    argv = ["domaincheck", *options, "qmail-smtpd"]
    env = environment({**home.env, **more})
    return subprocess.Popen(argv, stdin=client, stdout=client, stderr=subprocess.PIPE, env=env)


def test_a_client_that_stalls_hears_it_from_the_server(home: Home) -> None:
    home.control(timeoutsmtpd="1")
    ours, its = socket.socketpair()
    with ours:
        with its:
            process = served(home, its)
        assert rest(ours) == GREETING + b"451 timeout (#4.4.2)\r\n"
        assert process.wait(30) == 1


@pytest.mark.parametrize("say", [b"", mail(b"mail.example"), mail(b"mail.example") + TO + b"DATA\r\nx"])
def test_when_the_client_is_gone_both_end(home: Home, say: bytes) -> None:
    ours, its = socket.socketpair()
    with its:
        process = served(home, its)
    with ours:
        ours.sendall(say)
        assert ours.recv(4096)
        children = descendants(process.pid)
        assert len(children) == 1
    assert process.wait(30) == 1
    until(lambda: not any(alive(pid) for pid in children), what="domaincheck ends")


def test_when_the_server_is_killed_the_client_is_let_go(home: Home) -> None:
    ours, its = socket.socketpair()
    with its:
        process = served(home, its)
    with ours:
        assert ours.recv(4096) == GREETING
        process.kill()
        ours.settimeout(30)
        assert rest(ours) == b""
    process.communicate()


def test_when_it_is_killed_the_server_takes_the_client_for_gone(home: Home) -> None:
    ours, its = socket.socketpair()
    with its:
        process = served(home, its)
    with ours:
        ours.sendall(mail(b"mail.example") + TO + b"DATA\r\nhalf a message\r\n")
        until(lambda: b"354" in ours.recv(4096), what="DATA is answered")
        (child,) = descendants(process.pid)
        os.kill(child, signal.SIGKILL)
        assert process.wait(30) == 1
    assert not (home.queued / "envelope").exists() or not home.envelope()


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def test_a_client_that_does_not_listen_is_left(home: Home) -> None:
    ours, its = socket.socketpair()
    for side in (ours, its):
        side.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    argv = ["domaincheck", "qmail-smtpd"]
    where = {"module": "tools.domaincheck.domaincheck", "constant": "tools.domaincheck.between.PATIENCE"}
    with ours:
        with its:
            process = hurried(**where, seconds=1, argv=argv, env=home.env, stdin=its, stdout=its)
        ours.setblocking(False)
        pid = process.pid
        try:
            while True:
                ours.send(b"HELP\r\n" * 100)
        except BlockingIOError:
            pass
        until(lambda: not descendants(pid), seconds=60, what="domaincheck ends")
        process.wait(60)


def test_the_work_for_many_commands_at_once_grows_as_they_do(home: Home) -> None:
    assert effort(home, 65_536) < 20 * effort(home, 8_192)


def effort(home: Home, count: int) -> float:
    """The seconds of CPU that domaincheck takes for *count* empty commands in one piece."""
    reading, writing = os.pipe()
    os.write(writing, b"\n" * count)
    argv = ["domaincheck", "qmail-smtpd"]
    with subprocess.Popen(argv, stdin=reading, stdout=subprocess.PIPE, env=environment(home.env)) as process:
        os.close(reading)
        assert process.stdout
        process.stdout.read(len(GREETING + UNIMPLEMENTED * count))
        (child,) = descendants(process.pid)
        times = psutil.Process(child).cpu_times()
        os.close(writing)
    return times.user + times.system


@pytest.mark.parametrize("piece", [0, 20])
def test_who_does_not_take_the_last_replies_is_left_soon_when_the_server_is_gone(home: Home, piece: int) -> None:
    commands = 5_000
    ours, its = socket.socketpair()
    its.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    argv = ["domaincheck", "qmail-smtpd"]
    where = {"module": "tools.domaincheck.domaincheck", "constant": "tools.domaincheck.between.FAREWELL"}
    with ours:
        with its:
            process = hurried(**where, seconds=1, argv=argv, env=home.env, stdin=its, stdout=its)
        heard = [ours.recv(len(GREETING), socket.MSG_WAITALL)]
        (child,) = descendants(process.pid)
        ours.sendall(b"NOOP\r\n" * commands + b"QUIT\r\n")
        assert process.wait(60) == 0
        until(lambda: heard.append(ours.recv(piece)) or not alive(child), seconds=60, what="domaincheck ends")
        heard.append(rest(ours))
    assert len(b"".join(heard)) < len(GREETING + OK * commands + BYE)


def test_what_a_client_says_after_quit_is_not_looked_at(home: Home) -> None:
    assert asked(home, b"QUIT\r\n" + mail(b"nothing.example")) == (0, GREETING + BYE, b"")


CLOSED = {
    "2>&-": (0, GREETING + b"553 " + MISSING % (b"nothing.example", 5) + NO_MAIL + BYE),
    "<&-": (1, GREETING),
    "<&- 2>&-": (1, GREETING),
    ">&-": (1, b""),
    "<&- >&- 2>&-": (1, b""),
}


@pytest.mark.parametrize("closed", CLOSED)
def test_where_descriptors_are_closed_the_server_hears_the_client_alone(home: Home, closed: str) -> None:
    say = mail(b"nothing.example") + TO + b"QUIT\r\n"
    done = run("sh", "-c", f"exec domaincheck qmail-smtpd {closed}", input=say, env=home.env)
    assert (done.code, done.out) == CLOSED[closed]


LAST_WORDS = [b"220-hi\r\n220-ho\r\n", b"421-going\r\n421-down", b"421"]


@pytest.mark.parametrize("words", LAST_WORDS)
@pytest.mark.parametrize("greeting", [b"", b"220 hi\r\n"])
def test_what_a_server_says_before_it_ends_is_heard(home: Home, greeting: bytes, words: bytes) -> None:
    (home.folder / "said").write_bytes(words)
    script = f"printf '{os.fsdecode(greeting)}'; test -z '{os.fsdecode(greeting)}' || read line; cat {home.folder}/said"
    done = run("domaincheck", "sh", "-c", script, input=b"NOOP\r\n", env=home.env)
    assert (done.code, done.out) == (0, greeting + words)


@pytest.mark.parametrize("line", [b"MAIL FROM:<x@mail.example\r\r\n", b"MAIL FROM:x@mail.example\r\r\r\n"])
def test_what_is_looked_up_is_what_the_server_takes(home: Home, line: bytes) -> None:
    returns = b"?" * (line.count(b"\r") - 1)
    assert told(home, line + TO) == [b"553 " + MISSING % (b"mail.example" + returns, 5), NO_MAIL]


def test_on_a_machine_in_trouble_no_bad_sender_is_taken(home: Home) -> None:
    say = mail(b"nothing.example") + TO + b"QUIT\r\n"
    refusal = b"553 " + MISSING % (b"nothing.example", 5)
    env = {name: value for name, value in home.env.items() if value is not None} | {"PATH": f"{BIN}:/usr/bin:/bin"}
    dns.load()  # else each fork of ours does
    for at in range(10_000):
        argv = [b"domaincheck", b"qmail-smtpd"]
        done = faults.run(lambda argv: follow(main, argv), argv, at, errno.EIO, say, env, "/")
        replies = done.out.removeprefix(GREETING).splitlines(keepends=True)
        assert replies[:1] in ([], [refusal]) or replies[0].startswith(b"421 "), done
        assert b"Traceback" not in done.err
        if not done.call:
            break


# -- TLS ---------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def server(home: Home, authority: Authority) -> Iterator[Server]:
    env = {**home.env, "CERTFILE": str(authority.certify("mail.example.org")), "TCPREMOTEIP": None}
    with Server("domaincheck", "qmail-smtpd", options=["-vRHl", "mx.af.mil", "--starttls"], env=env) as running:
        yield running


def test_it_stays_between_when_tls_starts(server: Server, home: Home, authority: Authority) -> None:
    context = ssl.create_default_context(cafile=str(authority.file))
    context.check_hostname = False
    with smtplib.SMTP("127.0.0.1", server.port, "friend.example") as client:
        assert client.docmd("MAIL", "FROM:<joe@nothing.example>")[0] == 553
        client.starttls(context=context)
        assert client.docmd("MAIL", "FROM:<joe@nothing.example>")[0] == 553
        client.sendmail("joe@mail.example", ["bill@heaven.af.mil"], b"Subject: x\r\n\r\nhello\r\n")
    assert home.envelope() == b"Fjoe@mail.example\0Tbill@heaven.af.mil\0\0"
    assert b"with ESMTPS; " in home.message()
    server.logged("status: 0/40", 2)


def test_what_is_said_before_tls_does_not_count_in_it(server: Server, authority: Authority) -> None:
    with server.connect() as plain:
        plain.sendall(b"STARTTLS\r\n" + mail(b"mail.example"))
        heard = b""
        while not heard.endswith(b"220 ready for TLS\r\n"):
            heard += plain.recv(1)
        with over(plain, authority) as client:
            client.sendall(TO + b"QUIT\r\n")
            assert rest(client) == NO_MAIL + BYE
    server.logged("status: 0/40", 2)


# -- the command -------------------------------------------------------------------------
def test_it_wants_a_program(home: Home) -> None:
    for words in ((), ("-x", "true"), ("-b",)):
        assert run("domaincheck", *words).code == 100
    assert run("domaincheck", "there-is-none", env=home.env).code == 111
