"""Rules that nobody would write, files of rules that are damaged, and files that change while everybody connects."""

from __future__ import annotations

import os
import random
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from siege import FOREIGN, unharmed
from tcp import Server

from supervise.errors import Permanent, Temporary
from ucspi import cdb
from ucspi.cdb import HEADER, Cdb
from ucspi.rules.rules import compile, decide
from ucspi.rules.tcprulescheck import main as tcprulescheck

TCPRULES, TCPRULESCHECK = Path("/usr/bin/tcprules"), Path("/usr/bin/tcprulescheck")
original = pytest.mark.skipif(not TCPRULES.exists(), reason="ucspi-tcp is not installed")
in_one_folder = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

marks = b'1.2.3.4 10. ::1 = =.b.c j@ - : allow deny , A="x" B=/ # \xff 99999999999999999999 :allow :deny'
pieces = st.sampled_from([*marks.split(b" "), b" ", b"\t", b"\0", b"\n", b":deny\n"])
texts = st.binary(max_size=60) | st.lists(pieces, max_size=30).map(b"".join)

ranges = b" = 1. 1.2. 1.2.3. 1.2.3.4 1.2.3.1-9 1.2.0-3. ::1 fe80: fe80:: =h =a.h =.h =.a.h j@1.2.3.4 @1.2.3.4 j@=a.h"
places = st.sampled_from(ranges.split(b" "))
words = st.sampled_from([b":allow", b":deny", b':allow,A="x",B="y"', b':allow,="x"', b":allow,D=aba"])
rules = st.lists(st.builds(bytes.__add__, places, words), max_size=8).map(b"\n".join)
ips = st.sampled_from(b" 1.2.3.4 1.2.3.40 1.2.4.4 ::1 fe80::1 fe80:1:: 1. nonsense .. ::".split(b" "))
hosts = st.none() | st.sampled_from([b"", b"h", b"a.h", b"b.a.h", b".", b"..h", b"a.h."])
infos = st.none() | st.sampled_from([b"", b"j", b"@", b"=", b"j@"])


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(text: bytes) -> bytes:
    cdb.write(b"r.cdb", b"r.tmp", compile([text]))
    return Path("r.cdb").read_bytes()


@original
@in_one_folder
@given(texts)
@example(b"1.2.3." + b"9" * 5000 + b"-255:deny\n")
@example(b"1.2.3.4-" + b"0" * 5000 + b"6:deny\n")
def test_any_text_is_refused_with_a_line_or_makes_the_file_of_the_original(text: bytes) -> None:
    try:
        content = written(text)
    except Permanent as refusal:
        assert refusal.line.startswith(b"unable to parse this line: ")
        assert b"\n" not in refusal.line
        return
    lines = b"\n".join(line.rstrip(b" \t") for line in text.split(b"\n"))  # the original never ends with blank lines
    subprocess.run([TCPRULES, "o.cdb", "o.tmp"], input=lines, check=True, timeout=20)
    assert content == Path("o.cdb").read_bytes()


@original
@in_one_folder
@given(rules, ips, hosts, infos)
def test_the_rule_for_a_client_is_that_of_the_original(
    capfdbinary: pytest.CaptureFixture[bytes], text: bytes, ip: bytes, host: bytes | None, info: bytes | None
) -> None:
    written(text)
    given = {b"TCPREMOTEIP": ip, b"TCPREMOTEHOST": host, b"TCPREMOTEINFO": info}
    client = {name: value for name, value in given.items() if value is not None}
    done = subprocess.run([TCPRULESCHECK, "r.cdb"], env=client, capture_output=True, timeout=20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "environb", client)
        assert tcprulescheck([b"tcprulescheck", b"r.cdb"]) == 0
    assert capfdbinary.readouterr().out == done.stdout


# -- damaged files -----------------------------------------------------------------------------

DENYING = b'127.0.0.2:allow,A="x"\n10.0.0.0/8:deny\n=.h:deny\n192.0.2.:deny\n:deny\n'
CLIENTS = [(b"127.0.0.1", None), (b"10.1.1.1", None), (b"192.0.2.1", b"a.h"), (b"2001:db8::1", b"b.h")]


