"""envdir: one file, one variable."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import BIN, run

from supervise.chain.envdir import value


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a\n", b"a"),
        (b"a", b"a"),
        (b"\n", b""),
        (b" a b \t \nsecond\n", b" a b"),
        (b"a\0b", b"a\nb"),
        (b"a\0 \n", b"a\n"),
        (b"a\r\n", b"a\r"),
    ],
)
def test_the_value_is_the_first_line_without_blanks_at_its_end(content: bytes, expected: bytes) -> None:
    assert value(content) == expected


def variables(folder: Path, **extra: str) -> dict[bytes, bytes]:
    done = run("envdir", folder, "env", "-0", env=extra)
    assert done.code == 0, done.err
    return dict(entry.split(b"=", 1) for entry in done.out.split(b"\0") if entry)


def test_files_set_and_empty_files_remove(tmp_path: Path) -> None:
    (tmp_path / "A").write_text("new\n")
    (tmp_path / "B").write_text("")
    (tmp_path / "C").symlink_to("nowhere")
    (tmp_path / ".hidden").write_text("x")
    found = variables(tmp_path, A="old", B="old", C="old", D="old")
    assert {name: found.get(name) for name in (b"A", b"B", b"C", b"D", b".hidden")} == {
        b"A": b"new",
        b"B": None,
        b"C": None,
        b"D": b"old",
        b".hidden": None,
    }


def test_bytes_that_are_no_text_pass_through(tmp_path: Path) -> None:
    (tmp_path / "A").write_bytes(b"\xff\xfe\n")
    assert variables(tmp_path)[b"A"] == b"\xff\xfe"


def test_an_equals_sign_in_a_files_name_counts(tmp_path: Path) -> None:
    (tmp_path / "K=x").write_text("c")
    (tmp_path / "L=y").write_text("")
    found = variables(tmp_path)
    assert (found[b"K"], found[b"L"]) == (b"x=c", b"y")


def test_the_program_is_looked_for_along_the_old_path(tmp_path: Path) -> None:
    (tmp_path / "PATH").write_text("/nowhere")
    done = run("envdir", tmp_path, "setlock", tmp_path / "lock", "/bin/sh", "-c", "echo $PATH")
    assert done.out == b"/nowhere\n"


def test_without_a_path_the_usual_places_are_looked_at(tmp_path: Path) -> None:
    assert run(BIN / "envdir", tmp_path, "echo", "hello", env={"PATH": None}).out == b"hello\n"


def test_the_program_starts_where_envdir_did(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    assert run("envdir", "d", "pwd", cwd=tmp_path).out.decode().strip() == str(tmp_path.resolve())
