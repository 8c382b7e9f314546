"""PAM says who comes in: by real modules, with the password of a user that only the test has."""

from __future__ import annotations

import os
import syslog
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from accounts import Accounts, given_login, hashed, login, on_descriptor_3
from commands import Result, run
from faults import faults_of
from systemlog import SystemLog

from mta.pop3 import checkpassword_pam

JOE, OPEN, HOMELESS, OLD = 61021, 61022, 61023, 61024
SESSION = "session required pam_permit.so\n"
SERVICES = {
    "unix": "auth required pam_unix.so nodelay\naccount required pam_unix.so\n" + SESSION,
    "twice": "auth required pam_unix.so nodelay\n" * 2 + "account required pam_permit.so\n" + SESSION,
    "lax": "auth required pam_unix.so nodelay nullok\naccount required pam_unix.so\n" + SESSION,
    "open": "auth required pam_permit.so\naccount required pam_permit.so\n" + SESSION,
    "shut": "auth required pam_deny.so\n",
    "no-account": "auth required pam_permit.so\naccount required pam_deny.so\n",
    "no-session": "auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_deny.so\n",
    "told": "auth required pam_permit.so\nauth required pam_exec.so expose_authtok {folder}/tell\n"
    "account required pam_exec.so {folder}/tell\nsession required pam_exec.so {folder}/tell\n",
    "broken": "auth required pam_exec.so /nonexistent\n",
    "talkative": "auth required pam_echo.so hello\nauth required pam_unix.so nodelay\n"
    "account required pam_permit.so\n" + SESSION,
}
TELL = """\
#!/bin/sh
test $PAM_TYPE = auth && read password
echo "$PAM_SERVICE $PAM_TYPE $PAM_USER $PAM_RHOST $PAM_TTY $password" >>{folder}/told
"""
WHOSE = 'id -u; id -G; echo "$USER $HOME $SHELL"; pwd; test -e /proc/$$/fd/3 || echo no login'

pytestmark = pytest.mark.root


