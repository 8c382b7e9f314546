"""svlog as users run it: what it finds, what it prints, what it does not read."""

from __future__ import annotations

import gzip
import json
import os
import pty
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import zstandard
from commands import BIN, environment, run, start
from hypothesis import given
from hypothesis import strategies as st
from logfiles import EPOCH, SECOND, at, lines, put, put_current, put_old

from supervise.history.view import View, harmless
from supervise.stamp import label

ORIGINAL = "/usr/bin/multilog"
WRITERS = [
    "multilog",
    pytest.param(
        ORIGINAL, marks=pytest.mark.skipif(not Path(ORIGINAL).exists(), reason="daemontools is not installed")
    ),
]


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("QMAILHOME", raising=False)
    monkeypatch.setenv("SVDIR", "/nowhere")


def service(name: str, where: str = "log/main", folder: str = "service") -> Path:
    """Make a service directory; its log directory."""
    log = Path(folder, name, where)
    log.mkdir(parents=True)
    put(Path(folder, name), "run", b"#!/bin/sh\n")
    put(Path(folder, name, "log"), "run", b"#!/bin/sh\n")
    return log


def svlog(*words: str, code: int = 0, err: bytes = b"", env: dict[str, str] | None = None) -> bytes:
    """What svlog prints."""
    done = run("svlog", *words, env=env)
    assert (done.code, done.err) == (code, err)
    return done.out


# -- what it finds ----------------------------------------------------------------------------------------------------


def test_a_log_directory_a_service_and_its_log_mean_the_same() -> None:
    put_current(service("web"), lines(1))
    shown = b"2027-01-15 08:00:01.000000000 line 1\n"
    for word in ("service/web/log/main", "service/web", "./service/web/", "service/web/log"):
        assert svlog(word) == shown
    os.chdir("service/web")
    assert svlog(".") == svlog("log/main") == shown


def test_the_only_directory_below_log_is_taken_and_of_several_one_must_be_named() -> None:
    put_current(service("web", "log/logs/access"), lines(1))
    assert svlog("service/web", "--raw") == lines(1)
    put_current(Path("service/web/log/other"), lines(2))
    line = (
        b"svlog: warning: several log directories in service/web: "
        b"name one of service/web/log/logs/access, service/web/log/other\n"
    )
    assert svlog("service/web", code=111, err=line) == b""
    put_current(Path("service/web/log/main"), lines(3))
    assert svlog("service/web", "--raw") == lines(3)


def test_what_there_is_not_is_said_and_the_rest_is_read() -> None:
    put_current(service("web"), lines(1))
    service("quiet")
    done = run("svlog", "-r", "nosuch", "service/quiet", "service/web")
    assert done.err == (
        b"svlog: warning: there is no service or directory nosuch\nsvlog: warning: no logs in service/quiet\n"
    )
    assert (done.code, done.out) == (111, lines(1))


def test_a_bare_name_is_looked_for_here_and_then_where_svscan_runs() -> None:
    put_current(service("web", folder="home/service"), lines(1))
    put_current(service("web", folder="watched"), lines(2))
    home, watched = {"QMAILHOME": "home", "SVDIR": ""}, {"SVDIR": "watched"}
    assert svlog("-r", "web", env=watched) == lines(2)
    assert svlog("-r", "web", env=home) == lines(1)
    assert svlog("-r", "web", env=home | watched) == lines(2)
    Path("web").mkdir()
    assert svlog("-r", "web", env=watched) == lines(2)
    put_current(Path("web"), lines(4))
    assert svlog("-r", "web", env=watched) == lines(4)


def test_all_services_are_those_that_svstat_shows() -> None:
    for second, folder in enumerate(("home/service", "watched", "watched")):
        put_current(service(f"web{second}", folder=folder), lines(second))
    for env in ({"SVDIR": "watched", "QMAILHOME": "home"}, {"SVDIR": "", "QMAILHOME": "home"}, {"SVDIR": "watched"}):
        shown = {json.loads(line)["service"] for line in svlog("--json", env=env).splitlines()}
        assert shown == {
            each["name"]
            for each in json.loads(run("svstat", "--json", env=env).out)
            if not each["name"].endswith("/log")
        }
    line = b"svlog: warning: no folder of services here: name one, or set SVDIR\n"
    assert svlog(code=111, err=line, env={"SVDIR": "", "QMAILHOME": "nowhere"}) == b""


