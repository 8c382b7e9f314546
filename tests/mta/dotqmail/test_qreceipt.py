from __future__ import annotations

import pytest
from injecting import Home

FIELD = b"Notice-Requested-Upon-Delivery-To: "


def answered(home: Home, message: bytes) -> bool:
    """Whether a notice is sent for *message*."""
    assert home.command("qreceipt", "bill@heaven.af.mil", text=message) == (0, b"", b"")
    return (home.folder / "message").exists()


@pytest.mark.parametrize(
    "value",
    [
        b"bill@heaven.af.mil\n",
        b"bill@heaven.af.mil",
        b'friends: sue, "bill" (him) @ heaven . af . mil;\n',
        b"Bill <@relay,@other:bill@heaven.af.mil>\n".replace(b"@relay,@other:", b""),
        b"sue@x.y\n" + FIELD + b"bill@heaven.af.mil\n",
        b"sue@x.y,\n\tbill@heaven.af.mil\n\n",
    ],
)
def test_who_asks_for_this_address_gets_a_notice(home: Home, value: bytes) -> None:
    assert answered(home, b"Message-ID: <1@x>\nMESSAGE-ID : <2@x>\n " + b"\nSubject: hi\n" + FIELD + value)
    assert home.envelope == [b"F", b"Tjoe@irs.gov"]
    header, _, text = home.message.partition(b"\n\n")
    assert b"To: <joe@irs.gov>" in header.split(b"\n")
    assert b"bill@heaven.af.mil" in text and text.endswith(b"\nYour MESSAGE-ID : <2@x>\n \n")


@pytest.mark.parametrize(
    "message",
    [
        b"",
        FIELD + b"Bill@heaven.af.mil\n",
        FIELD + b"bill\n",
        b"\n" + FIELD + b"bill@heaven.af.mil\n",
        b"no field\n" + FIELD + b"bill@heaven.af.mil\n",
    ],
)
def test_nobody_else_does(home: Home, message: bytes) -> None:
    assert not answered(home, message)


def test_a_header_larger_than_we_read_asks_for_nothing(home: Home) -> None:
    assert not answered(home, b"X-A: " + b"y" * (9 << 20) + b"\n" + FIELD + b"bill@heaven.af.mil\n\n")


@pytest.mark.parametrize("sender", ["", "#@[]"])
def test_a_bounce_is_not_answered(home: Home, sender: str) -> None:
    home.env["SENDER"] = sender
    assert not answered(home, FIELD + b"bill@heaven.af.mil\n\n")


def test_a_field_that_cannot_be_parsed_is_shown(home: Home) -> None:
    done = home.command("qreceipt", "bill@heaven.af.mil", text=FIELD + b"<bill@heaven.af.mil\n (")
    assert done == (100, b"", b"qreceipt: fatal: unable to parse this: " + FIELD + b"<bill@heaven.af.mil\n (\n")