class Pam:
    """Services and users in a folder, for what runs behind *seen_by*."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home, self.told = folder, folder / "joe", folder / "told"
        (folder / "tell").write_text(TELL.format(folder=folder))
        (folder / "tell").chmod(0o755)
        self.home.mkdir()
        os.chown(self.home, JOE, JOE)
        accounts = Accounts(folder)
        accounts.add("joe-test", JOE, hashed("joe's secret"), self.home, "/bin/false")
        accounts.add("umlaut-test", JOE, hashed("Käse"), self.home)
        accounts.add("open-test", OPEN, "", self.home)
        accounts.add("homeless-test", HOMELESS, hashed("secret"), "/nonexistent")
        accounts.write("passwd", f"old-test:x:{OLD}:{OLD}::{self.home}:/bin/sh\n")
        accounts.write("shadow", f"old-test:{hashed('secret')}:15000:0:99999:7::15001:\n")
        accounts.serve({name: text.format(folder=folder) for name, text in SERVICES.items()})
        self.seen_by = accounts.seen_by

    def check(self, name: str, password: str, *words: str, env: dict[str, str] | None = None) -> Result:
        """What checkpassword-pam makes of a login."""
        words = "checkpassword-pam", "--stdout", *words
        return given_login(login(name, password), *self.seen_by, *words, env=env)


@pytest.fixture(scope="module")
def pam() -> Iterator[Pam]:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Pam(Path(folder))


def failed(why: str, code: int = 1) -> Result:
    return Result(code, b"", f"checkpassword-pam: {why}\n".encode())


def test_the_user_whom_pam_lets_in_runs_the_program(pam: Pam) -> None:
    code, out, err = pam.check("joe-test", "joe's secret", "-s", "unix", "--", "sh", "-c", WHOSE)
    assert (code, err) == (0, b"")
    uid, groups, variables, folder, closed = out.decode().splitlines()
    assert (uid, set(groups.split())) == (str(JOE), {str(JOE), str(JOE + 1000)})
    assert (variables, folder, closed) == (f"joe-test {pam.home} /bin/false", str(pam.home), "no login")


@pytest.mark.parametrize(
    ("name", "password"),
    [("joe-test", "Joe's secret"), ("joe-test", ""), ("nobody-by-that-name", "joe's secret"), ("open-test", "x")],
)
def test_nobody_else_does(pam: Pam, name: str, password: str) -> None:
    assert pam.check(name, password, "-s", "unix", "echo", "in") == (1, b"", b"")


@pytest.mark.parametrize("password", ["", "x"])
def test_who_has_no_password_is_nobody_s_even_where_modules_think_otherwise(pam: Pam, password: str) -> None:
    assert pam.check("open-test", password, "-s", "lax", "echo", "in").code == 1


def test_each_step_can_keep_a_user_out(pam: Pam) -> None:
    def said(service: str) -> Result:
        return pam.check("joe-test", "any", "-s", service, "echo", "in")

    assert said("open") == (0, b"in\n", b"")
    assert said("shut") == (1, b"", b"")
    assert said("no-account") == failed("account management failed: Authentication failure")
    session = "Cannot make/remove an entry for the specified session"
    assert said("no-session") == failed("opening a session failed: " + session)


def test_an_account_that_has_expired_is_out_with_the_right_password(pam: Pam) -> None:
    expired = failed("account management failed: User account has expired")
    assert pam.check("old-test", "secret", "-s", "unix", "echo", "in") == expired


def test_each_question_without_an_echo_gets_the_password(pam: Pam) -> None:
    assert pam.check("joe-test", "joe's secret", "-s", "twice", "echo", "in") == (0, b"in\n", b"")
    assert pam.check("joe-test", "joe's secret", "-s", "talkative", "echo", "in") == (0, b"in\n", b"")
    assert pam.check("umlaut-test", "Käse", "-s", "unix", "echo", "in") == (0, b"in\n", b"")


def test_modules_learn_who_comes_from_where_whether_or_not_the_user_exists(pam: Pam) -> None:
    env = {"TCPREMOTEIP": "192.0.2.7", "PAM_SERVICE": "told"}
    for name in "joe-test", "nobody-by-that-name":
        pam.told.unlink(missing_ok=True)
        assert pam.check(name, "a b", "-e", env=env) == (0, b"", b"")
        place = f"{name} 192.0.2.7 checkpassword-pam"
        lines = [f"told {kind} {place} " for kind in ("account", "open_session", "close_session")]
        assert pam.told.read_text().splitlines() == [f"told auth {place} a b", *lines]


def test_without_a_host_modules_hear_of_none(pam: Pam) -> None:
    pam.told.unlink(missing_ok=True)
    assert pam.check("joe-test", "x", "--service=told", "-e", env={"TCPREMOTEIP": ""}).code == 0
    assert pam.told.read_text().startswith("told auth joe-test   x\n")


def test_noenv_only_checks(pam: Pam) -> None:
    script = 'id -u; echo "$USER"; pwd'
    done = pam.check("virtual", "any", "-s", "open", "--noenv", "sh", "-c", script, env={"USER": "whoever"})
    assert done == (0, f"0\nwhoever\n{os.getcwd()}\n".encode(), b"")
    missing = failed("the password file does not have virtual, which takes -e", 2)
    assert pam.check("virtual", "any", "-s", "open", "echo", "in") == missing


def test_a_home_that_is_missing_matters_to_who_wants_to_go_there(pam: Pam) -> None:
    away = failed("unable to switch to /nonexistent: file does not exist", 111)
    assert pam.check("homeless-test", "secret", "-s", "unix", "echo", "in") == away
    for option in "-H", "--no-chdir-home":
        done = pam.check("homeless-test", "secret", "-s", "unix", option, "sh", "-c", 'echo "$HOME"; pwd')
        assert done == (0, f"/nonexistent\n{os.getcwd()}\n".encode(), b"")


def test_debug_tells_the_steps_and_never_the_password(pam: Pam) -> None:
    code, out, err = pam.check("joe-test", "joe's secret", "-d", "-s", "unix", "--", "true")
    assert (code, out) == (0, b"")
    steps = ("authentication", "account management", "setting credentials", "opening a session", "closing the session")
    lines = ["asking the modules of unix about joe-test", *(f"{step} succeeded" for step in steps), "running true"]
    assert err.decode().splitlines() == [f"checkpassword-pam: {line}" for line in lines]
    code, out, err = pam.check("joe-test", "wrong guess", "-s", "unix", "--debug", "true")
    assert (code, out) == (1, b"")
    ends = ("authentication failed: Authentication failure", "exiting with status 1")
    assert err.decode().splitlines() == [f"checkpassword-pam: {line}" for line in (lines[0], *ends)]


def test_lines_go_to_syslog_as_the_service_s_unless_they_are_wanted_here(pam: Pam, tmp_path: Path) -> None:
    log = SystemLog(tmp_path)

    def told(*words: str) -> list[list[object]]:
        log.file.unlink(missing_ok=True)
        command = (*pam.seen_by, "checkpassword-pam", *words)
        assert given_login(login("joe-test", "joe's secret"), *command, env=log.env)[1:] == (b"", b"")
        return log.read()

    assert told("-s", "unix", "true") == told("-s", "shut", "true") == []
    opened = ["no-account", syslog.LOG_PID, syslog.LOG_AUTH]
    line = [syslog.LOG_ERR, "account management failed: Authentication failure"]
    assert told("-s", "no-account", "true") == [opened, line]
    debugged = told("-de", "-s", "unix", "true")
    assert [syslog.LOG_DEBUG, "authentication succeeded"] in debugged
    assert "joe's secret" not in str(debugged)


def test_the_password_is_nowhere_in_what_the_program_gets(pam: Pam) -> None:
    script = "cat /proc/$$/environ /proc/$$/cmdline"
    out = pam.check("joe-test", "joe's secret", "-s", "unix", "sh", "-c", script).out
    assert out and b"joe's secret" not in out


def test_trouble_of_the_machine_is_none_of_the_user_s(pam: Pam) -> None:
    code, out, err = pam.check("joe-test", "joe's secret", "-s", "no-such-service", "echo", "in")
    assert (code, out) == (111, b"") and err.startswith(b"checkpassword-pam: ")
    code, out, err = pam.check("joe-test", "joe's secret", "-s", "broken", "echo", "in")
    assert (code, out, err) == failed("authentication failed: System error", 111)
    code, out, err = pam.check("joe-test", "joe's secret", "-s", "unix", "/nonexistent")
    assert (code, out) == (111, b"")
    assert err == b"checkpassword-pam: fatal: unable to run /nonexistent: file does not exist\n"


def test_without_the_package_it_says_what_is_missing(pam: Pam, tmp_path: Path) -> None:
    (tmp_path / "pamela.py").write_text("raise ModuleNotFoundError\n")
    done = pam.check("joe-test", "x", "-s", "open", env={"PYTHONPATH": str(tmp_path)})
    assert done == failed("the Python package pamela is not installed", 111)
    (tmp_path / "pamela.py").write_text("raise AttributeError\n")
    done = pam.check("joe-test", "x", "-s", "open", env={"PYTHONPATH": str(tmp_path)})
    assert done == failed("this machine has no libpam", 111)


def test_misuse_is_said(pam: Pam) -> None:
    assert pam.check("joe-test", "x", "true") == failed("there is no service: say -s or set PAM_SERVICE", 2)
    assert given_login(b"joe", "checkpassword-pam", "-s", "open") == (2, b"", b"")
    assert given_login(b"x" * 600, "checkpassword-pam", "-s", "open") == (1, b"", b"")
    code, out, err = run("checkpassword-pam", "-x")
    assert (code, out) == (2, b"") and err.splitlines()[0] == b"checkpassword-pam: illegal option -- x"
    unreadable = failed("unable to read descriptor 3: file descriptor not open", 111)
    assert run("checkpassword-pam", "--stdout", "-s", "open") == unreadable


def test_it_tells_what_it_is() -> None:
    assert run("checkpassword-pam", "-h") == run("checkpassword-pam", "--help")
    code, out, err = run("checkpassword-pam", "--version")
    assert (code, err) == (0, b"") and out.startswith(b"checkpassword-pam (pyqmail) ")


def test_with_any_fault_a_login_is_put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpassword_pam, "let_in", lambda service, name, *rest: name)
    with on_descriptor_3(login("nobody", "x")) as put:
        argv = [b"checkpassword-pam", b"--stdout", b"-Hs", b"open", b"true"]
        *failed, last = faults_of(checkpassword_pam.main, argv, fresh=put)
    assert (last.code, last.err) == (0, b"") and len(failed) > 3
    assert {outcome.code for outcome in failed} <= {0, 111}
    assert not any(b"bug" in outcome.err for outcome in failed)


def test_trouble_that_is_none_of_the_user_s_is_said_here_too_for_syslog_may_have_no_listener(
    pam: Pam, tmp_path: Path
) -> None:
    log = SystemLog(tmp_path)
    (tmp_path / "pamela.py").write_text("raise ModuleNotFoundError\n")
    for words, code, line in (
        ((), 2, "there is no service: say -s or set PAM_SERVICE"),
        (("-s", "open"), 111, "the Python package pamela is not installed"),
    ):
        log.file.unlink(missing_ok=True)
        command = (*pam.seen_by, "checkpassword-pam", *words, "true")
        assert given_login(login("joe-test", "x"), *command, env=log.env) == failed(line, code)
        assert log.read()[1] == [syslog.LOG_ERR, line]


def test_what_a_client_sends_is_no_line_of_its_own(pam: Pam, tmp_path: Path) -> None:
    name, shown = "ann\ncheckpassword-pam: \x1b[2Jbob", "ann?checkpassword-pam: ?[2Jbob"
    err = pam.check(name, "x", "-de", "-s", "open").err
    assert err.splitlines()[0].decode() == f"checkpassword-pam: asking the modules of open about {shown}"
    missing = failed(f"the password file does not have {shown}, which takes -e", 2)
    assert pam.check(name, "x", "-s", "open", "true") == missing
    log = SystemLog(tmp_path)
    given_login(login(name, "x"), *pam.seen_by, "checkpassword-pam", "-de", "-s", "open", env=log.env)
    assert [syslog.LOG_DEBUG, f"asking the modules of open about {shown}"] in log.read()