def test_without_arguments_all_services_that_have_logs_are_read() -> None:
    put_current(service("b"), lines(2))
    put_current(service("a"), lines(1, 3))
    service("quiet")
    Path("service/.hidden").symlink_to("a")
    Path("service/file").touch()
    named = b"".join(b"%b %b: line %d\n" % (at(n), name, n) for n, name in ((1, b"a"), (2, b"b"), (3, b"a")))
    assert svlog("-r", env={"SVDIR": "service"}) == named
    assert svlog("-r", env={"QMAILHOME": ".", "SVDIR": ""}) == named
    shutil.rmtree("service/b")
    assert svlog("-r", env={"SVDIR": "service"}) == lines(1, 3)


def test_without_services_it_says_where_it_looked() -> None:
    line = b"svlog: warning: unable to read /nowhere: file does not exist\n"
    assert svlog(code=111, err=line) == b""
    Path("service").mkdir()
    assert svlog(code=111, err=b"svlog: warning: there are no services in service\n", env={"SVDIR": "service"}) == b""


def test_a_directory_that_is_named_twice_is_read_once() -> None:
    put_current(service("web"), lines(1))
    Path("link").symlink_to("service/web")
    assert svlog("-r", "service/web", "link", "service/web/log/main") == lines(1)


def test_services_of_the_same_name_are_told_apart() -> None:
    put_current(service("web"), lines(1))
    put_current(service("web", folder="other"), lines(2))
    shown = at(1) + b" web: line 1\n" + at(2) + b" other/web/log/main: line 2\n"
    assert svlog("-r", "service/web", "other/web") == shown


@pytest.mark.root
def test_what_cannot_be_read_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    put_current(service("web"), lines(1, 5))
    put_current(service("private"), lines(2))
    put_old(Path("service/web/log/main"), 3, lines(3)).chmod(0o600)
    put_current(service("broken"), b"").unlink()
    put_old(Path("service/broken/log/main"), 4, lines(4))
    Path("service/broken/log/main/current").mkdir()
    Path("service/private/log/main").chmod(0o700)
    tmp_path.chmod(0o755)
    done = run("svlog", "-r", "service/private", "service/web", "service/broken", user=65534)
    assert done.out == at(1) + b" web: line 1\n" + at(4) + b" broken: line 4\n" + at(5) + b" web: line 5\n"
    name = at(3) + b".s"
    assert sorted(done.err.splitlines()) == [
        b"svlog: warning: unable to read service/broken/log/main/current: is a directory",
        b"svlog: warning: unable to read service/private/log/main: access denied",
        b"svlog: warning: unable to read service/web/log/main/%b: access denied" % name,
    ]
    assert done.code == 111


@pytest.mark.parametrize("ending", [".s.gz", ".s.zst"])
def test_of_a_damaged_log_what_can_be_read_is_read(ending: str) -> None:
    text = b"".join(lines(second, what=os.urandom(100).hex()) for second in range(2000))
    old = put_old(Path("log"), 2000, text, ending)
    old.write_bytes(old.read_bytes()[:100000])
    put_current(Path("log"), lines(2001))
    done = run("svlog", "-r", "log")
    assert done.err == b"svlog: warning: unable to read log/%b: compressed data is cut off\n" % os.fsencode(old.name)
    assert done.code == 111
    *whole, cut, last = done.out.splitlines(keepends=True)
    assert len(whole) > 300
    assert text.startswith(b"".join(whole) + cut.rstrip(b"\n"))
    assert last == lines(2001)


@pytest.mark.parametrize("ending", [".s.gz", ".s.zst"])
@pytest.mark.parametrize("size", [0, 1, 3])
def test_a_compressed_log_that_has_hardly_begun_is_said_once_and_the_rest_is_read(ending: str, size: int) -> None:
    old = put_old(Path("log"), 2, lines(1), ending)
    old.write_bytes(old.read_bytes()[:size])
    put_current(Path("log"), lines(3))
    line = b"svlog: warning: unable to read log/%b: compressed data is cut off\n" % os.fsencode(old.name)
    for words in ([], ["-n", "5"], ["--since", at(1).decode(), "--until", at(4).decode()]):
        assert svlog("-r", "log", *words, code=111, err=line) == lines(3)


