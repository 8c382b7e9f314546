"""Programs of .qmail files that are commands of ours: they take neither a shell nor an interpreter of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import BIN

from mta.local import delivery
from supervise.errors import Permanent, Temporary


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{BIN}:/usr/bin:/bin")


@pytest.fixture
def shells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Takes the shell away; the file to which each program that asks for one is written."""
    asked = tmp_path / "asked"

    def shell(program: bytes) -> int:
        with open(asked, "ab") as file:
            file.write(program + b"\n")
        return 0

    monkeypatch.setattr(delivery, "shell", shell)
    return asked


def test_plain_words_that_name_a_command_of_ours_take_no_shell(shells: Path) -> None:
    for number, program in enumerate([b"maildirmake ./m0", b" maildirmake\tm1 ", b"%s/maildirmake m2" % bytes(BIN)]):
        assert delivery.run(program)
        assert Path(f"m{number}/new").is_dir()
    assert not shells.exists()


@pytest.mark.parametrize(
    "program",
    [
        *(b"maildirmake $HOME", b"maildirmake 'm'", b'maildirmake "m"', b"maildirmake m;", b"maildirmake m|cat"),
        *(b"maildirmake `m`", b"maildirmake m\\", b"maildirmake m >x", b"maildirmake m#", b"maildirmake ~/m"),
        *(b"maildirmake *", b"maildirmake m?", b"maildirmake [m]", b"maildirmake {m}", b"(maildirmake m)", b"! svok m"),
        *(b"A=b maildirmake m", b"exec maildirmake m", b". maildirmake", b": maildirmake", b"maildirmake m &"),
        *(b"maildirmake m\xe9", b"maildirmake\x01", b"nosuch m", b"cat m", b"", b"  "),
    ],
)
def test_anything_else_is_a_shells(shells: Path, program: bytes) -> None:
    assert delivery.run(program)
    assert shells.read_bytes() == program + b"\n"


def test_a_program_that_somebody_puts_in_front_is_theirs(
    tmp_path: Path, shells: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "maildirmake").write_text("#!/bin/sh\nexit 0\n")
    (tmp_path / "maildirmake").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{BIN}")
    assert delivery.run(b"maildirmake m")
    assert shells.read_bytes() == b"maildirmake m\n"


def test_its_exit_code_counts_as_any_programs(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("# nothing\n")
    for quote in b"", b"'":
        word = quote + b"dot-forward" + quote
        assert delivery.run(word + b" none list")
        with pytest.raises(Permanent):
            delivery.run(word + b" -x")
        with pytest.raises(Temporary):
            delivery.run(word + b" /")


def test_what_it_starts_finds_the_signals_and_descriptors_of_any_program(capfd: pytest.CaptureFixture[str]) -> None:
    seen = []
    for word in b"pgrphack", b"'pgrphack'":
        assert delivery.run(word + b" grep Sig /proc/self/status")
        seen.append([line for line in capfd.readouterr().out.splitlines() if line[:6] in ("SigBlk", "SigIgn")])
        assert len(seen[-1]) == 2
    assert seen[0] == seen[1]
