"""The original clients and ours, side by side: the same words to the server, output, complaints and exit code.

The original is the build with IPv6. What it does with addresses and times differs from run to run, so that is not
compared; see `test_tcpclient`.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from commands import BIN, environment
from nameserver import free_port
from peer import CLOSE, RESET, Peer, Step, Until

ORIGINAL = Path("/usr/bin")
PORT = "PORT"  # stands for that of the server

pytestmark = pytest.mark.skipif(not (ORIGINAL / "tcpclient").exists(), reason="the original ucspi-tcp is not installed")


def outcome(
    folder: Path, words: list[str], script: list[Step] | None = None, given: bytes = b""
) -> tuple[int, bytes, bytes, list[bytes]]:
    """Exit code, output, complaints and what the server heard, when the command of *folder* is run with *words*.

    Args:
        script: what the server plays; None: there is none.
        given: the input.
    """
    if script is None:
        return (*done(folder, words, free_port(), given), [])
    with Peer(script) as peer:
        found = done(folder, words, peer.port, given)
        peer.thread.join(20)  # it has heard all
    return (*found, [ordinary(each, peer.port) for each in peer.heard])


def done(folder: Path, words: list[str], port: int, given: bytes) -> tuple[int, bytes, bytes]:
    path = f"{folder}:{BIN}:/usr/bin:/bin"
    words = [word.replace(PORT, str(port)) for word in words]
    found = subprocess.run(
        [folder / words[0], *words[1:]],
        input=given,
        env=environment({"PATH": path, "DNSCACHEIP": "127.0.0.1:1"}),
        capture_output=True,
        timeout=60,
        check=False,
    )
    return found.returncode, ordinary(found.stdout, port), ordinary(found.stderr, port)


def ordinary(text: bytes, port: int) -> bytes:
    """*text* without what differs from run to run."""
    text = text.replace(b"%d" % port, PORT.encode())
    return re.sub(rb"^((?:TCPLOCALPORT|TCP6LOCALPORT)=)\d+", rb"\1PORT", text, flags=re.M)


SHOW = "env | grep -E '^(TCP|PROTO)' | sort; ls -m /proc/$$/fd; grep -E '^Sig(Pnd|Blk|Ign)' /proc/self/status"


@pytest.mark.parametrize(
    "words",
    [
        ["-RHl0", "127.0.0.1", PORT, "sh", "-c", SHOW],
        ["-vRHl0", "127.0.0.1", PORT, "sh", "-c", SHOW],
        ["-vRHl", "me.example", "-i", "127.0.0.2", "127.0.0.1", PORT, "sh", "-c", SHOW],
        ["-v6RHl0", "-i", "127.0.0.1", "127.0.0.1", PORT, "sh", "-c", SHOW],
        ["-Hl0", "127.0.0.1", PORT, "sh", "-c", SHOW],
        ["-Hl0", "-t1x", "127.0.0.1", PORT, "sh", "-c", SHOW],
        ["-RHl0", "-T", "5", "127.0.0.1", PORT, "true"],
        ["-RHl0", "-T", "5+", "127.0.0.1", PORT, "true"],
        ["-RHl0", "-p", "x", "127.0.0.1", PORT, "true"],
        ["-RHl0", "127.0.0.1", PORT, "sh", "-c", "read x <&6; echo $x; echo more >&7; exit 7"],
        ["-RHl0", "127.0.0.1", PORT, "sh", "-c", "kill -9 $$"],
        ["-RHl0", "127.0.0.1", PORT, "cat"],
        ["-RHl0", "127.000.000.001", PORT, "true"],
        ["-RHl0", "127.0.0.1", PORT, "no-such-program"],
        ["-qRHl0", "127.0.0.1", PORT, "no-such-program"],
        ["-RHl0", "127.0.0.1", PORT, "/etc/passwd"],
        ["-RHl0", "127.0.0.1", PORT, "/etc"],
        ["-RHl0", "127.0.0.1", PORT, ""],
    ],
)
def test_tcpclient_does_what_the_original_does(words: list[str]) -> None:
    script: list[Step] = [b"hello\r\n"]
    ours, theirs = (outcome(folder, ["tcpclient", *words], script, b"given\n") for folder in (BIN, ORIGINAL))
    assert ours == theirs


@pytest.mark.parametrize(
    "words",
    [
        ["-RHl0", "127.0.0.1", PORT, "true"],
        ["-qRHl0", "127.0.0.1", PORT, "true"],
        ["-qQRHl0", "127.0.0.1", PORT, "true"],
        ["-vRHl0", "::1", PORT, "true"],
        ["--", "127.0.0.1", "no-such-port", "true"],
        ["-6RHl0", "127.0.0.1", PORT, "true"],
        ["-RHl0", "127.0.0.1", "", "true"],
        ["-RHl0", "127.0.0.1", "1x", "true"],
        ["-qRHl0", "127.0.0.1", "1x", "true"],
        ["-RHl0", "127.0.0.1", "smtp", "true"],
        ["-RHl0", "-i", "192.0.2.7", "127.0.0.1", PORT, "true"],
        ["-RHl0", "-i", "127.0.0.1", "-p", PORT, "127.0.0.1", "1", "true"],
    ],
)
def test_tcpclient_complains_as_the_original_does(words: list[str]) -> None:
    assert outcome(BIN, ["tcpclient", *words]) == outcome(ORIGINAL, ["tcpclient", *words])


@pytest.mark.parametrize(
    "words", [[], ["-T"], ["-i", "x", "0", "1", "true"], ["-i"], ["-Z"], ["0"], ["0", "1"], ["-qZ"], ["-q", "0", "1"]]
)
def test_wrong_usage_ends_alike(words: list[str]) -> None:
    assert outcome(BIN, ["tcpclient", *words])[:2] == outcome(ORIGINAL, ["tcpclient", *words])[:2]


BINARY = bytes(range(256))
QUESTION = Until(b"\n")


@pytest.mark.parametrize(
    ("words", "script", "given"),
    [
        (["mconnect", "127.0.0.1", PORT], [b"hi\r\n", QUESTION, b"bye\r\n" + BINARY, CLOSE], b"a\r\nb\0\n\n\nc"),
        (["mconnect", "127.0.0.1", PORT], [QUESTION, RESET], b"a\n"),
        (["mconnect", "127.0.0.1", PORT], None, b"a\n"),
        (["tcpcat", "127.0.0.1", PORT], [BINARY * 1000, CLOSE], b"ignored"),
        (["tcpcat", "127.0.0.1", PORT], None, b""),
        (["http@", "127.0.0.1", "a b", PORT], [Until(b"\r\n\r\n"), b"x\r\n\r\na\r\n\r\n \r\n\r\r\nb", CLOSE], b""),
        (["http@", "127.0.0.1", "", PORT], [Until(b"\r\n\r\n"), b"x\r\n\r\n", CLOSE], b""),
        (["http@", "127.0.0.1", "", PORT], [Until(b"\r\n\r\n"), b"x\r\n", CLOSE], b""),
        (["http@", "127.0.0.1", "", PORT], [Until(b"\r\n\r\n"), b"x\n\na\n\n\nb\n", CLOSE], b""),
        (["http@", "127.0.0.1", "", PORT], [Until(b"\r\n\r\n"), b"\r\n\r\na\r", CLOSE], b""),
        (["http@", "127.0.0.1", "", PORT], None, b""),
    ],
)
def test_small_clients_do_what_the_originals_do(words: list[str], script: list[Step] | None, given: bytes) -> None:
    assert outcome(BIN, words, script, given) == outcome(ORIGINAL, words, script, given)
