"""tcpserver with real sockets: what clients, programs and the log see."""

from __future__ import annotations

import os
import pwd
import resource
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import run
from tcp import Server, rest
from until import until

SERVE_ON = ("sh", "-c", "echo ready; cat")  # until the client has no more to say


def compile_rules(folder: Path, text: str) -> str:
    made = run("tcprules", folder / "rules.cdb", folder / "rules.tmp", input=text.encode())
    assert made.code == 0, made.err
    return str(folder / "rules.cdb")


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


# -- how many at once --------------------------------------------------------------------------


def test_more_connections_than_the_limit_wait_until_one_ends() -> None:
    with Server(*SERVE_ON, options=("-vRHl0", "-c2")) as server:
        first, second, third = (server.connect() for _ in range(3))
        assert first.recv(9) == second.recv(9) == b"ready\n"
        server.logged("status: 2/2")
        assert server.log().count(" pid ") == 2
        first.close()
        assert third.recv(9) == b"ready\n"
        second.close()
        third.close()
        lines = server.logged("status: 0/2", 2).splitlines()
    counts = [line.split()[-1] for line in lines if "status: " in line]
    assert counts == ["0/2", "1/2", "2/2", "1/2", "2/2", "1/2", "0/2"]


def test_one_address_cannot_have_more_connections_than_its_own_limit() -> None:
    with Server(*SERVE_ON, options=("-vRHl0", "-C1")) as server:
        with server.connect(source="127.0.0.1") as first:
            assert first.recv(9) == b"ready\n"
            assert server.ask(source="127.0.0.1") == b""
            with server.connect(source="127.0.0.2") as other:
                assert other.recv(9) == b"ready\n"
        server.logged(" end ", 2)
        assert server.ask(source="127.0.0.1", say=b"again") == b"ready\nagain"
        assert "tcpserver: warning: dropping connection, limit of 1 for 127.0.0.1 reached\n" in server.log()
        assert "3/40" not in server.log()


def test_clients_that_say_nothing_hinder_nobody(home: dict[str, str | None]) -> None:
    with Server("qmail-smtpd", options=("-vRHl0", "-c9"), env=home) as server:
        silent = [server.connect() for _ in range(8)]
        server.logged("status: 8/9")
        for _ in range(3):
            assert dialogue(server) == REFUSED
        for client in silent:
            client.close()


def test_a_high_limit_raises_the_limit_of_open_files_for_us_and_not_for_the_program() -> None:
    def low() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 1000))

    with Server("sh", "-c", "ulimit -n; cat", options=("-vRHl0", "-c120", "-b120"), preexec_fn=low) as server:
        clients = [server.connect() for _ in range(110)]
        assert {client.recv(99) for client in clients} == {b"100\n"}
        for client in clients:
            client.close()
        server.logged(" end ")


def test_connections_that_nobody_can_serve_are_dropped_and_later_ones_served() -> None:
    def low() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (15, 15))

    with Server(*SERVE_ON, preexec_fn=low) as server:
        clients = [server.connect() for _ in range(30)]
        log = server.logged("unable to fork")
        assert "tcpserver: warning: dropping connection, unable to fork: process cannot open more files\n" in log
        served = [client for client in clients if client.recv(99) == b"ready\n"]
        assert 0 < len(served) < 30
        for client in clients:
            client.close()
        until(lambda: server.log().rstrip().endswith("status: 0/40"), what="all have ended")
        assert server.ask(say=b"hello") == b"ready\nhello"


# -- where it listens ----------------------------------------------------------------------------


@ipv6
def test_an_ipv6_connection_has_an_ipv6_environment() -> None:
    with Server("env", host="::1") as server:
        found = server.variables("::1")
        log = server.logged(" end ")
    assert (found["PROTO"], found["TCPLOCALIP"], found["TCPREMOTEIP"]) == ("TCP6", "::1", "::1")
    assert (found["TCP6LOCALIP"], found["TCP6REMOTEIP"]) == ("::1", "::1")
    assert f"from ::1\ntcpserver: ok {server.pids()[0]} 0:::1:{server.port} :::1::{found['TCPREMOTEPORT']}\n" in log


