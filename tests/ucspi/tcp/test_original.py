"""The original tcpserver and ours, side by side: the same answers, the same log, the same environment.

The original logs IPv4 addresses as IPv4-mapped ones, ours as what they are, unless -6 is given.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from commands import run
from tcp import ORIGINAL, OURS, Server
from until import until

pytestmark = pytest.mark.skipif(not ORIGINAL.exists(), reason="the original tcpserver is not installed")

RULES = """\
127.0.0.1:allow,RELAYCLIENT="",PATH="/nowhere",TCPREMOTEIP="changed",X=/a,b/
127.0.0.2:deny
127.0.0.3-4:allow,WHO="range"
=:allow,WHO="has a name"
:allow,WHO="anybody"
"""


def outcome(tcpserver: Path, program: tuple[str, ...], options: list[str], folder: Path) -> tuple[list[str], list[str]]:
    """What clients heard, and the log."""
    with Server(*program, options=options, tcpserver=tcpserver, host="0", cwd=folder, env={"KEPT": "yes"}) as server:
        heard = []
        for source in "127.0.0.1", "127.0.0.2", "127.0.0.4", "127.0.0.5":
            heard.append(ordinary(server.ask("127.0.0.1", source).decode("latin-1"), server))
            until(lambda: settled(server, options, len(heard)), what="the connection is over")
        return heard, ordinary(server.log(), server).splitlines()


def settled(server: Server, options: list[str], count: int) -> bool:
    return "v" not in options[0] or server.log().count("status: 0/") == count + 1


def ordinary(text: str, server: Server) -> str:
    """*text* without what differs from run to run."""
    text = "\n".join(sorted(text.splitlines())) if "PROTO=" in text else text
    text = text.replace(str(server.port), "OURPORT")
    text = re.sub(r"^(TCP6?REMOTEPORT=)\d+", r"\1PORT", text, flags=re.M)
    text = re.sub(r"^(tcpserver: (?:pid|ok|deny|end)) \d+", r"\1 PID", text, flags=re.M)
    text = re.sub(r":\d+$", ":PORT", text, flags=re.M)
    return re.sub(r"^(tcpserver: (?:ok|deny) .*)$", lambda found: found[1].replace("::ffff:", ""), text, flags=re.M)


ENV = ("env",)


# glibc has two signals of its own, 32 and 33, which its posix_spawn leaves ignored.
SIGNALS = "cat /proc/$$/status | grep '^Sig[^Q]' | sed 's/^SigIgn:.000000018/SigIgn:\t000000000/'"


@pytest.mark.parametrize(
    ("options", "program"),
    [
        (["-vRHl0"], ENV),
        (["-vRHl", "mail.example"], ENV),
        (["-vRHl", ""], ENV),
        (["-vRHl", "x%y z\1" + "n" * 120], ENV),
        (["-v6RHl0"], ENV),
        (["-v4RHl0"], ENV),
        (["-vRHDol0"], ENV),
        (["-vRHdOl0"], ENV),
        (["-vRHPl0", "-b1", "-c1"], ENV),
        (["-vRHl0", "-c", "7x"], ENV),
        (["-RHl0"], ENV),
        (["-QRHl0"], ENV),
        (["-qRHl0"], ENV),
        (["-vqQvRHl0"], ENV),
        (["-vRHl0", "-x", "rules.cdb"], ENV),
        (["-v6RHl0", "-x", "rules.cdb"], ENV),
        (["-vRHl0", "-x", "rules.cdb", "-B220 hello\r\n"], ENV),
        (["-vRHl0", "-B", "banner first "], ("echo", "then", "the", "program")),
        (["-vRHl0", "-x", "none.cdb"], ENV),
        (["-qRHl0", "-x", "none.cdb"], ENV),
        (["-vXRHl0", "-x", "none.cdb"], ENV),
        (["-vXRHl0"], ENV),
        (["-vXRHl0", "-x", "broken.cdb", "-Bhello"], ENV),
        (["-vRHl0"], ("no-such-program",)),
        (["-qRHl0"], ("no-such-program",)),
        (["-vRHl0"], ("./not-executable",)),
        (["-vRHl0"], ("sh", "-c", "exit 3")),
        (["-vRHl0"], ("sh", "-c", "kill -9 $$")),
        (["-vRHl0"], ("sh", "-c", f"ls /proc/$$/fd; ulimit -n; umask; pwd; {SIGNALS}")),
    ],
)
def test_ours_does_what_the_original_does(options: list[str], program: tuple[str, ...], tmp_path: Path) -> None:
    made = run("tcprules", "rules.cdb", "rules.tmp", input=RULES.encode(), cwd=tmp_path)
    assert made.code == 0, made.err
    (tmp_path / "broken.cdb").write_bytes(b"this is no cdb")
    (tmp_path / "not-executable").write_bytes(b"#!/bin/sh\n")
    assert outcome(OURS, program, options, tmp_path) == outcome(ORIGINAL, program, options, tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["-z", "0", "0", "true"],
        ["-q"],
        ["-q", "-z"],
        ["-c"],
        ["0"],
        ["0", "0"],
        ["-q", "0", "0"],
        ["-RHl0", "0", "no-such-service", "true"],
        ["-RHl0", "0", "-1", "true"],
        ["-RHl0", "0", "0x19", "true"],
        ["-RHl0", "192.0.2.77", "0", "true"],
        ["-RHl0", "-b", "99999999999999999999", "192.0.2.77", "0", "true"],
        ["-RHl0", "-4", "::1", "0", "true"],
        ["-qRHl0", "192.0.2.77", "0", "true"],
    ],
)
def test_what_cannot_be_done_is_refused_alike(arguments: list[str]) -> None:
    ours, original = (
        subprocess.run([program, *arguments], capture_output=True, timeout=20) for program in (OURS, ORIGINAL)
    )
    assert (ours.returncode, ours.stdout) == (original.returncode, original.stdout)
    assert usage_of(ours.stderr) == usage_of(original.stderr)


def usage_of(said: bytes) -> bytes:
    """What was *said*, without the options that a usage line tells."""
    return re.sub(rb"(tcpserver: usage: tcpserver \[ -).*", rb"\1...", said)
