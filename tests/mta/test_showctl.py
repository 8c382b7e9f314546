from __future__ import annotations

import os
from pathlib import Path

import pytest
from commands import Result, run

from mta import showctl, start


@pytest.fixture
def control(tmp_path: Path) -> Path:
    """The control folder of a home that is ours alone."""
    (tmp_path / "queue").mkdir()
    folder = tmp_path / "control"
    folder.mkdir()
    (folder / "me").write_bytes(b"me.example\n")
    return folder


def show(control: Path) -> Result:
    """qmail-showctl, as a user who may be anybody: the users of the system need not be there."""
    user = 65534 if os.geteuid() == 0 else None
    for path in (control.parent, control.parent / "queue"):
        path.chmod(0o777)
    for parent in control.parents:
        if os.geteuid() == 0 and parent.stat().st_mode & 0o5 != 0o5 and parent.is_relative_to("/tmp"):
            parent.chmod(0o755)
    return run("qmail-showctl", env={"QMAILHOME": str(control.parent)}, user=user)


def test_a_bare_home_shows_what_holds_by_default(control: Path) -> None:
    code, out, err = show(control)
    assert (code, err) == (0, b"")
    assert out.startswith(b"qmail home directory: %s.\nuser-ext delimiter: -.\n" % bytes(control.parent))
    assert b"\nsubdirectory split: 23.\nuser ids: " in out
    assert b"\nme: My name is me.example.\n" in out
    assert b"\ndatabytes: (Default.) SMTP DATA limit is 0 bytes.\n" in out
    assert b"\nhelohost: (Default.) SMTP client HELO host name is me.example.\n" in out
    assert out.endswith(b"\nvirtualdomains: (Default.) No virtual domains.\n")


def test_a_plain_users_instance_is_all_one_user(control: Path) -> None:
    uid = 65534 if os.geteuid() == 0 else os.geteuid()
    assert b"\nuser ids: %s.\n" % b", ".join([b"%d" % uid] * 8) in show(control).out


def test_our_own_files_are_known_and_foreign_ones_are_named(control: Path) -> None:
    (control / "patrn").write_bytes(b"002\n")
    (control / "trace").write_bytes(b"1\n")
    (control / "a\nb").write_bytes(b"")
    out = show(control).out
    assert b"\npaternalism (in decimal): 2.\n" in out
    assert b"\npatrn: Mode bits that homes and .qmail files must not have: 002.\n" in out
    assert b"\ntrace: qmail-smtpd and qmail-remote tell more for qmail-why unless this is 0: 1.\n" in out
    assert b"\na?b: I have no idea what this file does.\n" in out


def test_what_our_own_files_ask_for_is_told(control: Path) -> None:
    for name, text in {
        "badrcptto": "old@me.example\n# x\n", "badmailto": "@evil.example\n", "recipients": "1\n",
        "smtpcapabilities": "size\nx\n", "outgoingip": "192.0.2.1\n2001:db8::1\n", "recipientsremote": "20\n",
        "scanner": "# x\nclamd /run/clamd\n", "rewrite": "=a@b:c@d\n",
    }.items():  # fmt: skip
        (control / name).write_text(text)
    out = show(control).out
    assert b"\nbadrcptto: \nold@me.example not accepted in RCPT TO.\n\n" in out
    assert b"\nbadmailto: \n@evil.example not accepted in RCPT TO.\n\n" in out
    assert b"\nrecipients: SMTP clients may not send messages to recipients that would bounce.\n" in out
    known = b"The SMTP server announces SIZE when there is a limit.\nThe SMTP server does not know X.\n"
    assert b"\nsmtpcapabilities: \n" + known in out
    assert b"\noutgoingip: \nSMTP client calls from 192.0.2.1.\nSMTP client calls from 2001:db8::1.\n" in out
    assert b"\nrecipientsremote: Recipients of a message that may share a connection: 20.\n" in out
    assert b"\nscanner: \nqmail-scanner: clamd /run/clamd\n" in out
    assert b"\nrewrite: \nRewriting in new-inject and ofmipd: =a@b:c@d\n" in out
    assert b"no idea" not in out
    (control / "recipients").write_text("0\n")
    assert b"\nrecipients: SMTP clients may send messages to recipients that would bounce.\n" in show(control).out


def test_a_bad_file_is_shown_as_bad_and_the_others_still(control: Path) -> None:
    (control / "patrn").write_bytes(b"junk\n")
    (control / "locals").mkdir()
    code, out, _ = show(control)
    assert code == 0
    assert b"\npaternalism (in decimal): 18.\n" in out
    assert b"\nlocals: Oops! Trouble reading this file.\n" in out
    assert b"\nvirtualdomains: (Default.)" in out


def test_a_home_without_control_files_is_said_to_be_none(control: Path) -> None:
    control.joinpath("me").unlink()
    control.rmdir()
    code, out, _ = show(control)
    assert (code, out.splitlines()[-1]) == (111, b"Oops! Unable to chdir to control.")


def test_the_limit_shown_is_the_spawners() -> None:
    assert int(start.LIMIT) == showctl.CONCURRENCY
