"""Programs are found as exec finds them; ours run here, foreign ones are exec'ed; children get a clean start."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import BIN, run

from supervise.fd import read_all
from supervise.program import arrange, candidates, execute, find, spawn

LINKS = ("envdir", "d", "softlimit", "-o", "50", "setlock", "-n", "lock")  # three of ours, one after another


def given(folder: Path, **programs: str) -> Path:
    """*folder* with these shell scripts in it."""
    folder.mkdir(exist_ok=True)
    for name, script in programs.items():
        (folder / name).write_text("#!/bin/sh\n" + script)
        (folder / name).chmod(0o755)
    return folder


def output_of(work: Callable[[], int], fds: dict[int, int] | None = None) -> tuple[int, bytes]:
    """The exit code of a spawned child, and what it wrote to descriptor 1."""
    reading, writing = os.pipe()
    pid = spawn(work, {1: writing, **(fds or {})})
    os.close(writing)
    heard = read_all(reading)
    os.close(reading)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), heard


# -- finding -----------------------------------------------------------------------------------


def test_candidates_are_those_of_exec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/a::/b")
    assert candidates(b"x") == [b"/a/x", b"./x", b"/b/x"]
    assert candidates(b"./x") == [b"./x"]
    assert candidates(b"x", b"/c") == [b"/c/x"]
    monkeypatch.delenv("PATH")
    assert candidates(b"x") == [b"/bin/x", b"/usr/bin/x"]


def test_ours_is_found_by_path_by_name_and_behind_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{BIN}")
    assert getattr(find(b"softlimit"), "name", None) == b"softlimit"
    assert getattr(find(os.fsencode(BIN / "softlimit")), "name", None) == b"softlimit"
    (tmp_path / "other").symlink_to(BIN / "softlimit")
    assert getattr(find(b"other"), "name", None) == b"softlimit"


def test_a_foreign_program_in_front_hides_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given(tmp_path, softlimit="echo foreign\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:{BIN}")
    assert find(b"softlimit") is None


def test_a_folder_of_that_name_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "softlimit").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}:{BIN}")
    assert find(b"softlimit") is not None


def test_the_search_ends_where_exec_would_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PATH", f"{tmp_path}/file:{BIN}")
    assert find(b"softlimit") is None
    assert obstacle([b"softlimit"], os.fsencode(f"{tmp_path}/file:{BIN}")) == "NotADirectoryError"


def test_what_is_not_there_and_what_is_not_ours_is_not_found() -> None:
    assert find(b"no-such-program") is None
    assert find(b"sh") is None
    assert find(os.fsencode(BIN / "pytest")) is None


# -- chains ------------------------------------------------------------------------------------


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_links_of_ours_run_in_one_process_with_one_exec_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    trace = tmp_path / "trace"
    done = run("strace", "-f", "-e", "trace=execve", "-o", trace, *LINKS, "sh", "-c", "echo $$", cwd=tmp_path)
    begun = re.findall(r"^(\d+) +execve\(\"([^\"]*).* = 0$", trace.read_text(), re.MULTILINE)
    assert [(pid, os.path.basename(file)) for pid, file in begun] == [
        (done.out.decode().strip(), "envdir"),
        (done.out.decode().strip(), "sh"),
    ]


def test_each_link_has_done_its_part(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "COLOUR").write_text("blue\n")
    done = run(*LINKS, "sh", "-c", "echo $COLOUR; ulimit -Sn; setlock -n lock echo taken", cwd=tmp_path)
    assert done.out == b"blue\n50\n"
    assert done.err == b"setlock: fatal: unable to lock lock: temporary failure\n"


def test_a_foreign_link_is_execed_and_finds_ours_again(tmp_path: Path) -> None:
    given(tmp_path / "first", softlimit='echo foreign "$@"\nshift 2\nexec "$@"\n')
    (tmp_path / "d").mkdir()
    done = run(*LINKS, "echo", "end", cwd=tmp_path, env={"PATH": f"{tmp_path / 'first'}:{BIN}:/usr/bin:/bin"})
    assert done.out == b"foreign -o 50 setlock -n lock echo end\nend\n"


def test_a_chain_ends_with_the_code_of_its_last_link(tmp_path: Path) -> None:
    assert run("setlock", tmp_path / "l", "sh", "-c", "exit 7").code == 7
    assert run("setlock", tmp_path / "l", "sh", "-c", "kill -9 $$").code == -9


def test_the_link_before_a_missing_program_says_so(tmp_path: Path) -> None:
    done = run("setlock", tmp_path / "l", "softlimit", "-o", "50", "no-such-program")
    assert done == (111, b"", b"softlimit: fatal: unable to run no-such-program: file does not exist\n")


@pytest.mark.parametrize("given", [None, "C", "C.UTF-8"])
def test_the_interpreters_change_of_locale_does_not_show(given: str | None, tmp_path: Path) -> None:
    env = {"LC_ALL": None, "LANG": None, "LC_CTYPE": given}
    done = run("setlock", tmp_path / "l", "sh", "-c", 'echo "${LC_CTYPE-unset}"', env=env)
    assert done.out.decode().strip() == (given or "unset")


# -- exec --------------------------------------------------------------------------------------


def obstacle(argv: list[bytes], path: bytes) -> str:
    with pytest.raises(OSError) as caught:
        execute(argv, path)
    return type(caught.value).__name__


def test_the_first_real_obstacle_counts(tmp_path: Path) -> None:
    (given(tmp_path / "a", prog="exit 0\n") / "prog").chmod(0o600)
    path = os.fsencode(f"/nowhere:{tmp_path}/a:/none")
    assert obstacle([b"prog"], path) == "PermissionError"
    assert obstacle([b"prog"], b"/nowhere") == "FileNotFoundError"


def test_a_program_that_may_not_be_run_does_not_hide_the_next(tmp_path: Path) -> None:
    (given(tmp_path / "a", prog="echo a\n") / "prog").chmod(0o600)
    given(tmp_path / "b", prog="echo b\n")
    path = os.fsencode(f"{tmp_path}/a:{tmp_path}/b")
    assert output_of(lambda: execute([b"prog"], path)) == (0, b"b\n")


def test_an_empty_name_is_a_folder_that_nobody_can_run() -> None:
    assert obstacle([b"", b"x"], b"/nowhere:/bin") == "PermissionError"
    assert obstacle([b""], b"/nowhere") == "FileNotFoundError"


def test_what_is_no_variable_stays_in_the_environment() -> None:
    done = run("env", "-i", "=strange", "A=1", BIN / "setlock", "/dev/null", "/usr/bin/env")
    assert sorted(done.out.splitlines()) == [b"=strange", b"A=1"]


def test_a_nul_in_an_argument_is_an_ordinary_error() -> None:
    assert obstacle([b"echo", b"a\0b"], b"/bin") == "OSError"


# -- children ----------------------------------------------------------------------------------


def test_a_child_has_its_descriptors_and_no_others() -> None:
    spare = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(spare, True)
    look = b"for fd in $(seq 0 99); do [ -e /proc/$$/fd/$fd ] && echo $fd; done; exit 0"
    code, heard = output_of(lambda: execute([b"sh", b"-c", look]), {6: spare})
    os.close(spare)
    assert (code, heard.split()) == (0, [b"0", b"1", b"2", b"6"])


def test_descriptors_may_change_places() -> None:
    ends = [os.open("/dev/null", os.O_RDONLY), os.open("/dev/zero", os.O_RDONLY)]
    names = b"for fd in %d %d; do readlink /proc/self/fd/$fd; done" % (ends[0], ends[1])
    swapped = {ends[0]: ends[1], ends[1]: ends[0]}
    code, heard = output_of(lambda: execute([b"bash", b"-c", names]), swapped)
    for fd in ends:
        os.close(fd)
    assert (code, heard) == (0, b"/dev/zero\n/dev/null\n")


def test_nothing_named_keeps_the_standard_three_and_closes_the_rest() -> None:
    extra = os.dup(0)

    def work() -> int:
        arrange({})
        return sum(1 << fd for fd in (0, 1, 2, extra) if os.path.exists(f"/proc/self/fd/{fd}"))

    assert output_of(work)[0] == 0b111
    os.close(extra)


def test_a_child_has_default_signals() -> None:
    before = signal.signal(signal.SIGUSR1, lambda number, frame: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    try:
        code, heard = output_of(lambda: execute([b"cat", b"/proc/self/status"]))
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})
        signal.signal(signal.SIGUSR1, before)
    masks = {line.split()[0]: int(line.split()[1], 16) for line in heard.splitlines() if re.match(rb"Sig[BCI]", line)}
    assert (code, masks[b"SigBlk:"], masks[b"SigCgt:"]) == (0, 0, 0)
    assert not masks[b"SigIgn:"] & (1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_an_ignored_signal_stays_ignored(number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    done = run("sh", "-c", f"trap '' {name}; exec setlock /dev/null sh -c 'kill -{name} $$; echo alive'")
    assert done == (0, b"alive\n", b"")


def test_what_fails_in_a_child_stays_there(capfd: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        raise KeyError("x")

    assert output_of(work) == (111, b"")
    assert capfd.readouterr().err == "child: bug: KeyError('x')\n"


def test_a_command_line_may_be_spawned_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{BIN}:/usr/bin:/bin")
    pid = spawn([b"setlock", os.fsencode(tmp_path / "l"), b"sh", b"-c", b"exit 5"], prepare=lambda: os.chdir(tmp_path))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