# -- what it prints ---------------------------------------------------------------------------------------------------


def test_dates_are_those_of_tai64nlocal() -> None:
    for folder, lag in (("a", 0.0), ("b", 0.5)):
        put_current(Path(folder), lines(*(second * 40000 + lag for second in range(1000))) + b"\n@x odd\n")
    for zone in ("UTC", "Asia/Kathmandu", "America/Chicago"):
        env = {"TZ": zone}
        assert svlog("a", env=env) == run("tai64nlocal", input=Path("a/current").read_bytes(), env=env).out
        assert svlog("a", "b", env=env) == run("tai64nlocal", input=svlog("-r", "a", "b"), env=env).out
        assert svlog("--utc", "a", env=env) == svlog("-u", "a") == svlog("a")


def test_a_stamp_that_no_calendar_reaches_stays() -> None:
    far = b"@7fffffffffffffff00000000 far\n"
    put_current(Path("a"), lines(1) + far)
    assert svlog("a").endswith(b"\n" + far)
    assert json.loads(svlog("a", "--json").splitlines()[1])["time"] is None


def test_lines_of_several_services_have_their_names_with_and_without_a_stamp() -> None:
    put_current(service("web"), lines(1) + b"traceback\n" + lines(4))
    put_current(service("mail"), lines(2, 3))
    assert svlog("service/web", "service/mail") == (
        b"2027-01-15 08:00:01.000000000 web: line 1\n"
        b"web: traceback\n"
        b"2027-01-15 08:00:02.000000000 mail: line 2\n"
        b"2027-01-15 08:00:03.000000000 mail: line 3\n"
        b"2027-01-15 08:00:04.000000000 web: line 4\n"
    )


def test_json_has_one_object_for_each_line() -> None:
    put_current(service("web"), lines(1.25) + b'more "\xff\xc3\xa4\x1b\n')
    shown = svlog("--json", "service/web", env={"TZ": "Asia/Kathmandu"})
    assert [json.loads(line) for line in shown.splitlines()] == [
        {
            "time": "2027-01-15T13:45:01.250000000+05:45",
            "tai64n": at(1.25).decode(),
            "service": "web",
            "text": "line 1.25",
        },
        {
            "time": "2027-01-15T13:45:01.250000000+05:45",
            "tai64n": None,
            "service": "web",
            "text": 'more "\\xff\xe4\x1b',
        },
    ]
    assert shown.isascii()
    west = json.loads(svlog("--json", "-n1", "service/web", env={"TZ": "America/St_Johns"}))
    assert west["time"] == "2027-01-15T04:30:01.250000000-03:30"
    assert json.loads(svlog("--json", "-un1", "service/web"))["time"] == "2027-01-15T08:00:01.250000000+00:00"


def test_json_has_nine_digits_of_a_second_whatever_the_stamp_says() -> None:
    put_current(Path("log"), at(1)[:17] + b"ffffffff odd\n" + lines(1.5))
    shown = [json.loads(line)["time"] for line in svlog("--json", "-u", "log").splitlines()]
    assert [re.fullmatch(r".*:\d\d\.(\d+)\+00:00", time)[1] for time in shown] == ["999999999", "500000000"]  # type: ignore[index]


def test_a_pattern_looks_at_the_line_and_not_at_its_stamp() -> None:
    put_current(Path("a"), lines(*range(20)) + b"caf\xe9 14\n")
    assert svlog("-r", "-g", "line 1?4$", "a") == lines(4, 14)
    assert svlog("-r", "--grep", "14", "a") == lines(14) + b"caf\xe9 14\n"
    assert svlog("-r", "-g", "4", "-n", "2", "a") == lines(14) + b"caf\xe9 14\n"
    assert svlog("-r", "-g", "(?i)LINE", "-n", "2", "a") == lines(18, 19)
    assert svlog("-r", "-g", "^@", "a", code=1, err=b"svlog: nothing found\n") == b""
    line = b"svlog: fatal: bad pattern (: missing ), unterminated subpattern at position 0\n"
    assert svlog("-g", "(", "a", code=100, err=line) == b""
    assert svlog("-r", "-g", "[[4]$", "-n1", "a") == b"caf\xe9 14\n"


