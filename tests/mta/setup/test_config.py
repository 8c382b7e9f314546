"""config and config-fast: the first control files of a home."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from commands import Result, run
from crashes import crashes_of
from nameserver import serving

from mta.setup import config_fast

ALL = ("defaultdomain", "locals", "me", "plusdomain", "rcpthosts")
ZONE = "$ORIGIN .\n@ 60 SOA ns.example. root.example. 1 3600 600 86400 60\n@ 60 NS ns.example.\n"
HOST = os.uname().nodename.lower().removesuffix(".")


class Home:
    """A home and its control files."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.control = folder, folder / "control"
        self.control.mkdir()

    def run(self, *argv: str, **env: str) -> Result:
        return run(*argv, env={"QMAILHOME": str(self.folder), **env})

    def files(self) -> dict[str, str]:
        return {file.name: file.read_text() for file in sorted(self.control.iterdir())}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.mark.parametrize(
    ("host", "defaultdomain", "plusdomain"),
    [
        ("heaven.af.mil", "af.mil", "af.mil"),
        ("a.b.c.example", "b.c.example", "c.example"),
        ("af.mil", "af.mil", "af.mil"),
        ("localhost", "localhost", "localhost"),
    ],
)
def test_config_fast_makes_all_files_from_a_name(home: Home, host: str, defaultdomain: str, plusdomain: str) -> None:
    done = home.run("config-fast", host)
    assert (done.code, done.err) == (0, b"")
    assert home.files() == dict(
        zip(ALL, (f"{x}\n" for x in (defaultdomain, host, host, plusdomain, host)), strict=True)
    )
    assert f"Putting {plusdomain} into control/plusdomain...\n".encode() in done.out
    assert {file.stat().st_mode & 0o777 for file in home.control.iterdir()} == {0o644}


def test_config_fast_adds_to_lists_and_replaces_values(home: Home) -> None:
    for name in ("me", "locals", "rcpthosts", "badmailfrom"):
        (home.control / name).write_text("old.example")
    assert home.run("config-fast", "new.example").code == 0
    found = home.files()
    assert found["me"] == "new.example\n" and found["badmailfrom"] == "old.example"
    assert found["locals"] == found["rcpthosts"] == "old.example\nnew.example\n"


def test_config_fast_killed_at_any_call_leaves_whole_files(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QMAILHOME", str(home.folder))

    def fresh() -> None:
        for file in home.control.iterdir():
            file.unlink()
        for name in ALL:
            (home.control / name).write_text("old.example\n")

    for _ in crashes_of(lambda: config_fast.main([b"config-fast", b"mx.new.example"]), fresh):
        files = {name: text for name, text in home.files().items() if not name.endswith(".tmp")}
        assert tuple(files) == ALL
        assert set(files.values()) <= {
            "old.example\n",
            "mx.new.example\n",
            "new.example\n",
            "old.example\nmx.new.example\n",
        }


def test_config_fast_says_what_is_wrong(home: Home) -> None:
    usage = b"config-fast: usage: config-fast host\n"
    assert (
        home.run("config-fast") == home.run("config-fast", "") == home.run("config-fast", "a\nb") == (100, b"", usage)
    )
    home.control.rmdir()
    done = home.run("config-fast", "mx.example")
    assert (
        done.code == 111
        and done.err == f"config-fast: fatal: unable to write {home.control}/me: file does not exist\n".encode()
    )


def test_config_asks_the_domain_name_system(home: Home) -> None:
    (home.control / "locals").write_text("old.example\n")
    zone = ZONE + f"{HOST}. 60 A 192.0.2.7\n7.2.0.192.in-addr.arpa. 60 PTR MX.Mail.Example.\n"
    with serving(zone + "1.0.0.127.in-addr.arpa. 60 PTR localhost.\n") as server:
        done = home.run("config", DNSCACHEIP=server)
    assert (done.code, done.err) == (0, b"")
    hosts = "localhost\nmx.mail.example\n"
    assert home.files() == dict(
        zip(ALL, ("mail.example\n", hosts, "mx.mail.example\n", "mail.example\n", hosts), strict=True)
    )
    for line in (
        f"Your hostname is {HOST}.",
        "Your host's fully qualified name in DNS is mx.mail.example.",
        "192.0.2.7: Adding mx.mail.example to control/locals...",
        "0.0.0.0: PTR lookup failed. I assume this address has no DNS name.",
    ):
        assert line.encode() in done.out.split(b"\n")


@pytest.mark.parametrize(
    ("records", "code", "said"),
    [
        ("", 100, b"config: no IP addresses\n"),
        (f"{HOST}. 60 A 192.0.2.7\n", 100, b"config: hard error\n"),
        (f"{HOST}. 60 A 127.0.0.6\n", 111, b"config: unable to look up 6.0.0.127.in-addr.arpa: NoNameservers\n"),
    ],
)
def test_config_writes_nothing_when_the_name_cannot_be_found(home: Home, records: str, code: int, said: bytes) -> None:
    with serving(ZONE + records) as server:
        done = home.run("config", DNSCACHEIP=server)
    assert (done.code, done.err) == (code, said)
    assert b"You will have to set up control/me yourself.\n" in done.out
    assert home.files() == {}
