"""Limits for one address and for its network, at once and in a minute, as rules set them."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import run
from tcp import Server, rest

from ucspi.tcp import crowd
from ucspi.tcp.crowd import Crowd, Recent, network, reached


def rules(folder: Path, text: str) -> list[str]:
    """Options for a server that follows the rules in *text*."""
    made = run("tcprules", folder / "rules.cdb", folder / "rules.tmp", input=text.encode())
    assert made.code == 0, made.err
    return ["-vRHl0", "-x", str(folder / "rules.cdb")]


def test_a_rule_limits_the_connections_of_one_address(tmp_path: Path) -> None:
    options = rules(tmp_path, '127.0.0.1:allow,MAXCONNIP="1",DIEMSG="421 too many"\n:allow\n')
    with Server("cat", options=options) as server, server.connect() as first:
        server.logged("tcpserver: ok ")
        assert server.ask() == b"421 too many\r\n"
        log = server.logged("tcpserver: warning: dropping connection, limit of 1 for 127.0.0.1 reached, MAXCONNIP\n")
        assert log.count("tcpserver: deny ") == 1
        with server.connect(source="127.0.0.2") as second, server.connect(source="127.0.0.2") as third:
            for client in (second, third):
                client.sendall(b"hello\n")
                assert client.recv(100) == b"hello\n"
        first.close()
        server.logged("tcpserver: status: 0/40", 2)
        assert server.ask(say=b"again\n") == b"again\n"


def test_a_rule_limits_the_connections_of_one_network(tmp_path: Path) -> None:
    server = Server("cat", options=rules(tmp_path, ':allow,MAXCONNC="2"\n'))
    with server, server.connect(source="127.0.0.2"), server.connect(source="127.0.0.3"):
        server.logged("tcpserver: ok ", 2)
        assert server.ask(source="127.0.0.4") == b""
        server.logged("dropping connection, limit of 2 for 127.0.0.4 reached, MAXCONNC\n")
        assert server.ask(source="127.0.1.4", say=b"hello\n") == b"hello\n"


def test_a_rule_limits_new_connections_in_a_minute(tmp_path: Path) -> None:
    with Server("cat", options=rules(tmp_path, ':allow,MAXRATEIP="3"\n')) as server:
        assert [server.ask(say=b"hello\n") for _ in range(4)] == [b"hello\n"] * 3 + [b""]
        server.logged("dropping connection, limit of 3 for 127.0.0.1 reached, MAXRATEIP\n")
        assert server.ask(source="127.0.0.2", say=b"hello\n") == b"hello\n"


def test_the_environment_limits_all_whom_no_rule_does(tmp_path: Path) -> None:
    options = rules(tmp_path, '127.0.0.2:allow,MAXCONNIP="0"\n:allow\n')
    with Server("cat", options=options, env={"MAXCONNIP": "1"}) as server, server.connect():
        server.logged("tcpserver: ok ")
        assert server.ask() == b""
        with server.connect(source="127.0.0.2"):
            assert server.ask(source="127.0.0.2", say=b"hello\n") == b"hello\n"


def test_the_environment_limits_without_rules() -> None:
    with Server("cat", env={"MAXCONNIP": "1"}) as server, server.connect():
        server.logged("tcpserver: ok ")
        with server.connect() as client:
            assert rest(client) == b""


@pytest.mark.parametrize(
    ("address", "around"),
    [
        ("192.0.2.7", "192.0.2.0/24"),
        ("::ffff:192.0.2.7", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::1", "::/64"),
    ],
)
def test_the_network_around_an_address(address: str, around: str) -> None:
    assert network(address) == around


def test_counts_go_up_and_down_and_leave_nothing() -> None:
    counts = Crowd()
    assert counts.enter("192.0.2.7")[:2] == (1, 1)
    assert counts.enter("192.0.2.8")[:2] == (1, 2)
    assert counts.enter("192.0.2.7")[:2] == (2, 3)
    for address in ("192.0.2.7", "192.0.2.7", "192.0.2.8"):
        counts.leave(address)
    assert counts.there == {}


def test_what_is_a_minute_old_counts_less_and_less(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(crowd.time, "monotonic", lambda: now)
    recent = Recent()
    assert [recent.add("a") for _ in range(10)] == list(range(1, 11))
    now += 75
    assert recent.add("a") == 1 + 7
    now += 30
    assert recent.add("a") == 2 + 2
    now += 200
    assert recent.add("a") == 1
    assert recent.before == {}


@pytest.mark.parametrize("value", [b"", b"0", b"none"])
def test_no_number_is_no_limit(value: bytes) -> None:
    assert reached((9, 9, 9, 9), [(b"MAXCONNIP", value)]) is None
    assert reached((9, 9, 9, 9), [(b"MAXCONNIP", value), (b"MAXRATEC", b"8")]) == (b"MAXRATEC", 8)