@given(st.binary())
def test_bytes_are_printed_as_they_are(text: bytes) -> None:
    text = text.replace(b"\n", b"")
    view = View(raw=True, utc=False, json=False, safe=False, pattern=None)
    view.names.append(b"web")
    assert view.text([(at(1), 0, at(1) + b" " + text), (at(1), 0, text)]) == at(1) + b" " + text + b"\n" + text + b"\n"


@given(st.binary())
def test_a_terminal_obeys_nothing_that_is_in_a_line(text: bytes) -> None:
    shown = harmless(text)
    assert not [sign for sign in shown.decode(errors="replace") if ord(sign) < 32 and sign not in "\t\n"]
    assert not re.search(rb"[\x7f]|\xc2[\x80-\x9f]|^[\x80-\x9f]", shown)
    if text.isascii() and text.decode().replace("\n", "").isprintable():
        assert shown == text


def test_on_a_terminal_control_characters_are_escaped_and_letters_are_not() -> None:
    put_current(Path("a"), at(1) + "\tgr\u00fcn \x1b[31mrot\x07\x9b1m \r".encode() + b"\xe4\x9b\n")
    screen, terminal = pty.openpty()
    with start("svlog", "-r", "a", stdout=terminal) as process:
        shown = os.read(screen, 1000)
        assert process.wait(20) == 0
    os.close(screen)
    os.close(terminal)
    expected = at(1) + "\tgr\u00fcn \\x1b[31mrot\\x07\\x9b1m \\x0d".encode() + b"\xe4\\x9b\r\n"
    assert shown.replace(b" " * 4, b"\t") == expected or shown == expected


def test_nothing_found_is_said() -> None:
    put_current(Path("a"), lines(1))
    for words in (["--since", at(2).decode()], ["--until", at(1).decode()], ["-n", "0"]):
        assert svlog("a", *words, code=1, err=b"svlog: nothing found\n") == b""
    put_current(Path("b"), b"")
    assert svlog("b", code=1, err=b"svlog: nothing found\n") == b""


@pytest.mark.parametrize(
    "words",
    ["-x", "--nosuch", "--json=1", "--since", "-n", "-n x", "-n -1", "-f --until 1h", "--json -r"],
)
def test_wrong_usage_is_answered_with_the_right_one(words: str) -> None:
    done = run("svlog", *words.split(), "a") if words != "--since" and words != "-n" else run("svlog", "a", words)
    assert (done.code, done.out) == (100, b"")
    assert done.err.splitlines()[-1].startswith(b"svlog: usage: svlog [-fru] ")


def test_a_moment_that_is_none_is_answered_with_examples() -> None:
    done = run("svlog", "--since", "noon", "a")
    assert (done.code, done.out) == (100, b"")
    assert re.fullmatch(rb"svlog: fatal: unknown time noon: it can be as 10m, .*\n", done.err)


# -- what multilog writes ---------------------------------------------------------------------------------------------


def fill(writer: str, *actions: str, folder: str = "log", count: int = 3000) -> list[bytes]:
    """Have *writer* make logs of many lines; the lines."""
    texts = [b"%d %b" % (number, b"x" * (number % 100)) for number in range(count)]
    assert run(writer, *actions, "./" + folder, input=b"\n".join(texts)).code == 0
    return texts


def texts(shown: bytes) -> list[bytes]:
    """The lines of what is printed without their dates."""
    return [line.split(b" ", 2)[2] for line in shown.splitlines()]


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("processor", [[], ["!gzip"], ["!cat"]])
def test_all_that_multilog_has_written_is_printed(writer: str, processor: list[str]) -> None:
    written = fill(writer, "t", "s4096", "n1000", *processor)
    assert len(list(Path("log").glob("@*"))) > 30
    assert texts(svlog("log")) == written
    assert texts(svlog("-n", "1234", "log")) == written[-1234:]


@pytest.mark.parametrize("writer", WRITERS)
def test_the_logs_of_a_multilog_without_stamps_are_merged_by_the_times_of_the_files(writer: str) -> None:
    written = fill(writer, "s4096", "n1000")
    put_current(Path("before"), b"%b x\n" % label(EPOCH - 10 * 365 * 86400 * SECOND))
    put_current(Path("after"), lines(20 * 365 * 86400))
    shown = svlog("before", "log", "after").splitlines()
    assert shown[1:-1] == [b"log: " + text for text in written]
    assert svlog("log", "--since", "1h") == b"\n".join(written) + b"\n"
    svlog("log", "--until", "1h", code=1, err=b"svlog: nothing found\n")