@ipv6
def test_two_colons_mean_both_families() -> None:
    with Server("env", host="::") as server:
        six, four = server.variables("::1"), server.variables("127.0.0.1")
        log = server.logged(" end ", 2)
    assert (six["PROTO"], six["TCPREMOTEIP"]) == ("TCP6", "::1")
    assert (four["PROTO"], four["TCPREMOTEIP"], four["TCP6REMOTEIP"]) == ("TCP", "127.0.0.1", "::ffff:127.0.0.1")
    assert "from 127.0.0.1\n" in log
    assert ":::ffff:127.0.0.1:" in log


@pytest.mark.parametrize("host", ["0", ""])
def test_nothing_means_all_ipv4_addresses(host: str) -> None:
    with Server("env", host=host) as server:
        assert server.variables("127.0.0.9")["TCPLOCALIP"] == "127.0.0.9"
        log = server.logged(" end ")
    assert f" 0:127.0.0.9:{server.port} :127.0.0.1::" in log


@pytest.mark.parametrize("host", ["here.example", "HERE.example."])
def test_a_host_name_means_its_first_address(host: str, name_server: str) -> None:
    with Server("env", host=host, env={"DNSCACHEIP": name_server}) as server:
        assert server.variables()["TCPLOCALIP"] == "127.0.0.1"


def test_a_host_without_an_address_cannot_be_listened_to(name_server: str, silent_name_server: str) -> None:
    cache = {"DNSCACHEIP": name_server}
    nothing = run("tcpserver", "-RHl0", "nothing.example", "0", "true", env=cache)
    assert nothing == (111, b"", b"tcpserver: fatal: no IP address for nothing.example\n")
    uncertain = run("tcpserver", "-RHl0", "host.broken.example", "0", "true", env=cache)
    expected = b"tcpserver: fatal: temporarily unable to figure out IP address for host.broken.example\n"
    assert uncertain == (111, b"", expected)


# -- who is there --------------------------------------------------------------------------------


def test_both_ends_have_names(name_server: str) -> None:
    cache = {"DNSCACHEIP": name_server, "TCPREMOTEINFO": "left over"}
    with Server("env", options=("-vR",), host="0", env=cache) as server:
        found = server.variables("127.0.0.2", "127.0.0.3")
        log = server.logged(" end ")
    assert (found["TCPLOCALHOST"], found["TCPREMOTEHOST"]) == ("shouting.example", "liar.example")
    assert (found["TCP6LOCALHOST"], found["TCP6REMOTEHOST"]) == ("shouting.example", "liar.example")
    assert "TCPREMOTEINFO" not in found
    assert " shouting.example:127.0.0.2:" in log and " liar.example:127.0.0.3::" in log


def test_a_paranoid_server_believes_only_a_name_that_has_the_address(name_server: str) -> None:
    with Server("env", options=("-vRpl0",), env={"DNSCACHEIP": name_server}) as server:
        names = [server.variables(source=f"127.0.0.{n}").get("TCPREMOTEHOST") for n in (1, 2, 3, 4)]
    assert names == ["here.example", "shouting.example", None, None]


def test_names_that_cannot_be_found_out_are_unset(name_server: str) -> None:
    cache = {"DNSCACHEIP": name_server, "TCPREMOTEHOST": "left over", "TCPLOCALHOST": "left over"}
    with Server("env", options=("-vR",), host="0", env=cache) as server:
        for address in "127.0.0.6", "127.0.0.7":  # the name server fails; there is no name
            found = server.variables(address, address)
            assert "TCPREMOTEHOST" not in found and "TCPLOCALHOST" not in found


def test_strange_names_neither_break_a_line_of_the_log_nor_look_like_a_field(name_server: str) -> None:
    with Server("env", options=("-vRl", "a:b%c\nd"), env={"DNSCACHEIP": name_server}) as server:
        found = server.variables(source="127.0.0.5")
        log = server.logged(" end ")
    assert found["TCPREMOTEHOST"] == r"a\040b\056c.example"
    assert " a?b?c?d:127.0.0.1:" in log and r" a\040b\056c.example:127.0.0.5::" in log


# -- rules ---------------------------------------------------------------------------------------


