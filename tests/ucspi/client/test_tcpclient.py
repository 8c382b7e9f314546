"""tcpclient as a process, with real servers, a real name server and addresses that do not answer."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from commands import Result, run, start
from nameserver import RECORDS, free_port, serving
from peer import CLOSE, RESET, STALL, Peer, Until
from processes import descendants, talks_to
from until import until

QUIET = "-RHl0"
MORE_RECORDS = """\
three.example.          A       127.0.77.1
three.example.          A       127.0.77.2
three.example.          A       127.0.77.3
families.example.       A       127.0.77.1
families.example.       AAAA    ::1
"""


@pytest.fixture(scope="module")
def names() -> Iterator[dict[str, str | None]]:
    """The environment in which hosts with several addresses are found."""
    with serving(RECORDS + MORE_RECORDS) as address:
        yield {"DNSCACHEIP": address, "LOCALDOMAIN": ""}


def full(stack: ExitStack, host: str, port: int = 0) -> tuple[socket.socket, list[socket.socket]]:
    """A listener on a port of *host* that answers nobody, and those that wait there and take all the room."""
    listener = stack.enter_context(socket.socket())
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(0)
    waiting = [stack.enter_context(socket.socket()) for _ in range(3)]
    for client in waiting:
        client.setblocking(False)
        client.connect_ex(listener.getsockname())
    return listener, waiting


@contextmanager
def deaf(host: str, port: int = 0) -> Iterator[int]:
    """A port of *host* at which nothing answers."""
    with ExitStack() as stack:
        yield int(full(stack, host, port)[0].getsockname()[1])


def variables(done: Result) -> dict[str, str]:
    """What `env`, run by tcpclient, shows of the connection."""
    assert done.code == 0, done
    pairs = (line.partition("=") for line in done.out.decode().splitlines())
    return {name: value for name, _, value in pairs if name == "PROTO" or name.startswith("TCP")}


# -- what the program gets ---------------------------------------------------------------


def test_the_program_talks_with_the_server_over_6_and_7_and_its_exit_code_is_ours() -> None:
    with Peer([b"220 hi\n", Until(b"\n"), b"bye\n"]) as peer:
        script = "read a <&6; echo $a; echo QUIT >&7; read b <&6; echo $b; exit 5"
        assert run("tcpclient", QUIET, "127.0.0.1", str(peer.port), "sh", "-c", script) == (5, b"220 hi\nbye\n", b"")
    assert peer.heard == [b"QUIT\n"]


def test_the_program_has_our_process_our_0_1_and_2_and_no_other_descriptor() -> None:
    script = "echo $$; cat; ls -m /proc/$$/fd; grep -E '^Sig(Blk|Ign)' /proc/self/status; echo 2 >&2"
    with Peer([b""]) as peer:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with start("tcpclient", QUIET, "127.0.0.1", str(peer.port), "sh", "-c", script, **pipes) as process:
            out, err = process.communicate(b"input\n")
    pid, given, descriptors, *signals = out.decode().splitlines()
    assert (int(pid), given, descriptors, err) == (process.pid, "input", "0, 1, 2, 6, 7", b"2\n")
    assert all(line.endswith("\t0000000000000000") for line in signals)


def test_6_and_7_are_replaced_when_they_are_open_and_0_1_and_2_may_be_closed() -> None:
    with Peer([b"a\n"], [b"b\n", CLOSE]) as peer:
        words = f"tcpclient {QUIET} 127.0.0.1 {peer.port} cat"
        assert run("sh", "-c", f"exec 6</dev/null 7>/dev/null; {words} <&6").out == b""
        assert (
            run("sh", "-c", f"(tcpclient {QUIET} 127.0.0.1 {peer.port} sh -c 'cat <&6 >&9') 9>&1 <&- >&- 2>&-").out
            == b"b\n"
        )


@pytest.mark.parametrize("number", range(3, 10))
def test_the_connection_moves_wherever_it_is_opened(number: int) -> None:
    """What is open below decides that."""
    opened = "".join(f" {fd}</dev/null" for fd in range(3, number))
    with Peer([b"a\n", CLOSE]) as peer:
        words = f"tcpclient {QUIET} 127.0.0.1 {peer.port} sh -c 'cat <&6; ls -m /proc/$$/fd'"
        out = run("sh", "-c", f"exec{opened}; exec {words}").out
    assert out.startswith(b"a\n0, 1, 2, ")
    assert {fd.strip() for fd in out.split(b"\n", 1)[1].split(b",")} >= {b"6", b"7"}


def test_no_descriptor_beyond_those_is_needed() -> None:
    with Peer([b""], [b""]) as peer:
        words = f"tcpclient {QUIET} 127.0.0.1 {peer.port} sh -c 'echo hi'"
        assert run("sh", "-c", f"ulimit -n 8; exec {words}") == (0, b"hi\n", b"")
        why = b"tcpclient: fatal: unable to set up descriptors 6 and 7: process cannot open more files\n"
        assert run("sh", "-c", f"ulimit -n 7; exec {words}") == (111, b"", why)


def test_the_program_is_told_of_the_connection_and_inherits_nothing_wrong(names: dict[str, str | None]) -> None:
    wrong = {"TCPREMOTEINFO": "old", "TCPREMOTEHOST": "old", "TCPLOCALHOST": "old", "TCPREMOTEIP": "old"}
    with Peer([b""]) as peer:
        local = free_port()
        words = (QUIET, "-i", "127.0.0.2", "-p", str(local), "127.0.0.1", str(peer.port), "env")
        assert variables(run("tcpclient", *words, env=names | wrong)) == {
            "PROTO": "TCP",
            "TCPLOCALHOST": "0",
            "TCPLOCALIP": "127.0.0.2",
            "TCPLOCALPORT": str(local),
            "TCPREMOTEIP": "127.0.0.1",
            "TCPREMOTEPORT": str(peer.port),
        }


def test_names_of_both_ends_are_looked_up_unless_that_is_not_wanted(names: dict[str, str | None]) -> None:
    with Peer([b""], [b""], [b""], host="127.0.0.2") as peer:
        words = ("-i", "127.0.0.1", "127.0.0.2", str(peer.port), "env")
        found = [variables(run("tcpclient", *options, *words, env=names)) for options in (["-R"], ["-RH"], ["-RHh"])]
    assert [each.get("TCPREMOTEHOST") for each in found] == ["shouting.example", None, "shouting.example"]
    assert [each.get("TCPLOCALHOST") for each in found] == ["here.example"] * 3


@pytest.mark.long
def test_a_name_server_that_does_not_answer_leaves_names_out(silent_name_server: str) -> None:
    with Peer([b""]) as peer:
        words = ("tcpclient", "-RH", "127.0.0.1", str(peer.port), "env")
        assert "TCPLOCALHOST" not in variables(run(*words, env={"DNSCACHEIP": silent_name_server}, timeout=60))


@pytest.mark.root
def test_the_server_is_asked_who_it_is_unless_that_is_not_wanted() -> None:
    with Peer([b""], [b""], host="127.0.77.13") as peer:
        answer = b"0, 0 : USERID : UNIX : joe\r\n"
        with Peer([Until(b"\r\n"), answer], host="127.0.77.13", port=113) as ident:
            words = ("-Hl0", "-p", str(free_port()), "127.0.77.13", str(peer.port), "env")
            found = variables(run("tcpclient", *words))
            assert "TCPREMOTEINFO" not in variables(run("tcpclient", "-RHl0", "127.0.77.13", str(peer.port), "env"))
        assert found["TCPREMOTEINFO"] == "joe"
        assert ident.heard == [b"%s , %s\r\n" % (found["TCPREMOTEPORT"].encode(), found["TCPLOCALPORT"].encode())]


@pytest.mark.root
def test_who_does_not_say_who_it_is_in_time_is_not_waited_for() -> None:
    with Peer([b""], host="127.0.77.13") as peer, Peer([STALL], host="127.0.77.13", port=113):
        words = ("-Hl0", "-t1", "127.0.77.13", str(peer.port), "env")
        assert "TCPREMOTEINFO" not in variables(run("tcpclient", *words, timeout=20))


def test_an_ipv6_connection_is_one(names: dict[str, str | None]) -> None:
    with Peer([b""], host="::1") as peer:
        found = variables(run("tcpclient", "-R", "::1", str(peer.port), "env", env=names))
    assert (found["PROTO"], found["TCPREMOTEIP"], found["TCPLOCALIP"]) == ("TCP6", "::1", "::1")
    assert found["TCPREMOTEHOST"] == "here.example"


def test_an_ipv4_connection_can_look_like_an_ipv6_one() -> None:
    with Peer([b""]) as peer:
        done = run("tcpclient", "-v6", QUIET, "127.0.0.1", str(peer.port), "env")
    found = variables(done)
    assert (found["PROTO"], found["TCPREMOTEIP"]) == ("TCP6", "::ffff:127.0.0.1")
    assert done.err == b"tcpclient: connected to ::ffff:127.0.0.1 port %d\n" % peer.port


@pytest.mark.parametrize(("option", "value"), [("-d", 0), ("-D", 1), ("-dD", 1), ("-Dd", 0)])
def test_small_packets_are_delayed_unless_that_is_not_wanted(option: str, value: int) -> None:
    script = "import socket; print(socket.socket(fileno=7).getsockopt(6, 1))"
    with Peer([b""]) as peer:
        assert (
            run("tcpclient", option, QUIET, "127.0.0.1", str(peer.port), "python3", "-c", script).out == b"%d\n" % value
        )


@pytest.mark.parametrize("patience", [[], ["-T", "1+1"]])
def test_time_limits_of_connecting_are_none_of_the_connection(patience: list[str]) -> None:
    script = "import socket; s = socket.socket(fileno=7); print(*(s.getsockopt(1, o, 16) for o in (20, 21)))"
    with Peer([b""]) as peer:
        done = run("tcpclient", *patience, QUIET, "127.0.0.1", str(peer.port), "python3", "-c", script)
    assert done.out.decode() == f"{bytes(16)!r} {bytes(16)!r}\n"


def test_a_server_that_leaves_meanwhile_does_not_hurt_us() -> None:
    with Peer([Until(b"\n"), RESET]) as peer:
        script = "echo go >&7; cat <&6; exit 3"
        assert run("tcpclient", QUIET, "127.0.0.1", str(peer.port), "sh", "-c", script).code == 3


def test_the_server_sees_the_end_when_the_program_is_killed() -> None:
    with Peer([b"x"]) as peer:
        process = start("tcpclient", QUIET, "127.0.0.1", str(peer.port), "sleep", "1000")
        with process:
            until(lambda: peer.heard, what="it is connected")
            until(lambda: b"sleep" in open(f"/proc/{process.pid}/cmdline", "rb").read(), what="sleep runs")
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == -signal.SIGTERM
        peer.thread.join(20)
        assert not peer.thread.is_alive()


# -- which address -----------------------------------------------------------------------


def test_addresses_are_tried_in_turn(names: dict[str, str | None]) -> None:
    with Peer([b""], host="127.0.77.3") as peer:
        done = run("tcpclient", "-v", QUIET, "three.example", str(peer.port), "true", env=names)
    refused = [f"tcpclient: unable to connect to 127.0.77.{n} port {peer.port}: connection refused" for n in (1, 2)]
    assert done.err.decode().splitlines() == [*refused, f"tcpclient: connected to 127.0.77.3 port {peer.port}"]
    assert done.code == 0


def test_both_families_are_tried_unless_only_ipv4_is_wanted(names: dict[str, str | None]) -> None:
    with Peer([b""], host="::1") as peer:
        words = ("families.example", str(peer.port), "env")
        refused = f"tcpclient: unable to connect to 127.0.77.1 port {peer.port}: connection refused\n"
        assert run("tcpclient", "-4", QUIET, *words, env=names) == (111, b"", refused.encode())
        done = run("tcpclient", QUIET, *words, env=names)
        assert (variables(done)["TCPREMOTEIP"], done.err.decode()) == ("::1", refused)


def test_this_machine_is_meant_by_0(names: dict[str, str | None]) -> None:
    with Peer([b""], host="::1") as peer, Peer([b""], [b""]) as peer4:
        assert variables(run("tcpclient", QUIET, "0", str(peer4.port), "env"))["TCPREMOTEIP"] == "127.0.0.1"
        assert variables(run("tcpclient", QUIET, "", str(peer4.port), "env"))["TCPREMOTEIP"] == "127.0.0.1"
        assert variables(run("tcpclient", QUIET, "0", str(peer.port), "env"))["TCPREMOTEIP"] == "::1"


def test_a_slow_address_does_not_keep_us_from_a_quick_one(names: dict[str, str | None]) -> None:
    """The first round has a second for each; nothing is said about who is only slow while there is another."""
    with deaf("127.0.77.1") as port, deaf("127.0.77.2", port), Peer([b""], host="127.0.77.3", port=port):
        done = run("tcpclient", QUIET, "-T", "1+600", "three.example", str(port), "env", env=names)
        assert (variables(done)["TCPREMOTEIP"], done.err) == ("127.0.77.3", b"")


def test_slow_addresses_have_a_second_chance_and_those_that_refused_have_none(names: dict[str, str | None]) -> None:
    with deaf("127.0.77.1") as port, deaf("127.0.77.2", port):
        done = run("tcpclient", QUIET, "-T", "1+1", "three.example", str(port), "true", env=names)
    why = {1: "timed out", 2: "timed out", 3: "connection refused"}
    lines = done.err.decode().splitlines()
    assert done.code == 111
    assert lines[0].endswith("127.0.77.3 port %d: connection refused" % port)
    assert sorted(lines) == [f"tcpclient: unable to connect to 127.0.77.{n} port {port}: {why[n]}" for n in (1, 2, 3)]


def test_a_server_that_has_room_again_is_reached_in_the_second_round(names: dict[str, str | None]) -> None:
    with ExitStack() as stack:
        listener, waiting = full(stack, "127.0.77.1")
        port = listener.getsockname()[1]
        full(stack, "127.0.77.2", port)
        words = (QUIET, "-T", "1+100", "three.example", str(port), "sh", "-c", "echo $TCPREMOTEIP")
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = stack.enter_context(start("tcpclient", *words, env=names, **pipes))
        assert process.stderr and process.stdout
        assert b"127.0.77.3" in process.stderr.readline()  # the last address, of the first round
        for client in waiting:
            client.close()
        listener.settimeout(0.1)
        until(lambda: accepted(listener) and process.poll() == 0, what="it has connected")
        assert process.stdout.read() == b"127.0.77.1\n"


def accepted(listener: socket.socket) -> bool:
    """Take a connection, if there is one; always true."""
    try:
        listener.accept()[0].close()
    except TimeoutError:
        pass
    return True


@pytest.mark.parametrize("patience", ["1", "0+1", "1+0", "1+"])
def test_there_is_no_second_round_when_one_of_them_has_no_time(patience: str, names: dict[str, str | None]) -> None:
    with deaf("127.0.77.1") as port:
        words = (QUIET, "-T", patience, "three.example", str(port), "true")
        done = run("tcpclient", *words, env=names)
    assert (done.code, done.err.count(b"timed out"), done.err.count(b"refused")) == (111, 1, 2)


def test_a_single_address_has_the_time_of_both_rounds_at_once() -> None:
    with deaf("127.0.77.1") as port:
        process = start("tcpclient", QUIET, "-T", "1+600", "127.0.77.1", str(port), "true", stderr=subprocess.PIPE)
        with process:
            until(lambda: talks_to(process.pid, port), what="it has begun")
            assert not descendants(process.pid)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(3)
            process.kill()


# -- what is said ------------------------------------------------------------------------


@pytest.mark.parametrize(("options", "said"), [([], True), (["-q"], False), (["-qQ"], True), (["-vq"], False)])
def test_troubles_are_told_unless_that_is_not_wanted(options: list[str], said: bool) -> None:
    port = str(free_port())
    refused = f"tcpclient: unable to connect to 127.0.0.1 port {port}: connection refused\n" if said else ""
    assert run("tcpclient", *options, QUIET, "127.0.0.1", port, "true") == (111, b"", refused.encode())
    unknown = "tcpclient: fatal: unable to figure out port number for no-such-port\n" if said else ""
    assert run("tcpclient", *options, QUIET, "127.0.0.1", "no-such-port", "true") == (111, b"", unknown.encode())


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("nothing.example", "no IP address for nothing.example"),
        ("text.example", "no IP address for text.example"),
        ("host.broken.example", "temporarily unable to figure out IP address for host.broken.example"),
        ("127.0.0.1.", "no IP address for 127.0.0.1."),
        ("a" * 64 + ".example", "no IP address for " + "a" * 64 + ".example"),
    ],
)
def test_a_host_without_address_is_a_temporary_trouble(host: str, why: str, names: dict[str, str | None]) -> None:
    assert run("tcpclient", QUIET, host, "1", "true", env=names) == (111, b"", f"tcpclient: fatal: {why}\n".encode())


def test_a_service_has_a_name() -> None:
    done = run("tcpclient", QUIET, "127.0.77.99", "smtp", "true")
    assert done == (111, b"", b"tcpclient: unable to connect to 127.0.77.99 port 25: connection refused\n")


@pytest.mark.parametrize(
    ("program", "why"), [("no-such-program", "file does not exist"), ("/etc/passwd", "access denied")]
)
def test_a_program_that_cannot_be_run_is_a_temporary_trouble(program: str, why: str) -> None:
    with Peer([b""], [b""]) as peer:
        line = f"tcpclient: fatal: unable to run {program}: {why}\n"
        assert run("tcpclient", QUIET, "127.0.0.1", str(peer.port), program) == (111, b"", line.encode())
        assert run("tcpclient", "-q", QUIET, "127.0.0.1", str(peer.port), program) == (111, b"", b"")


def test_a_local_address_that_we_cannot_have_is_a_temporary_trouble() -> None:
    done = run("tcpclient", QUIET, "-i", "192.0.2.7", "127.0.0.1", "1", "true")
    assert done == (111, b"", b"tcpclient: fatal: unable to bind socket: address not available\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("tcpclient", QUIET, "-i", "127.0.0.1", "-p", port, "127.0.0.1", "1", "true")
    assert done == (111, b"", b"tcpclient: fatal: unable to bind socket: address already used\n")


@pytest.mark.parametrize(
    "words", [[], ["0"], ["0", "1"], ["-i", "nonsense", "0", "1", "true"], ["-Z", "0", "1", "true"], ["-T"]]
)
def test_wrong_usage_is_explained(words: list[str]) -> None:
    done = run("tcpclient", *words)
    assert (done.code, done.out) == (100, b"")
    assert done.err.splitlines()[-1].startswith(b"tcpclient: usage: tcpclient [ -46hHrRdDqQv ] ")


def test_an_interface_may_be_named_for_an_address_that_is_valid_there_only() -> None:
    """fe80::... of this machine, if it has one; else the kernel's complaint shows that the interface was understood."""
    done = run("tcpclient", QUIET, "-T1", "fe80::1%lo", "1", "true")
    without = run("tcpclient", QUIET, "-T1", "fe80::1", "1", "true")
    assert (done.code, without.code) == (111, 111)
    assert without.err == b"tcpclient: unable to connect to fe80::1 port 1: invalid argument\n"
    assert b"invalid argument" not in done.err
    assert run("tcpclient", QUIET, "-T1", "-I", "lo", "fe80::1", "1", "true").err.endswith(
        done.err.rpartition(b": ")[2]
    )
