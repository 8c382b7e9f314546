"""Rules for connections: the language, the order of look-up, the commands."""

from __future__ import annotations

import errno
import os
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from commands import run
from crashes import crashes_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supervise.errors import Permanent, Temporary
from supervise.files import obstacle
from ucspi import cdb
from ucspi.cdb import Cdb
from ucspi.rules.rules import compile, decide, keys, unpack

ORIGINAL = Path("/usr/bin/tcprules")

numbers = st.sampled_from(
    [b"", b"0", b"1", b"7", b"07", b"200", b"255", b"300", b"18446744073709551618", b"x", b"+1", b" 1"]
)
parts = st.sampled_from(
    [b"1", b"1.2", b"127.", b"1.2.3.", b"-", b".", b"..", b"=", b"@", b":", b"a", b"fe80::", b"/x", b" "]
)
addresses = st.builds(
    lambda front, low, hyphen, high, back: front + low + hyphen + high + back,
    parts, numbers, st.sampled_from([b"", b"-", b"-"]), numbers, parts | st.just(b""),
)  # fmt: skip
values = st.sampled_from(
    [b'A="x"', b"B=//", b'C="', b"D", b'="e"', b"F=xyxz", b'G="a,b=c"', b'H="" ', b"\xff=\0a\0", b""]
)
rules = st.builds(
    lambda address, word, variables, end: b",".join([address + word, *variables]) + end,
    addresses,
    st.sampled_from([b":allow", b":deny", b":allow", b":deny", b":allowed", b":allow:deny"]),
    st.lists(values, max_size=3),
    st.sampled_from([b"", b"", b" \t", b"\r", b"\0"]),
)
lines = rules | st.sampled_from([b"", b"#", b"# :deny", b":deny", b":allow"])


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def compiled(text: bytes) -> Cdb:
    cdb.write(b"r.cdb", b"r.tmp", compile([text]))
    found = Cdb.open(b"r.cdb")
    assert found is not None
    return found


def decided(text: bytes, ip: bytes, host: bytes | None, info: bytes | None) -> tuple[bool, list[tuple[bytes, bytes]]]:
    with closing(compiled(text)) as found:
        return decide(found, ip, host, info)


def looked_for(text: bytes, ip: bytes, host: bytes | None, info: bytes | None) -> list[bytes]:
    with closing(compiled(text)) as found:
        return list(keys(found, ip, host, info))


@pytest.mark.skipif(not ORIGINAL.exists(), reason="ucspi-tcp is not installed")
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(lines, max_size=3), st.sampled_from([b"", b"\n"]))
def test_files_and_refusals_are_those_of_the_original(some: list[bytes], end: bytes) -> None:
    text = b"\n".join(some) + end
    done = subprocess.run([ORIGINAL, "o.cdb", "o.tmp"], input=text, capture_output=True, timeout=10, check=False)
    try:
        compiled(text).close()
    except Permanent as refusal:
        assert done.returncode == 100
        assert done.stderr == b"tcprules: fatal: " + refusal.line + b"\n"
    else:
        assert (done.returncode, done.stderr) == (0, b"")
        assert Path("r.cdb").read_bytes() == Path("o.cdb").read_bytes()


@pytest.mark.skipif(not ORIGINAL.exists(), reason="ucspi-tcp is not installed")
def test_many_rules_make_the_file_of_the_original() -> None:
    text = b"".join(b'10.%d.%d-%d.:allow,N="%d"\n' % (n % 7, n, n + n % 5, n) for n in range(250)) + b":deny\n"
    text += b"10.0.0.0/8:deny\n2001:db8::/32:deny\n"
    subprocess.run([ORIGINAL, "o.cdb", "o.tmp"], input=text, timeout=10, check=True)
    compiled(text).close()
    assert Path("r.cdb").read_bytes() == Path("o.cdb").read_bytes()


@pytest.mark.parametrize("line", [b"x", b"1.2.3.4", b"1.2.3.4:", b"1.2.3.4:Allow", b":", b"allow", b"x:\0:y"])
def test_a_line_without_instruction_is_an_error_and_no_loop(line: bytes) -> None:
    done = run("tcprules", "r.cdb", "r.tmp", input=b":allow\n" + line + b"\n:deny\n", timeout=10)
    assert done.code == 100
    assert done.err == b"tcprules: fatal: unable to parse this line: " + line.partition(b"\0")[0] + b"\n"
    assert os.listdir() == []


