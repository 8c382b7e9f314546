from __future__ import annotations

import pytest

from mta.received import Connection, received

FULL = {
    b"TCPREMOTEIP": b"192.0.2.7",
    b"TCPREMOTEHOST": b"client.example",
    b"TCPLOCALHOST": b"mx",
    b"TCPLOCALIP": b"127.0.0.1",
}


@pytest.mark.parametrize(
    ("change", "helo", "line"),
    [
        ({}, None, b"from client.example (192.0.2.7)\n  by mx"),
        ({}, b"friend", b"from client.example (HELO friend) (192.0.2.7)\n  by mx"),
        ({}, b"", b"from client.example (HELO ) (192.0.2.7)\n  by mx"),
        ({b"TCPREMOTEINFO": b"joe"}, None, b"from client.example (joe@192.0.2.7)\n  by mx"),
        ({b"TCPREMOTEINFO": b""}, None, b"from client.example (@192.0.2.7)\n  by mx"),
        ({b"TCPREMOTEIP": b"2001:db8::1"}, None, b"from client.example (2001:db8::1)\n  by mx"),
        ({b"TCPREMOTEHOST": None, b"TCPREMOTEIP": None}, None, b"from unknown (unknown)\n  by mx"),
        ({b"TCPLOCALHOST": None}, None, b"from client.example (192.0.2.7)\n  by 127.0.0.1"),
        ({b"TCPLOCALHOST": None, b"TCPLOCALIP": None}, None, b"from client.example (192.0.2.7)\n  by unknown"),
    ],
)
def test_the_received_line_says_who_is_connected(
    change: dict[bytes, bytes | None], helo: bytes | None, line: bytes
) -> None:
    environment = {name: value for name, value in {**FULL, **change}.items() if value is not None}
    whole = received(Connection(environment), b"SMTP", 0.0, helo)
    assert whole == b"Received: " + line + b" with SMTP; 1 Jan 1970 00:00:00 -0000\n"


def test_bytes_that_could_upset_a_reader_are_question_marks() -> None:
    environment = dict.fromkeys((*FULL, b"TCPREMOTEINFO"), b"a b(c)\n\xff\x00_")
    whole = received(Connection(environment), b"SMTP", 0.0, b'a.b@c%d+e/f=g:h-i[j]<k>"l"')
    shown = b"a?b?c?????"
    assert whole == (
        b"Received: from %s (HELO a.b@c%%d+e/f=g:h-i[j]?k??l?) (%s@%s)\n  by %s with SMTP; 1 Jan 1970 00:00:00 -0000\n"
        % (shown, shown, shown, shown)
    )
