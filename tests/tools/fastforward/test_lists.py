"""setmaillist, newinclude and printmaillist: lists of members in a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from commands import run
from crashes import crashes_of
from forwarding import Forwarding

from tools.fastforward import maillist

MANY = "".join(f"member{number}@ourdomain.example\n" for number in range(5000))


def test_the_list_of_a_whole_domain_is_printed_as_it_was_written(forwarding: Forwarding) -> None:
    forwarding.maillist("# all@ourdomain.example\n\n" + MANY + "./staff.bin\n", "all.bin")
    printed = forwarding.here("printmaillist", input=(forwarding.folder / "all.bin").read_bytes())
    assert printed.code == 0
    assert printed.out.decode() == "".join(f"&{line}\n" for line in MANY.splitlines()) + "./staff.bin\n"
    again = forwarding.make("setmaillist", "again.bin", "again.tmp", printed.out)
    assert again == (0, b"", b"")
    assert (forwarding.folder / "again.bin").read_bytes() == (forwarding.folder / "all.bin").read_bytes()


def test_blanks_at_the_end_of_a_line_do_not_count_others_do() -> None:
    lines = [b"joe@x \t \n", b" sue@x\n", b"\t#\n", b" \t\n", b"#x\n", b"a\r\n", b"last"]
    assert list(maillist.compile(lines)) == [b"&joe@x", b"& sue@x", b"&\t#", b"&a\r", b"&last"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"a\0b\n", b"NUL in input"),
        (b"#\0\n", b"NUL in input"),
        (b"x" * 801 + b"\n", b"addresses must be under 800 bytes"),
        (b"&" + b"x" * 800 + b"\n", b"addresses must be under 800 bytes"),
    ],
)
def test_a_wrong_line_leaves_the_old_list(forwarding: Forwarding, text: bytes, why: bytes) -> None:
    forwarding.write("l.bin", "old")
    done = forwarding.make("setmaillist", "l.bin", "l.tmp", b"good@x\n" + text)
    assert done == (111, b"", b"setmaillist: fatal: " + why + b"\n")
    assert (forwarding.folder / "l.bin").read_bytes() == b"old"
    assert not (forwarding.folder / "l.tmp").exists()


def test_an_address_of_800_bytes_and_a_name_of_any_length_are_taken() -> None:
    lines = [b"x" * 800 + b" \n", b"/" + b"y" * 3000 + b"\n"]
    assert list(maillist.compile(lines)) == [b"&" + b"x" * 800, b"/" + b"y" * 3000]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize("command", ["setmaillist", "newinclude"])
def test_everybody_may_read_a_list_whatever_the_umask(forwarding: Forwarding, command: str, umask: int) -> None:
    forwarding.write("l", "a@b.example\n")
    before = os.umask(umask)
    try:
        if command == "newinclude":
            assert forwarding.here("newinclude", "l") == (0, b"", b"")
        else:
            forwarding.maillist("a@b.example\n", "l.bin")
    finally:
        os.umask(before)
    assert (forwarding.folder / "l.bin").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("content", [b"&a", b"\0", b"x\0", b"?x\0", b"&a\nb\0", b"&a\0\0", b"&a\0b\0"])
def test_what_is_no_list_is_not_printed(forwarding: Forwarding, content: bytes) -> None:
    done = forwarding.here("printmaillist", input=content)
    assert (done.code, done.err) == (100, b"printmaillist: fatal: bad mailing list format\n")


def test_a_list_whose_end_is_missing_is_printed_so_far(forwarding: Forwarding) -> None:
    assert forwarding.here("printmaillist", input=b"&a\0./b\0&c").out == b"&a\n./b\n"


def test_a_list_crashed_at_any_call_is_the_old_one_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    seen = set()

    def written(*members: bytes) -> None:
        maillist.write(b"l.bin", b"l.tmp", members)

    for _ in crashes_of(lambda: written(b"&new@x", b"&more@x"), lambda: written(b"&old@x")):
        seen.add((tmp_path / "l.bin").read_bytes())
    assert seen == {b"&old@x\0", b"&new@x\0&more@x\0"}


# -- newinclude ------------------------------------------------------------------------------


def included(forwarding: Forwarding, text: str, **env: str) -> list[bytes]:
    forwarding.write("l", text)
    done = forwarding.here("newinclude", "l", **env)
    assert done == (0, b"", b"")
    return maillist.members((forwarding.folder / "l.bin").read_bytes())


def test_a_line_is_read_like_a_header_field_from_right_to_left(forwarding: Forwarding) -> None:
    text = '# staff\njoe@a.example, Sue Q. <sue@b.example> (at home), "A, B" <"a b"@c.example>\n  ann@d.example'
    expected = [b"&a b@c.example", b"&sue@b.example", b"&joe@a.example", b"&ann@d.example"]
    assert included(forwarding, text) == expected


def test_addresses_are_completed_by_the_control_files_or_the_environment(forwarding: Forwarding) -> None:
    text = "joe\nsue@host\nann@host+\nbob@[1.2.3.4]\n@x\n"
    assert included(forwarding, text) == [
        *(b"&joe@here.example", b"&sue@host.here.example", b"&ann@host.here.example", b"&bob@[1.2.3.4]"),
        b"&@x.here.example",
    ]
    forwarding.write("control/defaulthost", "mail \t\nmore\n")
    forwarding.write("control/defaultdomain", "dd.example")
    forwarding.write("control/plusdomain", "pd.example\n")
    assert included(forwarding, "joe\nann@host+\nsue@host")[:2] == [b"&joe@mail.dd.example", b"&ann@host.pd.example"]
    assert included(forwarding, "joe\n", QMAILDEFAULTHOST="other.example") == [b"&joe@other.example"]


def test_another_list_is_named_by_include(forwarding: Forwarding) -> None:
    text = ':include:/abs/l.bin, joe@x.example\n: include : rel.bin\n:include:"./a b"\n:include:../up\n'
    assert included(forwarding, text) == [b"&joe@x.example", b"/abs/l.bin", b"./rel.bin", b"./a b", b"../up"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('"joe', 'unable to parse this line: "joe\n'),
        ("joe (x", "unable to parse this line: joe (x\n"),
        ("joe>", "unable to parse this line: joe>\n"),
        ("/var/mail/joe", "file delivery /var/mail/joe not supported"),
        ('"|cat > x"', "program delivery |cat > x not supported"),
        (":include:", "empty :include: filenames not permitted"),
        (':include:"a\0b"', "NUL not permitted in :include: filenames"),
        ("joe\0@x", "NUL not permitted in recipient addresses"),
        ('joe@"x.y "', "spaces and tabs not permitted at ends of addresses"),
        ("x" * 801 + "@y.example", "addresses must be under 800 bytes"),
    ],
)
def test_a_line_that_a_list_cannot_hold_leaves_the_old_list(forwarding: Forwarding, line: str, why: str) -> None:
    forwarding.write("l.bin", "old")
    forwarding.write("l", f"good@x.example\n{line}\nmore@x.example\n")
    assert forwarding.here("newinclude", "l") == (111, b"", f"newinclude: fatal: {why}\n".encode())
    assert (forwarding.folder / "l.bin").read_bytes() == b"old"


def test_files_that_cannot_be_read_or_written_are_named(forwarding: Forwarding) -> None:
    def refusal(name: str) -> bytes:
        done = forwarding.here("newinclude", name)
        assert (done.code, done.out) == (111, b"")
        return done.err.removeprefix(b"newinclude: fatal: ")

    assert refusal("none") == b"unable to read none: file does not exist\n"
    assert refusal("control") == b"unable to read control: is a directory\n"
    forwarding.write("l", "a@b.example\n")
    (forwarding.folder / "l.bin").mkdir()
    assert refusal("l") == b"unable to move l.tmp to l.bin: is a directory\n"
    (forwarding.folder / "l.tmp").unlink()
    (forwarding.folder / "l.tmp").mkdir()
    assert refusal("l") == b"unable to write to l.tmp: is a directory\n"
    (forwarding.folder / "control/me").unlink()
    (forwarding.folder / "control/me").mkdir()
    assert refusal("l") == b"unable to read controls: is a directory\n"


def test_without_a_home_nothing_is_completed(tmp_path: Path) -> None:
    (tmp_path / "l").write_text("joe\n")
    home = tmp_path / "none"
    done = run("newinclude", "l", cwd=tmp_path, env={"QMAILHOME": str(home)})
    words = f"newinclude: fatal: unable to chdir to {home}: file does not exist\n"
    assert done == (111, b"", words.encode())