def test_rules_by_host_name(name_server: str, tmp_path: Path) -> None:
    rules = compile_rules(tmp_path, '=here.example:allow,WHO="we"\n=.example:deny\n:allow,WHO="others"\n')
    with Server("env", options=("-vRl0", "-x", rules), env={"DNSCACHEIP": name_server}) as server:
        assert server.variables(source="127.0.0.1")["WHO"] == "we"
        assert server.ask(source="127.0.0.2") == b""
        assert server.variables(source="127.0.0.9")["WHO"] == "others"
        log = server.logged(" end ", 3)
    assert f"tcpserver: deny {server.pids()[1]} " in log
    assert f"tcpserver: end {server.pids()[1]} status 25600\n" in log


def test_new_rules_need_no_restart(tmp_path: Path) -> None:
    rules = compile_rules(tmp_path, ":deny\n")
    with Server("echo", "welcome", options=("-vRHl0", "-x", rules)) as server:
        assert server.ask() == b""
        compile_rules(tmp_path, ":allow\n")
        assert server.ask() == b"welcome\n"


def test_the_path_that_a_rule_sets_is_for_the_program_and_does_not_find_it(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.mkdir()
    (trap / "env").write_text("#!/bin/sh\necho trapped\n")
    (trap / "env").chmod(0o755)
    rules = compile_rules(tmp_path, f':allow,PATH="{trap}"\n')
    with Server("env", options=("-vRHl0", "-x", rules)) as server:
        assert server.variables()["PATH"] == str(trap)


def test_a_banner_comes_before_the_rules(tmp_path: Path) -> None:
    rules = compile_rules(tmp_path, ":deny\n")
    with Server("true", options=("-vRHl0", "-Bhello\r\n", "-x", rules)) as server:
        assert server.ask() == b"hello\r\n"


# -- a program that serves one connection after another ----------------------------------------------


def smtp_home(folder: Path) -> dict[str, str | None]:
    """The environment for qmail-smtpd with its home in *folder*."""
    return {"QMAILHOME": str(folder), "RELAYCLIENT": None, "DATABYTES": None}


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str | None]:
    """A home that receives mail for nobody."""
    control = tmp_path / "control"
    control.mkdir()
    (control / "me").write_text("mail.example\n")
    (control / "rcpthosts").write_text("\n")
    return smtp_home(tmp_path)


def dialogue(server: Server, source: str = "127.0.0.1") -> list[bytes]:
    """The codes that qmail-smtpd answers to a sender who wants to relay."""
    said = server.ask(source=source, say=b"HELO me\r\nMAIL FROM:<>\r\nRCPT TO:<joe@elsewhere.example>\r\nQUIT\r\n")
    return [line[:3] for line in said.splitlines()]


RELAYED, REFUSED = [b"220", b"250", b"250", b"250", b"221"], [b"220", b"250", b"250", b"553", b"221"]


def test_one_worker_serves_many_connections_and_each_has_its_own_environment(
    home: dict[str, str | None], tmp_path: Path
) -> None:
    rules = compile_rules(tmp_path, '127.0.0.1:allow,RELAYCLIENT=""\n127.0.0.3:deny\n')
    with Server("qmail-smtpd", options=("-vRHl0", "-x", rules), env=home) as server:
        for at in range(15):
            assert dialogue(server, f"127.0.0.{at % 3 + 1}") == (RELAYED, REFUSED, [])[at % 3]
            server.lines(5 * at + 6)
        log = server.log()
    assert len(set(server.pids())) == 1
    assert [line.split()[-1] for line in log.splitlines() if " end " in line] == ["0", "0", "25600"] * 5
    assert [line.split()[1] for line in log.splitlines() if " end " not in line][:8] == [
        "status:", "status:", "pid", "ok", "status:", "status:", "pid", "ok",
    ]  # fmt: skip


def test_the_raw_wait_status_is_logged_for_it_as_well(home: dict[str, str | None]) -> None:
    with Server("qmail-smtpd", env=home) as server:
        server.ask(say=b"HELO me\r\n")  # no QUIT
        assert f"tcpserver: end {server.pids()[0]} status 256\n" in server.logged(" end ")


