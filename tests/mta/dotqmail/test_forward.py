from __future__ import annotations

import pytest
from injecting import Home


def test_a_message_of_any_bytes_goes_to_each_address(home: Home) -> None:
    message = b"\0\xff\n" * 200_000 + b"no end"
    done = home.command("forward", "a", "", "b@c", text=message)
    assert done.code == 0 and done.err.startswith(b"forward: qp ")
    assert home.message == b"Delivered-To: bill@heaven.af.mil\n" + message
    assert home.envelope == [b"Fbill-owner@heaven.af.mil", b"Ta", b"T", b"Tb@c"]


def test_what_the_queue_says_for_itself_is_told(home: Home) -> None:
    queue = home.folder / "capture"
    for text, code in (("Dgo away", 100), ("Zcome back", 111)):
        queue.write_text(f"#!/bin/sh\nprintf '{text}' >&6\nexit 82\n")
        queue.chmod(0o755)
        assert home.command("forward", "a") == (code, b"", f"forward: fatal: {text[1:]}\n".encode())


def test_a_message_that_cannot_be_read_is_not_sent(home: Home) -> None:
    done = home.command("sh", "-c", "exec forward a 0>/dev/null")
    assert (done.code, done.err) == (111, b"forward: fatal: unable to read message: file descriptor not open\n")
    assert home.envelope == [b""]


@pytest.mark.parametrize("name", ["NEWSENDER", "DTLINE"])
def test_a_missing_variable_is_named(home: Home, name: str) -> None:
    home.env[name] = None
    assert home.command("forward", "a") == (100, b"", f"forward: fatal: {name} not set\n".encode())
