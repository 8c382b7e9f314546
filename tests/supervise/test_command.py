"""The contract of a command: failures become one line on descriptor 2 and an exit code."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest
from commands import run

from supervise.command import Argv, Become, command, say
from supervise.errors import Permanent, Temporary, Usage


def outcome(failure: BaseException, capfd: pytest.CaptureFixture[str]) -> tuple[int, str]:
    @command(b"prog", b"[ -x ] file")
    def main(argv: Argv) -> int:
        raise failure

    return main([b"prog"]), capfd.readouterr().err


@pytest.mark.parametrize(
    ("failure", "code", "line"),
    [
        (Usage(), 100, "prog: usage: prog [ -x ] file\n"),
        (Temporary(b"no luck"), 111, "prog: fatal: no luck\n"),
        (Permanent(b"never"), 100, "prog: fatal: never\n"),
        (MemoryError(), 111, "prog: fatal: out of memory\n"),
        (OSError(errno.ENOSPC, "", "f"), 111, "prog: fatal: system call failed f: out of disk space\n"),
        (OSError(errno.ENOSPC, ""), 111, "prog: fatal: system call failed: out of disk space\n"),
        (KeyError("x"), 111, "prog: bug: KeyError('x')\n"),
    ],
)
def test_each_failure_is_one_line_and_a_code(
    failure: Exception, code: int, line: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYQMAIL_DEBUG", raising=False)
    assert outcome(failure, capfd) == (code, line)


def test_a_bug_shows_itself_to_who_asks_for_it(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYQMAIL_DEBUG", "1")
    with pytest.raises(KeyError):
        outcome(KeyError("x"), capfd)


def test_becoming_another_command_passes_through_every_handler(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Become):
        outcome(Become([b"other"]), capfd)
    assert not issubclass(Become, Exception)


def test_a_command_may_have_a_usage_code_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    @command(b"prog", usage_code=111)
    def main(argv: Argv) -> int:
        raise Usage

    assert main([b"prog"]) == 111


def test_nobody_left_to_hear_is_no_error() -> None:
    pid = os.fork()
    if not pid:
        try:
            os.close(2)
            say(b"hello")
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.parametrize("name", ["tcprules", "setforward", "setmaillist", "setlogins"])
def test_a_closed_descriptor_is_not_taken_by_a_file_of_ours(tmp_path: Path, name: str) -> None:
    (tmp_path / "cdb").write_bytes(b"old")
    done = run("sh", "-c", f"{name} cdb tmp <&-", cwd=tmp_path)
    assert (done.code, (tmp_path / "cdb").read_bytes()) == (111, b"old")


@pytest.mark.parametrize("fds", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_program_that_is_run_finds_closed_what_we_found_closed(tmp_path: Path, fds: str) -> None:
    script = "import os, sys; closed = [fd for fd in range(3) if not os.path.exists(f'/proc/self/fd/{fd}')]; "
    script += "print(closed, file=open('closed', 'w'))"
    found = []
    for through in "", "softlimit pgrphack ":
        assert run("sh", "-c", f'exec {through}{sys.executable} -c "$0" {fds}', script, cwd=tmp_path).code == 0
        found.append((tmp_path / "closed").read_text())
    assert found[0] == found[1]