def test_lines_of_nothing_but_space_are_empty() -> None:
    assert list(compile([b" \t\n\n  "])) == []


def test_the_order_of_look_up() -> None:
    rules = b":deny\n"
    assert looked_for(rules, b"1.2.3.4", b"a.b.c", b"joe") == [
        b"joe@1.2.3.4", b"joe@=a.b.c", b"1.2.3.4", b"=a.b.c", b"1.2.3.", b"1.2.", b"1.", b"=.b.c", b"=.c", b"=", b"",
    ]  # fmt: skip
    assert looked_for(rules, b"1.2.3.4", None, b"") == [b"@1.2.3.4", b"1.2.3.4", b"1.2.3.", b"1.2.", b"1.", b""]
    assert looked_for(rules, b"1.", b"", None) == [b"1.", b"=", b"1.", b"=", b""]
    assert looked_for(rules, b"2001:db8::2", None, None) == [b"2001:db8::2", b"2001:db8::", b"2001:db8:", b"2001:", b""]


def test_networks_lie_among_the_beginnings_by_their_size() -> None:
    rules = b"".join(b"::/%d:deny\n" % size for size in range(129))
    found = looked_for(rules, b"10.1.2.3", b"h", None)
    at = found.index
    assert at(b"=h") < at(b"10.1.2.3/32") < at(b"10.1.2.0/25") < at(b"10.1.2.") < at(b"10.1.2.0/24")
    assert at(b"10.1.2.0/24") < at(b"10.1.2.0/23") < at(b"10.1.") < at(b"10.1.0.0/16") < at(b"10.0.0.0/15")
    assert at(b"10.0.0.0/15") < at(b"10.") < at(b"10.0.0.0/8") < at(b"0.0.0.0/0")
    assert at(b"0.0.0.0/0") < at(b"=") < at(b"")
    found = looked_for(rules, b"2001:db8::2:3", None, None)
    at = found.index
    assert at(b"2001:db8::2:3/128") < at(b"2001:db8::2:0/113") < at(b"2001:db8::2:") < at(b"2001:db8::2:0/112")
    assert at(b"2001:db8::/97") < at(b"2001:db8::") < at(b"2001:db8::/96") < at(b"2001:db8::/33") < at(b"2001:db8:")
    assert at(b"2001:db8::/32") < at(b"2001::/17") < at(b"2001:") < at(b"2001::/16") < at(b"::/0") < at(b"")
    found = looked_for(b"10.0.0.0/8:deny\n10.1.2.3/9:deny\n", b"10.1.2.3", None, None)
    assert [key for key in found if b"/" in key] == [b"10.0.0.0/9", b"10.0.0.0/8"], "other sizes are not there"


@pytest.mark.parametrize(
    ("ip", "allowed", "variables"),
    [
        (b"10.9.9.9", False, []),
        (b"10.1.9.9", True, [(b"A", b"1")]),
        (b"10.1.2.200", False, []),
        (b"10.1.2.3", True, []),
        (b"172.31.0.1", True, [(b"N", b"172")]),
        (b"172.32.0.1", True, [(b"D", b"")]),
        (b"2001:db8:1::1", False, []),
        (b"2001:db9::1", True, [(b"D", b"")]),
        (b"::ffff:10.9.9.9", True, [(b"D", b"")]),
        (b"not an address", True, [(b"D", b"")]),
        (b"unknown\xff", True, [(b"D", b"")]),
    ],
)
def test_the_smallest_network_or_longest_beginning_decides(
    ip: bytes, allowed: bool, variables: list[tuple[bytes, bytes]]
) -> None:
    text = (
        b'10.0.0.0/8:deny\n10.1.:allow,A="1"\n10.1.2.128/25:deny\n10.1.2.3/32:allow\n'
        b'172.16.0.0/12:allow,N="172"\n2001:db8::/32:deny\n:allow,D=""\n'
    )
    assert decided(text, ip, None, None) == (allowed, variables)


@pytest.mark.parametrize(
    ("rule", "key"),
    [
        (b"10.1.2.3/8:deny", b"10.0.0.0/8"),
        (b"10.1.2.3/32:deny", b"10.1.2.3/32"),
        (b"10.1.2.3/0:deny", b"0.0.0.0/0"),
        (b"10.1.2.3/08:deny", b"10.0.0.0/8"),
        (b"2001:DB8::1/32:deny", b"2001:db8::/32"),
        (b"2001:db8:0:0:0:0:0:1/64:deny", b"2001:db8::/64"),
    ],
)
def test_a_network_may_be_written_in_any_form(rule: bytes, key: bytes) -> None:
    assert list(compile([rule])) == [(key, b"D\0")]


