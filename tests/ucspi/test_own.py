from __future__ import annotations

import socket

from ucspi.own import addresses


def test_the_addresses_that_we_use_are_ours() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert server.getsockname()[0] in addresses()


def test_nowhere_in_particular_is_here() -> None:
    assert {"0.0.0.0", "::"} <= addresses()


def test_others_are_not_ours_and_interfaces_are_not_named() -> None:
    assert "192.0.2.99" not in addresses()
    assert not [address for address in addresses() if "%" in address]