def test_a_worker_killed_with_its_client_ends_that_connection_alone(home: dict[str, str | None]) -> None:
    with Server("qmail-smtpd", env=home) as server:
        with server.connect() as victim, server.connect() as other:
            assert victim.recv(3) == other.recv(3) == b"220"
            until(lambda: len(server.pids()) == 2)
            os.kill(int(server.pids()[0]), signal.SIGKILL)
            assert f"tcpserver: end {server.pids()[0]} status 9\n" in server.logged(" end ")
            assert sorted([ended(victim), ended(other)]) == [False, True]
        assert dialogue(server) == REFUSED


def ended(client: socket.socket) -> bool:
    """Whether the other side closed the connection of *client* instead of answering."""
    client.sendall(b"QUIT\r\n")
    return b"221" not in rest(client)


def test_idle_workers_die_with_their_parent(home: dict[str, str | None]) -> None:
    with Server("qmail-smtpd", env=home) as server:
        assert dialogue(server) == REFUSED
        worker = Path(f"/proc/{server.pids()[0]}")
        server.logged(" end ")
        assert worker.exists()
    until(lambda: not worker.exists() or "Z" in (worker / "stat").read_text().split(), what="the worker ends")


def test_processes_have_titles(home: dict[str, str | None]) -> None:
    def title(pid: int | str) -> str:
        return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").replace("\0", " ")

    with Server("qmail-smtpd", env=home) as server:
        assert title(server.pid) == "tcpserver -vRHl0 -1 127.0.0.1 0 qmail-smtpd"
        with server.connect() as client:
            assert client.recv(3) == b"220"
            assert title(server.pids()[0]) == "qmail-smtpd"
        server.logged(" end ")
        assert title(server.pids()[0]) == "tcpserver: worker"


def test_another_program_in_front_of_ours_is_respected(home: dict[str, str | None], tmp_path: Path) -> None:
    bin = tmp_path / "bin"
    bin.mkdir()
    (bin / "qmail-smtpd").write_text("#!/bin/sh\necho mine\n")
    (bin / "qmail-smtpd").chmod(0o755)
    with Server("qmail-smtpd", env={**home, "PATH": f"{bin}:{Path(sys.executable).parent}:/usr/bin:/bin"}) as server:
        assert server.ask() == b"mine\n"
        (bin / "qmail-smtpd").unlink()
        assert server.ask(say=b"QUIT\r\n").startswith(b"220 mail.example ")


def test_a_foreign_program_can_be_ended_by_the_number_in_the_log() -> None:
    with Server("sh", "-c", "echo ready; exec sleep 1000") as server, server.connect() as client:
        assert client.recv(6) == b"ready\n"
        [pid] = server.pids()
        os.kill(int(pid), signal.SIGTERM)
        assert client.recv(1) == b""
        server.logged(f" end {pid} status 15")


# -- starting and stopping -----------------------------------------------------------------------


def test_term_ends_the_server_and_not_the_connections() -> None:
    with Server(*SERVE_ON) as server:
        client = server.connect()
        assert client.recv(99) == b"ready\n"
        server.process.terminate()
        assert server.process.wait() == 0
        client.sendall(b"still here")
        client.shutdown(socket.SHUT_WR)
        assert rest(client) == b"still here"
        with pytest.raises(ConnectionRefusedError):
            server.connect()
        client.close()


def test_term_lets_a_worker_finish(home: dict[str, str | None]) -> None:
    with Server("qmail-smtpd", env=home) as server:
        client = server.connect()
        assert client.recv(99).startswith(b"220")
        server.process.terminate()
        assert server.process.wait() == 0
        client.sendall(b"QUIT\r\n")
        assert rest(client).startswith(b"221")
        client.close()
        assert "bug" not in server.log()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGALRM, signal.SIGUSR1])
def test_other_signals_kill_it_as_any_program(number: int) -> None:
    with Server("true") as server:
        server.process.send_signal(number)
        assert server.process.wait() == -number


def test_it_goes_on_when_nobody_reads_its_log(home: dict[str, str | None]) -> None:
    reading, writing = os.pipe()

    def log_to_pipe() -> None:
        os.dup2(writing, 2)

    with Server("qmail-smtpd", env=home, preexec_fn=log_to_pipe) as server:
        os.close(writing)
        os.close(reading)
        for _ in range(3):
            assert dialogue(server) == REFUSED