@pytest.mark.parametrize("name", ["10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "mail/4", "10.0.0.0/8/8", "/"])
def test_a_network_that_cannot_be_is_named_and_the_others_hold(name: str) -> None:
    done = run("tcprules", "r.cdb", "r.tmp", input=f"\n{name}:deny\n11.0.0.0/8:deny\n".encode())
    warning = f"tcprules: warning: line 2: no network is written {name}, so this is nobody's rule\n"
    assert done == (0, b"", warning.encode())
    found = Cdb.open(b"r.cdb")
    assert found
    assert not decide(found, b"11.1.1.1", None, None)[0]
    found.close()


@pytest.mark.parametrize(
    "name", ["2001:DB8::5", "2001:0db8::5", "2001:db8:0:0:0:0:0:5", "2001:DB8:", "2001:0db8:", "fe80::1%lo", "1:2:3"]
)
def test_an_address_that_no_client_has_is_named(name: str) -> None:
    done = run("tcprules", "r.cdb", "r.tmp", input=f"{name}:deny\n".encode())
    warning = f"tcprules: warning: line 1: no address is written {name}, so this is nobody's rule\n"
    assert done == (0, b"", warning.encode())


def test_names_and_users_may_have_slashes() -> None:
    done = run("tcprules", "r.cdb", "r.tmp", input=b"=a/b:deny\nu/v@1.2.3.4:deny\n")
    assert done == (0, b"", b"")


def test_without_a_rule_a_connection_is_allowed() -> None:
    assert decided(b"", b"1.2.3.4", b"host", b"joe") == (True, [])


def test_variables_that_no_environment_holds_are_left_out() -> None:
    text = b'1.2.3.4:allow,="x",A="1",B="a\0b",C="="\n'
    assert decided(text, b"1.2.3.4", None, None) == (True, [(b"A", b"1"), (b"B", b"a"), (b"C", b"=")])


def test_data_that_is_cut_off_says_no_more_than_what_is_whole() -> None:
    assert unpack(b"+A=1\0+B=2") == (True, [b"A=1"])
    assert unpack(b"D") == (True, [])
    assert unpack(b"+A=1\0D\0+B=2\0") == (False, [])


def test_a_damaged_file_is_temporary() -> None:
    compiled(b"1.2.3.4:deny\n").close()
    content = Path("r.cdb").read_bytes()
    Path("r.cdb").write_bytes(content[:-4])
    damaged = Cdb.open(b"r.cdb")
    assert damaged is not None
    with closing(damaged), pytest.raises(Temporary):
        decide(damaged, b"1.2.3.4", None, None)


def test_tcprules_crashed_at_any_call_leaves_the_old_rules_or_the_new_ones() -> None:
    seen = set()

    def fresh() -> None:
        compiled(b"1.2.3.4:deny\n").close()

    def action() -> None:
        from ucspi.rules.tcprules import main

        reading, writing = os.pipe()
        os.write(writing, b'1.2.3.4:allow,A="new"\n5.:deny\n')
        os.close(writing)
        os.dup2(reading, 0)
        assert main([b"tcprules", b"r.cdb", b"r.tmp"]) == 0

    for _ in crashes_of(action, fresh):
        found = Cdb.open(b"r.cdb")
        assert found is not None
        seen.add((found.get(b"1.2.3.4"), found.get(b"5.")))
        found.close()
    assert seen == {(b"D\0", None), (b"+A=new\0", b"D\0")}


def test_tcprules_needs_little_memory_for_much_input() -> None:
    text = b"".join(b"# %0*d\n10.%d.%d.:deny\n" % (1000, n, n >> 8, n & 255) for n in range(60_000))
    assert len(text) > 60_000_000
    done = run("softlimit", "-a", "60000000", "tcprules", "x.cdb", "x.tmp", input=text)
    assert (done.code, done.err) == (0, b"")
    assert Path("x.cdb").stat().st_size > 60_000 * 30


def test_tcprules_says_what_it_cannot_do() -> None:
    os.mkdir("d")
    assert run("tcprules", "d", "r.tmp").err == b"tcprules: fatal: unable to move r.tmp to d: is a directory\n"
    assert run("tcprules", "r.cdb", "d").err == b"tcprules: fatal: unable to create d: is a directory\n"
    unwritten = OSError(errno.ENOSPC, "")
    assert obstacle(unwritten, b"r.cdb", b"r.tmp") == b"unable to write to r.tmp"
    unread = run("sh", "-c", "tcprules r.cdb r.tmp 0>d/x")
    assert unread == (111, b"", b"tcprules: fatal: unable to read input: file descriptor not open\n")
    assert os.listdir() == ["d"]


def test_tcprulescheck_shows_networks_too() -> None:
    compiled(b'10.0.0.0/8:allow,A="x"\n').close()
    done = run("tcprulescheck", "r.cdb", env={"TCPREMOTEIP": "10.1.1.1", "TCPREMOTEHOST": None, "TCPREMOTEINFO": None})
    assert done == (0, b"rule 10.0.0.0/8:\nset environment variable A=x\nallow connection\n", b"")


CLIENT = {"TCPREMOTEIP": "10.1.1.1", "TCPREMOTEHOST": "mail.example.org", "TCPREMOTEINFO": None}


def test_tcprulescheck_explains_what_it_looks_for_and_where_the_rule_stands() -> None:
    text = b'# who may relay\n\n10.0-2.:allow,RELAYCLIENT=""  \n10.1.:deny\n:deny\n'
    compiled(text).close()
    Path("rules").write_bytes(text)
    done = run("tcprulescheck", "--explain", "r.cdb", "rules", env=CLIENT)
    assert done == (
        0,
        b"looked for 10.1.1.1\nlooked for =mail.example.org\nlooked for 10.1.1.\nlooked for 10.1.\n"
        b'from line 3 of rules: 10.0-2.:allow,RELAYCLIENT=""\n'
        b"rule 10.1.:\nset environment variable RELAYCLIENT=\nallow connection\n",
        b"",
    )


def test_tcprulescheck_explains_that_nothing_was_found() -> None:
    compiled(b"192.0.2.1:deny\n").close()
    done = run("tcprulescheck", "--explain", "r.cdb", env={**CLIENT, "TCPREMOTEHOST": None})
    assert done.out.endswith(b"looked for 10.\nlooked for (nothing)\ndefault:\nallow connection\n")


def test_tcprulescheck_names_the_lines_that_nobody_follows() -> None:
    text = b"10.1:deny\n10.1.:deny\nno rule\n1.2.3.5-4:deny\n=:allow\n"
    text += b"@:deny\n::1:deny\n2001:deny\n10.0.0.0/40:deny\n:deny\n"
    Path("rules").write_bytes(text)
    compiled(b":deny\n").close()
    done = run("tcprulescheck", "--explain", "r.cdb", "rules", env={**CLIENT, "TCPREMOTEHOST": None})
    said = [line for line in done.out.splitlines() if line.startswith((b"line", b"from"))]
    assert said == [
        b"line 1 of rules is nobody's rule: 10.1:deny",
        b"line 3 of rules is no rule: no rule",
        b"line 4 of rules is nobody's rule: 1.2.3.5-4:deny",
        b"line 8 of rules is nobody's rule: 2001:deny",
        b"line 9 of rules is nobody's rule: 10.0.0.0/40:deny",
        b"from line 10 of rules: :deny",
    ]


def test_tcprulescheck_says_when_the_source_is_another() -> None:
    compiled(b"10.:deny\n").close()
    Path("rules").write_bytes(b"no rule\n11.:deny\n")
    assert (
        b"line 1 of rules is no rule: no rule\nnot from rules\nrule 10.:\n"
        in run("tcprulescheck", "--explain", "r.cdb", "rules", env=CLIENT).out
    )
    none = run("tcprulescheck", "--explain", "r.cdb", "none", env=CLIENT)
    assert none == (111, b"", b"tcprulescheck: fatal: unable to read none: file does not exist\n")


def test_a_file_of_rules_may_have_any_name() -> None:
    compiled(b"10.:deny\n").close()
    os.rename("r.cdb", "--explained")
    assert run("tcprulescheck", "--explained", env=CLIENT) == (0, b"rule 10.:\ndeny connection\n", b"")
    assert run("tcprulescheck", "--explain", env=CLIENT).code == 100
