"""Tokens of structured fields, and the addresses among them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.header import fold
from mta.tokens import ATOM, BLANK, COMMENT, LITERAL, QUOTED, SPECIALS, Token, Unparsable, lex, parts, plain, unlex

ANY = st.binary(max_size=12)
SOME = st.text(alphabet='ab. ,@<>:;"[]()\\\t\r\n\x00é+', max_size=40).map(lambda text: text.encode("latin-1"))
ATOM_LETTERS = st.sampled_from([bytes([byte]) for byte in b"abcXYZ0189!#$%&'*+-/=?^_`{|}~"])
TOKENS = st.lists(
    st.one_of(
        st.sampled_from(sorted(SPECIALS.values())),
        st.tuples(st.just(ATOM), st.lists(ATOM_LETTERS, min_size=1, max_size=30).map(b"".join)),
        st.tuples(st.sampled_from([QUOTED, LITERAL, COMMENT]), ANY),
    ),
    max_size=30,
)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        (b"", []),
        (b" \t\r\n", []),
        (b"joe@irs.gov", [(ATOM, b"joe"), (b"@", b""), (ATOM, b"irs"), (b".", b""), (ATOM, b"gov")]),
        (b'"a \\"b" [1.2] (c\\)d)', [(QUOTED, b'a "b'), (LITERAL, b"1.2"), (COMMENT, b"c)d")]),
        (b"(a (b (c)) d)", [(COMMENT, b"a b c d")]),
        (b"a\\ b", [(ATOM, b"a b")]),
        (b"a\\@b", [(ATOM, b"a@b")]),
        (b"bill)", [(QUOTED, b"bill)")]),
        (b"j\xc3\xbcrgen", [(QUOTED, b"j\xc3\xbcrgen")]),
        (b"=?utf-8?q?J=C3=BC?=", [(ATOM, b"=?utf-8?q?J=C3=BC?=")]),
        (b"a(b)c", [(ATOM, b"a"), (COMMENT, b"b"), (ATOM, b"c")]),
    ],
)
def test_a_text_is_its_tokens(text: bytes, tokens: list[Token]) -> None:
    assert lex(text) == tokens


@pytest.mark.parametrize("text", [b"joe\\", b"joe\\\n", b"joe\\\r\n", b"joe\\\n \\\n"])
def test_a_backslash_at_the_end_of_a_line_quotes_nothing(text: bytes) -> None:
    assert lex(text) == [(ATOM, b"joe")]


@pytest.mark.parametrize("text", [b'"a', b'"a\\"', b"(a", b"(a (b)", b"[1", b")", b"a ]", b'"\\', b"(\\"])
def test_what_has_no_end_or_no_beginning_cannot_be_parsed(text: bytes) -> None:
    with pytest.raises(Unparsable) as error:
        lex(text)
    assert error.value.text == text


@given(TOKENS)
def test_tokens_come_back_from_their_text(tokens: list[Token]) -> None:
    assert lex(b"".join(unlex(tokens))) == tokens


@given(TOKENS, st.integers(min_value=0, max_value=100))
def test_folding_never_changes_tokens(tokens: list[Token], width: int) -> None:
    assert lex(fold(unlex(tokens), width)) == tokens


@given(SOME.filter(lambda text: b"\\" not in text))
def test_the_text_of_tokens_is_stable(text: bytes) -> None:
    try:
        once = b"".join(unlex(lex(text)))
    except Unparsable:
        return
    assert b"".join(unlex(lex(once))) == once


def test_pieces_end_with_their_comma() -> None:
    assert unlex(lex(b'a@b , "c,d" <e>,f')) == [b"a@b,", b' "c,d" <e>,', b" f"]


def taken_apart(text: bytes) -> list[bytes]:
    """The parts of an address list from left to right; addresses between slashes."""
    found = [(b"/%s/" if is_address else b"%s") % b"".join(unlex(part)) for is_address, part in parts(lex(text))]
    return found[::-1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a, b@c", b"/a/ , /b@c/"),
        (b"Bill Q. Smith <bill@irs>", b"Bill Q.Smith < /bill@irs/ >"),
        (b"bill smith", b"/bill/ , /smith/"),
        (b"bill(x)@irs(y)", b"/bill@irs/ (x) (y)"),
        (b"friends: joe, bill@irs;, x", b"friends: /joe/ , /bill@irs/ ; , /x/"),
        (b"nobody: ;", b"nobody: ;"),
        (b"<>", b"< // >"),
        (b"<@a,@b:joe@c>", b"< /@a, @b: joe@c/ >"),
        (b"a <b> c <d>", b"a < /b/ > c < /d/ >"),
        (b"a, <b> c", b"/a/ , < /b/ > , /c/"),
        (b"a@[1.2]", b"/a@[1.2]/"),
        (b"<bill", b"/<bill/"),
        (b"", b""),
    ],
)
def test_a_list_comes_apart_from_right_to_left(text: bytes, expected: bytes) -> None:
    assert b" ".join(part.strip() for part in taken_apart(text)).split() == expected.split()


@pytest.mark.parametrize(("text", "found"), [(b"a: b, c", [b"c", b"b"]), (b"x; b;", [b"b"]), (b"a> , b", [b"b", b"a"])])
def test_what_stands_right_of_an_error_has_been_seen(text: bytes, found: list[bytes]) -> None:
    seen = []
    with pytest.raises(Unparsable):
        for is_address, part in parts(lex(text)):
            if is_address:
                seen.append(plain(part))
    assert seen == found


@given(TOKENS)
def test_nothing_of_a_list_is_lost(tokens: list[Token]) -> None:
    try:
        found = [token for _, part in parts(tokens) for token in part]
    except Unparsable:
        return
    assert sorted(t for t in found if t != (b",", b"")) == sorted(t for t in tokens if t != (b",", b""))
    assert found.count((b",", b"")) >= tokens.count((b",", b""))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (b'"a b"@irs', b"a b@irs"),
        (b"a . b @ irs", b"a.b@irs"),
        (b"a(x)@[1.2]", b"a@[1.2]"),
        (b'"a@b"@c', b"a@b@c"),
        (b"", b""),
    ],
)
def test_a_plain_address_has_no_quotes_and_no_comments(text: bytes, address: bytes) -> None:
    assert plain(lex(text)) == address


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        (b"a b\tc", [(b"a", b"a"), BLANK, (b"a", b"b"), BLANK, (b"a", b"c")]),
        (b"(a (b) c)", [(b"(", b"a (b) c")]),
        (b"(a (b", [(b"(", b"a (b")]),
        (b'"open', [(b'"', b"open")]),
        (b"[1", [(b"[", b"1")]),
        (b")x", [(b'"', b")x")]),
    ],
)
def test_the_looser_reading_keeps_blanks_and_parses_everything(text: bytes, tokens: list[Token]) -> None:
    assert lex(text, loose=True) == tokens


@given(st.binary(max_size=20))
def test_nothing_is_unparsable_to_the_looser_reading(text: bytes) -> None:
    lex(text, loose=True)