def test_a_program_has_the_ordinary_way_of_dying_from_a_closed_pipe() -> None:
    with Server("sh", "-c", "grep ^SigIgn /proc/$$/status") as server:
        ignored = int(server.ask().split()[1], 16)
    assert ignored & ~(3 << 31) == 0  # but for the C library's own two signals, when its posix_spawn started us


def test_it_works_when_its_parent_ignored_the_death_of_children() -> None:
    def deaf() -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    with Server("sh", "-c", "exit 3", preexec_fn=deaf) as server:
        server.ask()
        assert f"tcpserver: end {server.pids()[0]} status 768\n" in server.logged(" end ")


def test_standard_descriptors_that_are_closed_do_no_harm() -> None:
    def close() -> None:
        os.close(0)

    with Server("sh", "-c", "cat", preexec_fn=close) as server:
        assert server.ask(say=b"hello") == b"hello"


def drop(options: tuple[str, ...], env: dict[str, str | None] | None = None) -> tuple[str, str, str]:
    """uid, gid and groups of a program run with *options*."""
    with Server("sh", "-c", "id -u; id -g; id -G", options=("-vRHl0", *options), env=env) as server:
        uid, gid, groups = server.ask().decode().splitlines()
        return uid, gid, groups


@pytest.mark.root
@pytest.mark.parametrize(
    ("options", "env", "expected"),
    [
        (("-u65534", "-g65533"), {}, ("65534", "65533", "65533")),
        (("-U",), {"UID": "65534", "GID": "65532"}, ("65534", "65532", "65532")),
        (("-U", "-u", "65531"), {"UID": "65534", "GID": "65532"}, ("65531", "65532", "65532")),
        (("-u", "65531", "-U"), {"UID": "65534", "GID": "65532"}, ("65534", "65532", "65532")),
        (("-g65533",), {}, ("0", "65533", "65533")),
    ],
)
def test_it_becomes_who_it_is_told_to_be(
    options: tuple[str, ...], env: dict[str, str | None], expected: tuple[str, str, str]
) -> None:
    assert drop(options, env) == expected


@pytest.mark.root
def test_a_user_may_be_named() -> None:
    nobody = pwd.getpwnam("nobody")
    assert drop(("-u", "nobody", "-g", "nogroup"))[:2] == (str(nobody.pw_uid), str(nobody.pw_gid))
    refused = run("tcpserver", "-u", "no-such-user", "0", "0", "true")
    assert refused == (111, b"", b"tcpserver: fatal: unknown account no-such-user\n")


@pytest.mark.root
def test_a_folder_that_the_user_may_not_enter_is_no_obstacle(tmp_path: Path, home: dict[str, str | None]) -> None:
    """svscan's service folders may be root's alone; workers cannot go back there, so each serves one connection."""
    shut = tmp_path / "shut"
    shut.mkdir(mode=0o700)
    for folder in tmp_path, *list(tmp_path.parents)[:-2]:
        if folder.owner() == "root" and folder != Path("/tmp"):
            folder.chmod(0o755)
    with Server("qmail-smtpd", options=("-vRHl0", "-u65534", "-g65534"), env=home, cwd=shut) as server:
        for _ in range(3):
            assert dialogue(server) == REFUSED
        assert server.logged(" end ", 3).count("status 0\n") == 3


def test_the_log_of_one_connection_is_in_order() -> None:
    with Server("true") as server:
        server.ask()
        lines = server.lines(6)
        pid = server.pids()[0]
    expected: list[str | Callable[[str], bool]] = [
        "tcpserver: status: 0/40",
        "tcpserver: status: 1/40",
        f"tcpserver: pid {pid} from 127.0.0.1",
        f"tcpserver: ok {pid} 0:127.0.0.1:{server.port} :127.0.0.1::",
        f"tcpserver: end {pid} status 0",
        "tcpserver: status: 0/40",
    ]
    assert [line.startswith(str(start)) for line, start in zip(lines, expected, strict=True)] == [True] * 6
