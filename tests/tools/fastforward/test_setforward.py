"""setforward and printforward: the language of instructions, and the database."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from commands import run
from crashes import crashes_of
from forwarding import Forwarding
from hypothesis import given
from hypothesis import strategies as st

from tools.fastforward import instructions
from tools.fastforward.instructions import compile, marks, print_record, slowly
from ucspi import cdb

words = st.binary(max_size=6).filter(lambda word: b"\0" not in word)
commands = st.builds(lambda first, word: first + word, st.sampled_from([b"&", b"|", b"!", b".", b"/"]), words)


def compiled(text: bytes) -> list[tuple[bytes, bytes]]:
    return list(compile(text.splitlines(keepends=True)))


def test_commands_become_one_record_and_an_owner_another() -> None:
    assert compiled(b"Staff@Here.example: ?Owner@x, joe@x, &Sue@y,\n ./list.bin, /l, |prog, !other;\n") == [
        (b"?staff@here.example", b"Owner@x"),
        (b":staff@here.example", b"&joe@x\0&Sue@y\0./list.bin\0/l\0|prog\0!other\0"),
    ]


def test_blanks_vanish_and_a_hash_begins_a_comment_wherever_they_stand() -> None:
    assert compiled(b"j o\te: b\no b#rest; x\nx, |echo hi;\n") == [(b":joe", b"&bobx\0|echohi\0")]


def test_a_backslash_keeps_any_byte() -> None:
    text = b"a\\:b: c\\,d\\;e, \\#x, |echo\\ hi\\\\there, \\ y, n\\\nl;\n"
    assert compiled(text) == [(b":a:b", b"&c,d;e\0&#x\0|echo hi\\there\0& y\0&n\nl\0")]


def test_a_target_without_commands_has_no_record() -> None:
    assert compiled(b"joe: ;\nann:,;\nsue: ?owner;") == [(b"?sue", b"owner")]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"joe: bob", b"final instruction must end with semicolon"),
        (b"joe: bob; ann", b"final instruction must end with semicolon"),
        (b"joe: bob;\r\n", b"final instruction must end with semicolon"),
        (b"joe: a:b;", b"double colons are not permitted"),
        (b"a,b: c;", b"commas are not permitted before colons"),
        (b"a: b;; c: d;", b"commas are not permitted before colons"),
        (b"a: b\0c;", b"NUL bytes are not permitted"),
        (b"a: b\\\0c;", b"NUL bytes are not permitted"),
        (b"a: " + b"x" * 801 + b";", b"addresses over 800 bytes are not permitted"),
        (b"a: &" + b"x" * 800 + b";", b"addresses over 800 bytes are not permitted"),
    ],
)
def test_what_is_no_instruction_leaves_the_old_database(forwarding: Forwarding, text: bytes, why: bytes) -> None:
    forwarding.write("t.cdb", "old")
    done = forwarding.make("setforward", "t.cdb", "t.tmp", b"good: x@y;\n" + text)
    assert done == (100, b"", b"setforward: fatal: " + why + b"\n")
    assert (forwarding.folder / "t.cdb").read_bytes() == b"old"
    assert not (forwarding.folder / "t.tmp").exists()


def test_a_nul_in_a_comment_and_a_lonely_backslash_at_the_end_are_nothing() -> None:
    assert compiled(b"# \0\na: b;\\") == [(b":a", b"&b\0")]


def test_an_address_of_800_bytes_and_a_program_of_any_length_are_taken() -> None:
    text = b"a: " + b"x" * 800 + b", |" + b"y" * 100_000 + b";"
    assert compiled(text) == [(b":a", b"&" + b"x" * 800 + b"\0|" + b"y" * 100_000 + b"\0")]


@given(st.lists(st.tuples(words, st.lists(commands, min_size=1, max_size=3))))
def test_what_is_printed_makes_the_same_records_again(given: list[tuple[bytes, list[bytes]]]) -> None:
    records = [(b":" + target.lower(), b"".join(c + b"\0" for c in some)) for target, some in given]
    records += [(b"?" + target.lower(), some[0]) for target, some in given]
    text = b"".join(print_record(key, data) for key, data in records)
    assert list(compile([line + b"\n" for line in text.split(b"\n")])) == records


def joined(parts: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
    """Words, with marks between them, whatever parts they came in."""
    found = [b""]
    for mark, text in parts:
        found[-1] += text
        if mark:
            found += [mark, b""]
    return found


@given(st.binary(max_size=30))
def test_a_line_is_taken_apart_alike_quickly_and_slowly(text: bytes) -> None:
    line = text.translate(None, b"\\\0")
    assert joined(marks([line])) == joined(slowly(line))


def test_printing_quotes_what_must_be_quoted(forwarding: Forwarding) -> None:
    forwarding.table("list@h: ?own\\,er, a\\ b@\xe9, |echo\\ \\;;\n\\#: !x\\\n;")
    done = forwarding.here("printforward", input=(forwarding.folder / "table.cdb").read_bytes())
    assert done == (
        0,
        b"list@h: ?own\\,er;\nlist@h:\n, &a\\ b@\\\xe9\n, |echo\\ \\;\n;\n\\#:\n, !x\\\n\n;\n",
        b"",
    )


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\0" * 7, b"\0" * 2048, b"garbage" * 400),
        *((b"a", b"&x\0"), (b":a", b"&x"), (b":a", b"x\0"), (b":a", b"?x\0"), (b":a", b"&x\0\0"), (b"", b"")),
    ],
)
def test_what_is_no_forwarding_database_is_not_printed(
    forwarding: Forwarding, content: bytes | tuple[bytes, bytes]
) -> None:
    if isinstance(content, tuple):
        file = os.fsencode(forwarding.folder / "x.cdb")
        cdb.write(file, file + b".tmp", [content])
        content = Path(os.fsdecode(file)).read_bytes()
    done = forwarding.here("printforward", input=content)
    assert done == (100, b"", b"printmaillist: fatal: bad database format\n")


def test_the_records_of_a_database_are_enough_for_printing_it(forwarding: Forwarding) -> None:
    forwarding.table("a: b;\nc: d;\n")
    content = (forwarding.folder / "table.cdb").read_bytes()
    end = int.from_bytes(content[:4], "little")
    for size in range(2048, end, 7):
        assert forwarding.here("printforward", input=content[:size]).code == 100
    assert forwarding.here("printforward", input=content[:end]).out == b"a:\n, &b\n;\nc:\n, &d\n;\n"


def test_setforward_crashed_at_any_call_leaves_the_old_database_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    seen = set()

    def made(text: bytes) -> None:
        cdb.write(b"t.cdb", b"t.tmp", instructions.compile([text]))

    for _ in crashes_of(lambda: made(b"new: x@y;"), lambda: made(b"old: x@y;")):
        found = cdb.Cdb.open(b"t.cdb")
        assert found
        seen.add((found.get(b":old"), found.get(b":new")))
        found.close()
    assert seen == {(b"&x@y\0", None), (None, b"&x@y\0")}


def test_files_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name, draft, words in (
        ("t.cdb", "none/t", b"unable to create none/t: file does not exist"),
        ("t.cdb", "folder", b"unable to create folder: is a directory"),
        ("folder", "t", b"unable to move t to folder: is a directory"),
    ):
        done = run("setforward", name, draft, input=b"a:b;", cwd=tmp_path)
        assert done == (111, b"", b"setforward: fatal: " + words + b"\n")


def test_the_database_has_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        assert run("setforward", "t.cdb", "t.tmp", input=b"a:b;", cwd=tmp_path).code == 0
    finally:
        os.umask(before)
    assert (tmp_path / "t.cdb").stat().st_mode & 0o777 == 0o640
