"""Manual pages: what the docstrings become, what readers of the format say of it, and that man finds them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from commands import BIN

from tools.manual import FORMATS, commands, docstring, page, write

COMMANDS = commands()
ALL = COMMANDS | FORMATS
SECTIONS = {"svc": 8, "name": 1}


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not shutil.which(program), reason=f"{program} is not installed")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page of each command and format."""
    written = write(str(tmp_path_factory.mktemp("man")))
    return {Path(file).stem: Path(file) for _, files in written for file in files}


def said(*argv: str | Path) -> str:
    """What a program says, on both descriptors."""
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False).stdout


# -- all pages -------------------------------------------------------------------------------


def test_every_command_has_a_page_in_the_section_that_its_name_says(pages: dict[str, Path]) -> None:
    assert set(pages) == set(ALL)
    for name, file in pages.items():
        assert file.name == f"{name}.{file.parent.name[-1]}"
    names = ("qmail-smtpd", "svc", "tcpserver", "pyqmail", "dot-qmail")
    assert [pages[name].suffix for name in names] == [".8", ".8", ".1", ".1", ".5"]


@needs("groff")
@pytest.mark.parametrize("name", sorted(ALL))
def test_groff_has_nothing_to_warn_of(name: str, pages: dict[str, Path]) -> None:
    assert said("groff", "-man", "-ww", "-Tutf8", "-z", pages[name]) == ""


@needs("mandoc")
@pytest.mark.parametrize("name", sorted(ALL))
def test_mandoc_has_nothing_to_warn_of(name: str, pages: dict[str, Path]) -> None:
    assert said("mandoc", "-T", "lint", "-W", "warning", pages[name]) == ""


@needs("groff")
@pytest.mark.parametrize("name", sorted(ALL))
def test_all_that_the_docstring_says_is_in_the_page(name: str, pages: dict[str, Path]) -> None:
    shown = said("groff", "-man", "-Tascii", "-P-cbou", "-rLL=2000n", "-rHY=0", pages[name])
    for title in ("NAME", "DESCRIPTION") if name in FORMATS else ("NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS"):
        assert re.search(f"^{title}$", shown, re.MULTILINE), title
    text = docstring(ALL[name])
    if name in FORMATS:  # its first line is a sentence
        text = text.replace(".\n", "\n", 1)
    words = re.sub(r"^Usage:|(?<!`)`(?!`)", "", text, flags=re.MULTILINE).casefold().split()
    found = {*shown.casefold().split(), *re.sub(r"\(\d\)", "", shown).casefold().split()}
    missing = {word for word in words if word not in found and word.rstrip(":") not in found}
    assert not missing


@needs("man")
def test_man_finds_every_page_that_is_installed_here() -> None:
    env = {"PATH": f"{BIN}:/usr/bin:/bin", "MANPAGER": "cat", "LC_ALL": "C"}  # as a user has it who can run them
    found = subprocess.run(["man", "-w", *ALL], env=env, capture_output=True, text=True, check=True).stdout
    files = [Path(line) for line in found.splitlines()]
    assert [file.stem for file in files] == list(ALL)
    assert {file.parent.parent for file in files} == {BIN.parent / "share/man"}
    shown = subprocess.run(["man", "qmail-smtpd"], env=env, capture_output=True, text=True, check=True).stdout
    assert "NAME\n       qmail-smtpd - receive mail by SMTP\n" in shown


# -- one page --------------------------------------------------------------------------------


def made(body: str) -> list[str]:
    """The lines below DESCRIPTION."""
    text = page(
        "name", f"name - purpose\n\nUsage: name\n\n{body}\n\nExit status:\n    0  done", SECTIONS, "2026-01-01", "1"
    )
    return text.partition(".SH DESCRIPTION\n")[2].partition('.SH "EXIT STATUS"')[0].splitlines()


def test_the_head_has_name_section_date_and_version() -> None:
    text = page("svc", "svc - control things\n\nUsage: svc\n\nIt does.", SECTIONS, "2026-01-01", "1.2")
    assert text.splitlines()[0] == '.TH "SVC" 8 "2026-01-01" "pyqmail 1.2"'
    assert ".SH NAME\nsvc \\- control things\n" in text


def test_each_way_to_call_a_command_is_a_synopsis_and_options_are_not_broken() -> None:
    usage = "Usage: name [-a | -b] [--long word] x\n    [y]\n       name --check\n       name"
    text = page("name", f"name - purpose\n\n{usage}\n\nIt does.", SECTIONS, "2026-01-01", "1")
    assert text.partition(".SH SYNOPSIS\n")[2].partition(".YS")[0].splitlines() == [
        ".SY name",
        r"[\-a\~|\~\-b] [\-\-long\~word] x [y]",
        ".SY name",
        r"\-\-check",
        ".SY name",
    ]


def test_a_list_has_terms_whose_texts_begin_in_a_column_or_behind_two_blanks() -> None:
    assert made(
        "Options:\n    -x  -X   or\n    -a file  the\n             rest\n    --long option\n             more"
    ) == [
        *('.SH "OPTIONS"', ".TP", r".B \%\-x \%\-X", "or", ".TP", r".B \%\-a file", "the rest"),
        *(".TP", r".B \%\-\-long option", "more"),
    ]
    assert made("These:\n\n    a  one  two\n    long  three") == [
        *("These:", ".TP", ".B a", "one  two", ".TP", ".B long", "three"),
    ]


def test_what_is_indented_below_a_title_is_prose_and_below_a_paragraph_an_example() -> None:
    assert made("Order:\n    One.  Two\n    go on.\n\n    And on.") == [
        '.SS "Order"',
        "One.  Two go on.",
        ".PP",
        "And on.",
    ]
    assert made("So:\n\n    it's 'a' `b`\n    .c -d\n\nas shown.") == [
        *("So:", ".PP", ".RS 4", ".EX", r"it\(aqs \(aqa\(aq \(gab\(ga", r"\&.c \-d", ".EE", ".RE", ".PP", "as shown."),
    ]


def test_letters_that_mean_something_to_roff_are_shown_as_they_are() -> None:
    assert made(r"'a \x1b ~ ^ and `.b`" + "\n\n.c") == [r"\&'a \ex1b \(ti \(ha and \fB.b\fP", ".PP", r"\&.c"]


def test_other_pages_are_named_with_their_sections() -> None:
    text = page(
        "name", "name - purpose\n\nUsage: name\n\nIt.\n\nSee also: svc, other; more", SECTIONS, "2026-01-01", "1"
    )
    assert text.endswith(".SH SEE ALSO\n\\fBsvc\\fP(8),\nother; more\n")


def test_the_date_can_be_that_of_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    texts = []
    for folder in ("one", "other"):
        write(os.fspath(tmp_path / folder))
        texts.append((tmp_path / folder / "man8/svc.8").read_text())
    assert texts[0] == texts[1] and '"1970-01-02"' in texts[0]