def decisions(content: bytes | None = None) -> list[bool | None]:
    """Whether each client may connect by a file with this *content*, or the last one; None: that cannot be told."""
    if content is not None:
        Path("d.cdb").write_bytes(content)
    found: list[bool | None] = []
    for ip, host in CLIENTS:
        try:
            opened = Cdb.open(b"d.cdb")
            assert opened
            try:
                found.append(decide(opened, ip, host, None)[0])
            finally:
                opened.close()
        except Temporary:
            found.append(None)
    return found


def test_a_file_cut_short_anywhere_lets_nobody_in_who_is_denied() -> None:
    whole = written(DENYING)
    assert decisions(whole) == [False] * 4
    for size in reversed(range(len(whole))):
        os.truncate("d.cdb", size)
        assert True not in decisions()


@pytest.mark.parametrize("size", [512, 4096])
def test_a_file_with_zeros_at_its_beginning_lets_nobody_in_who_is_denied(size: int) -> None:
    whole = written(DENYING)
    zeros = bytes(size) + whole[size:] + bytes(max(0, size - len(whole)))
    if size < HEADER:
        assert None in decisions(zeros)
    else:
        assert decisions(zeros) == [None] * 4


@in_one_folder
@given(st.lists(st.tuples(st.integers(0, 1 << 16), st.binary(min_size=1, max_size=8)), min_size=1, max_size=20))
def test_any_damage_is_a_decision_or_an_error(damage: list[tuple[int, bytes]]) -> None:
    content = bytearray(written(DENYING))
    for at, change in damage:
        at %= len(content)
        content[at : at + len(change)] = change
    assert len(decisions(bytes(content))) == 4


@in_one_folder
@given(st.binary(max_size=3000), st.binary(max_size=200))
def test_any_file_is_a_decision_or_an_error(header: bytes, rest: bytes) -> None:
    assert len(decisions(header.ljust(HEADER, b"\x10") + rest)) == 4


def test_with_damaged_rules_each_connection_is_dropped_with_a_line() -> None:
    choices = random.Random(4)
    whole = written(DENYING)
    with (
        Server("cat", options=("-vRHl0", "-x", "r.cdb")) as server,
        unharmed(server, FOREIGN, lambda: restored(server)),
    ):
        for number, size in enumerate([0, 1, 2047, *choices.sample(range(HEADER, len(whole) - 8 * 12), 10)], 1):
            replace(whole[:size])
            assert server.ask(say=b"hello\n") == b""
            server.logged("tcpserver: warning: dropping connection, unable to read r.cdb: protocol error\n", number)
        for _ in range(50):
            content = bytearray(whole)
            for _ in range(10):
                content[choices.randrange(len(content))] = choices.randrange(256)
            replace(bytes(content))
            assert server.ask(say=b"hello\n") in (b"", b"hello\n")
        replace(None)
        assert server.ask(say=b"hello\n") == b""
        server.logged("dropping connection, unable to read r.cdb: file does not exist\n")


def replace(content: bytes | None) -> None:
    """Put a file of rules, or none, in place of that which is there."""
    if content is None:
        os.unlink("r.cdb")
    else:
        Path("r.new").write_bytes(content)
        os.rename("r.new", "r.cdb")


def restored(server: Server) -> bool:
    """Whether a client is served once there are rules that allow it."""
    written(b":allow\n")
    return server.ask(say=b"hello\n") == b"hello\n"


# -- files that change ---------------------------------------------------------------------------


def test_rules_that_change_all_the_time_are_the_old_or_the_new_for_each_connection() -> None:
    kinds = [
        b"127.:allow," + b",".join(b'V%d="%d"' % (number, kind) for number in range(30)) + b"\n" for kind in (1, 2)
    ]
    written(kinds[0])
    over = threading.Event()
    changes = 0

    def change() -> None:
        nonlocal changes
        while not over.is_set():
            changes += 1
            written(kinds[changes % 2])

    changing = threading.Thread(target=change)
    options = ("-RHl0", "-x", "r.cdb", "-c10", "-b400")
    with Server("printenv", *(f"V{number}" for number in range(30)), options=options) as server:
        changing.start()
        try:
            with ThreadPoolExecutor(10) as crowd:
                answers = list(crowd.map(lambda _: server.ask(), range(300)))
        finally:
            over.set()
            changing.join()
        assert set(answers) == {b"1\n" * 30, b"2\n" * 30}
        assert changes > 10
        assert server.log() == ""