@pytest.mark.parametrize("writer", WRITERS)
def test_a_line_that_is_longer_than_a_log_is_printed_whole(writer: str) -> None:
    text = b"x" * 10000
    assert run(writer, "t", "s4096", "n9", "./log", input=b"a\n" + text + b"\nb\n").code == 0
    assert texts(svlog("log")) == [b"a", text, b"b"]
    assert texts(svlog("log", "-n2")) == [text, b"b"]
    assert texts(svlog("log", "-n1")) == [b"b"]


# -- what it does not read --------------------------------------------------------------------------------------------


def bytes_read(*words: str) -> int:
    """How many bytes of logs svlog reads."""
    trace = Path("trace")
    argv = ["strace", "-o", str(trace), "-e", "trace=pread64", str(BIN / "svlog"), *words]
    subprocess.run(argv, env=environment(), stdout=subprocess.DEVNULL, timeout=60, check=True)
    return sum(int(size) for size in re.findall(r" = (\d+)$", trace.read_text(), re.M))


def test_logs_that_are_too_old_are_not_looked_at() -> None:
    for second in range(10, 50, 10):
        old = put_old(Path("log"), second, b"")
        old.unlink()
        old.mkdir()  # whoever opens and reads this fails
    put_old(Path("log"), 60, lines(55, 56))
    put_current(Path("log"), lines(61))
    assert svlog("-r", "log", "--since", at(50.5).decode()) == lines(55, 56, 61)
    assert svlog("-r", "log", "--since", at(56).decode()) == lines(56, 61)
    assert svlog("-r", "log", "-n2") == lines(56, 61)
    assert run("svlog", "log").code == 111


def test_no_line_is_lost_when_the_clock_was_set_back_within_a_log() -> None:
    clock = [*range(20000, 24000), *range(10000, 14000), *range(22000, 26000)]
    put_old(Path("log"), 26000, lines(*clock))
    put_current(Path("log"), lines(*(second + 10000 for second in clock)))
    every = clock + [second + 10000 for second in clock]
    for since, until in ((21000, 23000), (11000, 21000), (12000, 13000), (23500, 24500), (30500, 33000)):
        bounds = ["--since", at(since).decode(), "--until", at(until).decode()]
        wanted = [second for second in every if since <= second < until]
        assert svlog("-r", "log", *bounds) == lines(*wanted)
        assert svlog("-r", "log", *bounds, "-n", "7") == lines(*wanted[-7:])


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_of_a_large_log_little_is_read() -> None:
    text = b"".join(lines(second, what="x" * 80) for second in range(60000))
    put_current(Path("log"), text)
    put_old(Path("log"), -1, text)
    assert bytes_read("log") > 2 * len(text)
    for words in (["-n", "100"], ["-n", "5", "-g", "9$"], ["-n", "2", "--since", at(59000).decode()]):
        assert bytes_read("log", *words) < len(text) / 2


# -- how it ends ------------------------------------------------------------------------------------------------------


def test_it_ends_quietly_when_nobody_reads_on() -> None:
    put_current(Path("log"), lines(*range(20000)))
    process = start("svlog", "log", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout and process.stderr
    assert process.stdout.readline().endswith(b"line 0\n")
    process.stdout.close()
    assert process.wait(20) == -signal.SIGPIPE
    assert process.stderr.read() == b""
    process.stderr.close()


def test_output_that_cannot_be_written_is_said() -> None:
    put_current(Path("log"), lines(1))
    done = run("sh", "-c", "svlog log >/dev/full")
    assert done == (111, b"", b"svlog: fatal: unable to write output: out of disk space\n")


def test_a_compressed_log_can_be_larger_than_what_is_kept_in_memory() -> None:
    block = b"".join(lines(second, what="y" * 500) for second in range(2000))
    old = put_old(Path("log"), 2000, b"", ".s.zst")
    with old.open("wb") as file, zstandard.ZstdCompressor().stream_writer(file) as packed:
        for _ in range(100):
            packed.write(block)
    put_old(Path("log"), 2001, b"", ".s.gz").write_bytes(gzip.compress(block) * 10)
    limit = f"ulimit -v {90 * 1024}; exec svlog log | wc -l"
    assert run("sh", "-c", limit) == (0, b"220000\n", b"")
