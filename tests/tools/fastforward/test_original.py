"""The original programs and ours, side by side: the same files, words and exit codes, for odd input."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from commands import BIN, environment
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ORIGINAL = Path("/usr/bin")
HOME = "/var/lib/qmail"  # what Debian's have compiled in
UNSET = dict.fromkeys(("QMAILQUEUE", "RECIPIENT", "SENDER", "DEFAULT", "EXT", "HOST", "USER", "NEWSENDER", "DTLINE"))

pytestmark = pytest.mark.skipif(not (ORIGINAL / "fastforward").exists(), reason="the original is not installed")
alike = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def pieces(*known: bytes) -> st.SearchStrategy[bytes]:
    """Texts made of *known* pieces, and of some that mean nothing."""
    piece = st.sampled_from([*known, b"a", b"B@h", b" ", b"\t", b"\r", b"\xff"])
    return st.lists(piece, max_size=12).map(b"".join)


INSTRUCTIONS = pieces(*b": : ; ; , ? | ! & / . # \\".split(b" "), b"\n", b"t: ", b"x: y;", b"\0")
MEMBERS = pieces(b"\n", b"\n", b"&", b".", b"/", b"#", b"?", b"|", b"\0")
RECIPIENTS = pieces(
    *(b"@", b".", b",", b":", b";", b"<", b">", b"(x)", b"(", b")", b'"q r"', b'"', b'"|p"', b"|p", b"/f"),
    *(b":include:", b"include", b"[l]", b"[", b"]", b"\\", b"+", b"joe", b"@h.example", b"\n", b"#", b'""'),
)  # fmt: skip
COMMANDS = st.sampled_from(
    [b"&a@h", b"&b@h", b"&A@H", b"&l", b"&", b"./l1", b"./l2", b"/no", b"|p", b"!p", b"?o", b"odd", b"", b"&\n\x01"]
)
DATA = st.lists(COMMANDS, max_size=5).map(lambda commands: b"".join(command + b"\0" for command in commands))


def outcome(folder: Path, words: list[str], given: bytes, files: dict[str, bytes], **env: str) -> object:
    """Exit code, output, words, and the files that are there then, but for drafts."""
    place = Path.cwd() / "place"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for name, content in files.items():
        (place / name).write_bytes(content)
        (place / name).chmod(0o644)
    command = [folder / words[0], *words[1:]]
    done = subprocess.run(
        command,
        input=given,
        env=environment({**UNSET, "QMAILHOME": HOME, **env}),
        cwd=place,
        capture_output=True,
        timeout=60,
        check=False,
    )
    left = {file.name: file.read_bytes() for file in place.iterdir() if file.suffix != ".tmp"}
    return done.returncode, done.stdout, done.stderr, left


def same(words: list[str], given: bytes, files: dict[str, bytes] | None = None, **env: str) -> None:
    ours, theirs = (outcome(folder, words, given, files or {}, **env) for folder in (BIN, ORIGINAL))
    assert ours == theirs


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@alike
@given(INSTRUCTIONS)
def test_instructions(text: bytes) -> None:
    same(["setforward", "f.cdb", "f.tmp"], text)
    same(["setforward", "f.cdb", "f.tmp"], b"t: " + text + b";\n")


@alike
@given(MEMBERS)
def test_members(text: bytes) -> None:
    same(["setmaillist", "l.bin", "l.tmp"], text)


@alike
@given(st.lists(st.sampled_from([b"&", b".", b"/", b"?", b"a", b" ", b"\n", b"\0", b"\0"]), max_size=12).map(b"".join))
def test_lists_are_printed(content: bytes) -> None:
    same(["printmaillist"], content)


@alike
@given(RECIPIENTS.filter(lambda text: b"\\\n" not in text and b"\\\r" not in text))  # tokens.py takes these otherwise
def test_recipients(text: bytes) -> None:
    same(["newinclude", "list"], b"", {"list": text})
    same(["dot-forward", "-n", "list"], b"", {"list": text}, USER="joe", HOST="h.example")


@alike
@given(st.dictionaries(st.sampled_from([b":r@h", b":@h", b":r@", b":a@h", b":b@h", b":l"]), DATA), DATA, DATA)
def test_look_ups(records: dict[bytes, bytes], one: bytes, two: bytes) -> None:
    from ucspi import cdb

    cdb.write(b"t.cdb", b"t.tmp", [*records.items(), (b"?l", b"o@o"), (b"?r@h", b"own@h")])
    files = {"t.cdb": Path("t.cdb").read_bytes(), "l1": one, "l2": two}
    for recipient in "R@h", "x@h", "r@z", "l", "a@h":
        same(["fastforward", "-np", "t.cdb"], b"", files, RECIPIENT=recipient, SENDER="s@x")
    same(["printforward"], files["t.cdb"])


@pytest.mark.parametrize("size", [0, 7, 2047, 2048, 2060, 2100])
def test_databases_cut_short(size: int) -> None:
    from ucspi import cdb

    cdb.write(b"t.cdb", b"t.tmp", [(b":r@h", b"&x@y\0")])
    content = Path("t.cdb").read_bytes()[:size]
    same(["fastforward", "-n", "t.cdb"], b"", {"t.cdb": content}, RECIPIENT="r@h", SENDER="s@x")
    same(["printforward"], content)


def test_many_instructions_make_the_same_file() -> None:
    text = b"".join(b"User%d@Host%d.example: &a%d@x, ?o%d@y, b;\n" % (n, n % 7, n, n % 3) for n in range(5000))
    same(["setforward", "f.cdb", "f.tmp"], text)


@pytest.mark.parametrize("words", [["fastforward"], ["fastforward", "-z"], ["setforward", "x"], ["setmaillist"]])
def test_wrong_usage(words: list[str]) -> None:
    same(words, b"")


@pytest.mark.parametrize("words", [["newinclude"], ["newinclude", "none"], ["dot-forward"], ["dot-forward", "-x"]])
def test_other_wrong_usage(words: list[str]) -> None:
    same(words, b"")


def test_variables_that_are_missing() -> None:
    from ucspi import cdb

    cdb.write(b"t.cdb", b"t.tmp", [(b":r@h", b"&x@y\0")])
    files = {"t.cdb": Path("t.cdb").read_bytes()}
    for env in {}, {"EXT": "r"}, {"HOST": "h"}, {"EXT": "r", "HOST": "h"}, {"DEFAULT": "", "EXT": "r", "HOST": "h"}:
        for option in "-n", "-nd":
            same(["fastforward", option, "t.cdb"], b"", files, **env)
