"""pyqmail lists all commands and runs any of them."""

from __future__ import annotations

import configparser
from pathlib import Path

from commands import run

ROOT = Path(__file__).resolve().parents[2]


def test_it_lists_every_command_with_what_it_is_for() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    names = [line.split("=")[0].strip() for line in config["options.entry_points"]["console_scripts"].split("\n")[1:]]
    names += [Path(line).name for line in config["options"]["scripts"].split("\n")[1:]]
    done = run("pyqmail")
    lines = [line.split(None, 1) for line in done.out.decode().splitlines()]
    assert (done.code, done.err) == (0, b"")
    assert [line[0] for line in lines] == sorted(names)
    assert all(len(line) == 2 for line in lines)


def test_it_runs_a_command_with_its_arguments_input_and_exit_code(tmp_path: Path) -> None:
    script = 'read line; echo "$line $X $0"; exit 7'
    (tmp_path / "X").write_text("set\n")
    done = run("pyqmail", "envdir", tmp_path, "sh", "-c", script, "named", input=b"said\n")
    assert done == (7, b"said set named\n", b"")


def test_a_usage_message_is_the_commands_own() -> None:
    assert run("pyqmail", "setuidgid") == run("setuidgid")


def test_it_runs_nothing_but_commands_of_this_distribution() -> None:
    for name in "sh", "nonsense", "../../../../bin/sh":
        done = run("pyqmail", name, "-c", "echo ran")
        assert (done.code, done.out) == (100, b""), name
        assert done.err == b"pyqmail: fatal: there is no command %s; pyqmail alone lists them\n" % name.encode()


def test_it_shows_the_manual_page_of_a_command() -> None:
    done = run("pyqmail", "help", "svc")
    assert (done.code, done.err) == (0, b"")
    assert done.out.startswith(b"svc - control services\n\nUsage: svc ") and done.out.endswith(
        b"See also: supervise, svstat\n"
    )
    assert run("pyqmail", "help", "sh") == (
        100,
        b"",
        b"pyqmail: fatal: there is no command sh; pyqmail alone lists them\n",
    )


def test_it_shows_the_page_of_what_people_write_into_files() -> None:
    assert run("pyqmail", "help", "qmail-users").out.startswith(b"Who a local address belongs to")
    assert run("pyqmail", "help").out == run("pyqmail").out


def test_every_command_shows_its_page_when_asked_for_help_and_nothing_else() -> None:
    for name in "tcpserver", "svstat", "qmail-local", "pyqmail":
        done = run(name, "--help")
        assert (done.code, done.err) == (0, b"")
        assert done.out.startswith(name.encode() + b" - ") and b"\nUsage: " in done.out and done.out.endswith(b"\n")
    assert run("tcpserver", "--help", "0", "0", "true").code == 100
