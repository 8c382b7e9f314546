"""Lists of addresses: names and addresses in any text, and the fields that they make."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.mess822.addresses import ADDRESS, NAME, Record, addresses, field, paired, spelled
from tools.mess822.rewriting import Rewriting

pieces = st.lists(st.sampled_from([*b'<>@.,:;()[]"\\ \tab', 0, 233]), max_size=14).map(bytes)


@pytest.mark.parametrize(
    ("text", "records"),
    [
        (b"", []),
        (b" joe", [(ADDRESS, b"joe@")]),
        (b" joe@here (Joe)", [(NAME, b"Joe"), (ADDRESS, b"joe@here")]),
        (b" Bill Q.  Smith <bill@irs.gov>", [(NAME, b"Bill Q. Smith"), (ADDRESS, b"bill@irs.gov")]),
        (b' "Joe, jr." <joe> sue', [(NAME, b"Joe, jr."), (ADDRESS, b"joe@"), (ADDRESS, b"sue@")]),
        (b" a b@c", [(ADDRESS, b"a@"), (ADDRESS, b"b@c")]),
        (b" a . b @ [1.2] ", [(ADDRESS, b"a.b@[1.2]")]),
        (b" <@one,@two:joe@h>", [(NAME, b"@one@two"), (ADDRESS, b"joe@h")]),
        (b" <>, <@>", [(ADDRESS, b"@"), (ADDRESS, b"@")]),
        (b" the gang: a@x, b@y;", [(NAME, b"the gang"), (ADDRESS, b"a@x"), (ADDRESS, b"b@y")]),
        (b" nobody: ;", [(NAME, b"nobody")]),
        (b" (a (b) c)", [(NAME, b"a (b) c")]),
        (b' "open', [(ADDRESS, b"open@")]),
        (b" joe@h\r", [(ADDRESS, b"joe@h")]),
    ],
)
def test_a_list_is_its_names_and_addresses(text: bytes, records: list[Record]) -> None:
    assert addresses(text) == records


@given(pieces)
def test_any_text_is_a_list_and_what_is_written_of_it_is_read_alike(text: bytes) -> None:
    records = Rewriting([b"=:h"]).records(addresses(text))
    again = addresses(field(b"To", records).partition(b":")[2].replace(b"\n", b""))
    assert [text for kind, text in Rewriting([b"=:h"]).records(again) if kind] == [t for kind, t in records if kind]


def test_a_name_belongs_to_the_next_address_and_to_nobody_else() -> None:
    records = [(NAME, b"x"), (NAME, b"y"), (ADDRESS, b"a@b"), (ADDRESS, b"c@d"), (NAME, b"z")]
    assert list(paired(records)) == [(b"x", None), (b"y", b"a@b"), (None, b"c@d"), (b"z", None)]


@pytest.mark.parametrize(
    ("name", "address", "text"),
    [
        (None, b"God@heaven.af.mil", b"God@heaven.af.mil"),
        (b"The Boss", b"God@heaven.af.mil", b'"The Boss" <God@heaven.af.mil>'),
        (None, b"God@.heaven..af.mil", b'God@".heaven..af.mil"'),
        (b"Local", b"local@", b'"Local" <local>'),
        (None, b"", b"<>"),
        (b"Nobody", b"@", b'"Nobody" <>'),
        (None, b"#@[]", b"#@[]"),
        (None, b"[1.2]@h", b'"\\[1.2\\]"@h'),
        (None, b'root@[[][]:;"\\]', b'root@[\\[\\]\\[\\]:;\\"\\\\]'),
        (None, b"@heaven", b'""@heaven'),
        (None, b"@at@@h", b'"@at@"@h'),
        (b'a "b" \\', b"x@y", b'"a \\"b\\" \\\\" <x@y>'),
        (b"friends", None, b'"friends": ;'),
    ],
)
def test_what_needs_quotes_gets_them(name: bytes | None, address: bytes | None, text: bytes) -> None:
    assert spelled(name, address) == text


def test_lines_have_78_bytes_where_they_can() -> None:
    for sizes, widths in (((30, 37, 1), [78, 5]), ((30, 38, 1), [37, 47]), ((90, 1), [97, 5])):
        lines = field(b"Cc", [(ADDRESS, b"x@" + b"y" * size) for size in sizes]).split(b"\n")
        assert [len(line) for line in lines] == [*widths, 0]
        assert lines[1].startswith(b"  x")


@pytest.mark.parametrize(
    ("rules", "address", "rewritten"),
    [
        ([b"*.:"], b"joe@h.", b"joe@h"),
        ([b"*.:"], b"joe@h..", b"joe@h."),
        ([b"=:dh"], b"joe", b"joe@dh"),
        ([b"=LOCAL:My.Dom"], b"joe@local", b"joe@My.Dom"),
        ([b"=local:x"], b"joe@a.local", b"joe@a.local"),
        ([b"*.b:.berkeley.edu"], b"joe@vangogh.cs.b", b"joe@vangogh.cs.berkeley.edu"),
        ([b"?:.cs.b"], b"joe@h", b"joe@h.cs.b"),
        ([b"?:.cs.b"], b"joe@h.x", b"joe@h.x"),
        ([b"?:.cs.b"], b"joe@[1]", b"joe@[1]"),
        ([b"-.local:cs.edu"], b"a@b@me.local", b"a@b@cs.edu"),
        ([b"+:x", b"?", b"=joe", b"#"], b"joe@joe", b"joe@joe"),
        ([b"=a:b", b"=b:c", b"=a:d"], b"joe@a", b"joe@c"),
        ([b"=:dh"], b"", b""),
        ([b"=:dh"], b"@", b""),
        ([b"=:dh"], b"@h", b"@h"),
    ],
)
def test_hosts_are_rewritten_by_each_instruction_in_its_turn(
    rules: list[bytes], address: bytes, rewritten: bytes
) -> None:
    assert Rewriting(rules).address(address) == rewritten
