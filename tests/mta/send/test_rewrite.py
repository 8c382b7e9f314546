from __future__ import annotations

import pytest
from sending import Home

from mta.send.controls import Controls
from mta.send.rewrite import LOCAL, REMOTE, bounces_to, rewrite, sender_for, without_prepend

VIRTUAL = """\
virt.example:joe
u@full.example:bob
.sub.example:sub
no.sub.example:
not an entry
Colon.example:x:y"""


@pytest.fixture
def controls(queue: Home) -> Controls:
    queue.control("percenthack", "hack.example\nExample.org")
    queue.control("virtualdomains", VIRTUAL)
    return Controls()


@pytest.mark.parametrize(
    ("recipient", "where", "address"),
    [
        (b"joe@EXAMPLE.org", LOCAL, b"joe@EXAMPLE.org"),
        (b"joe@far.example", REMOTE, b"joe@far.example"),
        (b"bare", REMOTE, b"bare@mail.example.org"),
        (b"", REMOTE, b"@mail.example.org"),
        (b"@", REMOTE, b"@"),
        (b"u%v@hack.example", REMOTE, b"u@v"),
        (b"u%v%w@hack.example", REMOTE, b"u%v@w"),
        (b"u%Hack.example%hack.example@hack.example", REMOTE, b"u@Hack.example"),
        (b"u%v%hack.example@hack.example", REMOTE, b"u@v"),
        (b"u%@hack.example", REMOTE, b"u@"),
        (b"u%v@other.example", REMOTE, b"u%v@other.example"),
        (b"x%y@z@example.org", REMOTE, b"x@y@z"),
        (b"a@Virt.example", LOCAL, b"joe-a@Virt.example"),
        (b"U@full.example", LOCAL, b"bob-U@full.example"),
        (b"v@full.example", REMOTE, b"v@full.example"),
        (b"q@a.b.sub.example", LOCAL, b"sub-q@a.b.sub.example"),
        (b"q@no.sub.example", REMOTE, b"q@no.sub.example"),
        (b"q@sub.example", REMOTE, b"q@sub.example"),
        (b"q@not an entry", REMOTE, b"q@not an entry"),
        (b"z@colon.example", LOCAL, b"x:y-z@colon.example"),
    ],
)
def test_a_recipient_is_rewritten(controls: Controls, recipient: bytes, where: int, address: bytes) -> None:
    assert rewrite(recipient, controls) == (where, address)


def test_the_empty_entry_takes_all_other_hosts(controls: Controls) -> None:
    controls.virtualdomains[b""] = b"alias-catchall"
    assert rewrite(b"a@b.c", controls) == (LOCAL, b"alias-catchall-a@b.c")
    assert rewrite(b"a@", controls) == (LOCAL, b"alias-catchall-a@")
    assert rewrite(b"a@no.sub.example", controls) == (REMOTE, b"a@no.sub.example")


def test_the_sender_does_not_see_what_a_virtual_domain_put_in_front() -> None:
    virtual = {b"virt.example": b"joe", b".sub.example": b"sub", b"no.sub.example": b"", b"": b"all"}
    assert without_prepend(b"joe-a@virt.example", virtual) == b"a@virt.example"
    assert without_prepend(b"joe-a@VIRT.example", virtual) == b"a@VIRT.example"
    assert without_prepend(b"joey-a@virt.example", virtual) == b"joey-a@virt.example"
    assert without_prepend(b"sub-a@x.sub.example", virtual) == b"a@x.sub.example"
    assert without_prepend(b"all-a@no.sub.example", virtual) == b"all-a@no.sub.example"
    assert without_prepend(b"all-a@else.example", virtual) == b"a@else.example"
    assert without_prepend(b"all-a", virtual) == b"all-a"


def test_a_list_gets_a_sender_for_each_recipient() -> None:
    assert sender_for(b"owner-@lists.example-@[]", b"joe@far.example") == b"owner-joe=far.example@lists.example"
    assert sender_for(b"owner-@lists.example-@[]", b"joe") == b"owner-@lists.example-@[]"
    assert sender_for(b"owner-@lists.example", b"joe@far.example") == b"owner-@lists.example"
    assert sender_for(b"-@[]", b"joe@far.example") == b"-@[]"
    assert sender_for(b"#@[]", b"joe@far.example") == b"#@[]"
    assert bounces_to(b"owner-@lists.example-@[]") == b"owner-@lists.example"
    assert bounces_to(b"#@[]") == b"#@[]"
