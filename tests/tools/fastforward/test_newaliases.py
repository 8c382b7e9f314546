"""newaliases: /etc/aliases as a forwarding database."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from commands import run
from crashes import crashes_of
from forwarding import Forwarding

from tools.fastforward import newaliases
from ucspi.cdb import Cdb

# What mail systems of Debian put there, with a user for root.
DEBIAN = """\
# /etc/aliases
# See man 5 aliases for format
mailer-daemon: postmaster
postmaster:    root
nobody: root
hostmaster: root
usenet: root
news: root
webmaster: root
www: root
ftp: root
abuse: root
noc: root
security: root
root: joe
"""


def compiled(forwarding: Forwarding, text: str | bytes) -> str:
    """The instructions that newaliases makes of a table."""
    forwarding.write("aliases", text)
    assert forwarding.here("newaliases", "aliases") == (0, b"", b"")
    printed = forwarding.here("printforward", input=(forwarding.folder / "aliases.cdb").read_bytes())
    assert (printed.code, printed.err) == (0, b"")
    return printed.out.decode("latin-1").replace("\n, ", " ").replace("\n;", ";")


def test_the_aliases_of_a_debian_system(forwarding: Forwarding) -> None:
    lines = compiled(forwarding, DEBIAN).splitlines()
    assert len(lines) == 13
    assert lines[0] == "mailer-daemon@: &postmaster@here.example;"
    assert lines[-1] == "root@: &joe@here.example;"
    shown = forwarding.forward("fastforward", "-nd", "aliases.cdb", DEFAULT="MAILER-DAEMON")
    # as the original: an alias for all hosts stands for the address of a message, not for one that is forwarded to
    assert shown.err == b"from <s@far.example>\nto <postmaster@here.example>\n"


@pytest.mark.skipif(not os.path.exists("/etc/aliases"), reason="there is no /etc/aliases")
def test_the_aliases_of_this_system(forwarding: Forwarding) -> None:
    text = Path("/etc/aliases").read_bytes()
    targets = [line.split(":")[0] for line in compiled(forwarding, text).splitlines() if ": ?" not in line]
    aliases = [line.split(b":")[0].strip() for line in text.splitlines() if line[:1] not in (b"", b"#", b" ", b"\t")]
    assert targets == [alias.decode().lower() + "@" for alias in aliases]


def test_an_alias_is_for_all_hosts_or_for_one_or_for_everybody_there(forwarding: Forwarding) -> None:
    text = "Joe: a@x.example\nJoe@Virtual.example: b@x.example\n@virtual.example: c@x.example\n"
    assert compiled(forwarding, text) == (
        "joe@: &a@x.example;\njoe@virtual.example: &b@x.example;\n@virtual.example: &c@x.example;\n"
    )


def test_recipients_are_read_like_a_header_field_from_right_to_left(forwarding: Forwarding) -> None:
    text = 'root: joe, Sue Q. <sue@b.example> (at home), "a b"@c.example, \\ann, bob@host+\n'
    assert compiled(forwarding, text) == (
        "root@: &bob@host.here.example &ann@here.example &a\\ b@c.example &sue@b.example &joe@here.example;\n"
    )


def test_an_alias_goes_on_in_indented_and_empty_lines_and_so_does_a_comment(forwarding: Forwarding) -> None:
    text = "\n# comment\n  lost: x\n\n\tand: this\nroot:\n   fred,\n\n joe\nann: bob\n#\n lost\n"
    assert compiled(forwarding, text) == "root@: &joe@here.example &fred@here.example;\nann@: &bob@here.example;\n"


def test_the_last_line_counts_without_its_end(forwarding: Forwarding) -> None:
    """The original loses it."""
    assert compiled(forwarding, "a: b\nroot: joe") == "a@: &b@here.example;\nroot@: &joe@here.example;\n"


def test_nobody_minds_where_the_colon_is_or_whether(forwarding: Forwarding) -> None:
    text = "a b\nc : d\ne\n : f\ng:: h; i\nj@: k\n"
    with pytest.raises(AssertionError):  # j@k, and nobody to forward to
        compiled(forwarding, text)
    assert compiled(forwarding, text[:-6]) == (
        "a@: &b@here.example;\nc@: &d@here.example;\ne@: &f@here.example;\ng@: &i@here.example &h@here.example;\n"
    )


def test_programs_get_the_lines_of_a_mailbox_in_front(forwarding: Forwarding) -> None:
    text = 'weather: "|weather-server -v, x"\nother: |prog, "|odd"@host.example\n'
    assert compiled(forwarding, text) == ("weather@: !weather-server\\ -v\\,\\ x;\nother@: !prog &|odd@host.example;\n")


def test_an_include_is_the_binary_list_of_its_name(forwarding: Forwarding) -> None:
    text = 'staff: :include:/etc/staff, : include : rel\nodd: :include:"/a b", joe, "|prog", :include:../up\n'
    assert compiled(forwarding, text) == (
        "staff@: ./rel.bin /etc/staff.bin;\nodd@: ../up.bin !prog /a\\ b.bin &joe@here.example;\n"
    )


def test_bounces_of_a_list_go_to_its_owner(forwarding: Forwarding) -> None:
    text = "staff: a, b\nowner-staff: joe\nowner-l@x.example: joe\nOwner-no: joe\n"
    assert compiled(forwarding, text) == (
        "staff@: &b@here.example &a@here.example;\n"
        "staff@: ?owner-staff@here.example;\nowner-staff@: &joe@here.example;\n"
        "l@x.example: ?owner-l@x.example;\nowner-l@x.example: &joe@here.example;\n"
        "owner-no@: &joe@here.example;\n"
    )
    shown = forwarding.forward("fastforward", "-nd", "aliases.cdb", DEFAULT="staff")
    assert shown.err == b"from <owner-staff@here.example>\nto <b@here.example>\nto <a@here.example>\n"


def test_the_first_of_two_lines_for_an_alias_counts(forwarding: Forwarding) -> None:
    compiled(forwarding, "a: first\nb: c\na: second\n")
    shown = forwarding.forward("fastforward", "-nd", "aliases.cdb", DEFAULT="a")
    assert shown.err.endswith(b"\nto <first@here.example>\n")


@pytest.mark.parametrize(
    ("entry", "code", "why"),
    [
        ("root", 111, "unable to parse this line: root\n"),
        ("root:\n\n  ", 111, "unable to parse this line: root:\n  \n"),
        ('"|a": "|b"', 111, 'unable to parse this line: "|a": "|b"\n'),
        ("a: (x", 111, "unable to parse this line: a: (x\n"),
        ("a: b>", 111, "unable to parse this line: a: b>\n"),
        ("a: <>", 111, "empty recipient addresses not permitted"),
        ('"": a', 111, "empty recipient addresses not permitted"),
        ("a: :include:", 111, "empty :include: filenames not permitted"),
        ("a: /var/mail/a", 111, "file delivery /var/mail/a not supported"),
        ("a: b\0", 111, "NUL not permitted in recipient addresses"),
        ('a: "|\0"', 111, "NUL not permitted in program names"),
        ("a: :include:\0", 111, "NUL not permitted in :include: filenames"),
        ("a: " + "x" * 801 + "@y.example", 100, "addresses over 800 bytes are not permitted"),
        ("x" * 801 + "@y.example: a", 100, "addresses over 800 bytes are not permitted"),
    ],
)
def test_a_wrong_entry_leaves_the_old_database(forwarding: Forwarding, entry: str, code: int, why: str) -> None:
    compiled(forwarding, "root: joe\n")
    before = (forwarding.folder / "aliases.cdb").read_bytes()
    forwarding.write("aliases", f"good: x\n{entry}\nmore: y\n")
    done = forwarding.here("newaliases", "aliases")
    assert done == (code, b"", f"newaliases: fatal: {why}\n".encode("latin-1"))
    assert (forwarding.folder / "aliases.cdb").read_bytes() == before
    assert not (forwarding.folder / "aliases.tmp").exists()


def test_options_of_other_newaliases_mean_nothing(forwarding: Forwarding) -> None:
    forwarding.write("aliases", "root: joe\n")
    assert forwarding.here("newaliases", "-v", "aliases", "-oA") == (0, b"", b"")
    assert (forwarding.folder / "aliases.cdb").exists()


def test_an_entry_of_nothing_is_nothing(forwarding: Forwarding) -> None:
    assert compiled(forwarding, "(just a comment)\n,:;\n\t\n") == ""
    assert compiled(forwarding, "") == ""


def test_everybody_may_read_the_database_whatever_the_umask(forwarding: Forwarding) -> None:
    before = os.umask(0o077)
    try:
        compiled(forwarding, DEBIAN)
    finally:
        os.umask(before)
    assert (forwarding.folder / "aliases.cdb").stat().st_mode & 0o777 == 0o644


def test_a_missing_table_is_named(tmp_path: Path, forwarding: Forwarding) -> None:
    assert forwarding.here("newaliases", "none") == (
        111,
        b"",
        b"newaliases: fatal: unable to read none: file does not exist\n",
    )
    home = str(tmp_path / "nowhere")
    done = run("newaliases", "none", env={"QMAILHOME": home})
    assert done.err == f"newaliases: fatal: unable to chdir to {home}: file does not exist\n".encode()


def test_newaliases_crashed_at_any_call_leaves_the_old_aliases_or_the_new_ones(
    forwarding: Forwarding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(forwarding.folder)
    monkeypatch.setenv("QMAILHOME", str(forwarding.folder))
    seen = set()

    def fresh() -> None:
        forwarding.write("aliases", "old: joe\n")
        assert newaliases.main([b"newaliases", b"aliases"]) == 0
        forwarding.write("aliases", "new: joe\nmore: joe\n")

    for _ in crashes_of(lambda: newaliases.main([b"newaliases", b"aliases"]), fresh):
        found = Cdb.open(b"aliases.cdb")
        assert found
        seen.add(tuple(found.get(key) is not None for key in (b":old@", b":new@", b":more@")))
        found.close()
    assert seen == {(True, False, False), (False, True, True)}
