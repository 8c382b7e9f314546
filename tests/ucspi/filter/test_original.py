"""The original filters and ours, side by side: the same bytes, records and exit codes, for odd input and programs."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

import pytest
from commands import BIN, environment

ORIGINAL = Path("/usr/bin")
LONG = b"x" * (10 << 20)

pytestmark = pytest.mark.skipif(not (ORIGINAL / "recordio").exists(), reason="the original ucspi-tcp is not installed")


def outcome(folder: Path, words: list[str], given: bytes) -> tuple[int, bytes, list[list[bytes]]]:
    """Exit code, output, and what is said: in each direction, since those are independent of each other."""
    with tempfile.TemporaryFile() as file:  # all of the input is there, its end too
        file.write(given)
        file.seek(0)
        command = [folder / words[0], *words[1:]]
        found = subprocess.run(command, stdin=file, env=environment(), capture_output=True, timeout=60, check=False)
    lines = [re.sub(rb"^\d+ ([<>])", rb"\1", line) for line in found.stderr.split(b"\n")]
    return found.returncode, found.stdout, [[line for line in lines if line[:1] == sign] for sign in (b"<", b">")]


@pytest.mark.parametrize("command", ["addcr", "delcr"])
@pytest.mark.parametrize(
    "given",
    [
        b"",
        b"\n",
        b"\r",
        b"\r\r\n\r",
        b"\r\n\n\r\r\r\nend",
        b"a\0b\0\r\n\0",
        bytes(range(256)) * 100,
        LONG,
        LONG + b"\n",
        b"\r" * 100000 + b"\n",
        b"a\r\n" * 50000,
    ],
    ids=range(11),
)
def test_input_comes_out_alike(command: str, given: bytes) -> None:
    assert outcome(BIN, [command], given) == outcome(ORIGINAL, [command], given)


@pytest.mark.parametrize("command", ["fixcrio", "recordio"])
@pytest.mark.parametrize(
    ("program", "given"),
    [
        (["cat"], b""),
        (["cat"], b"a\nb\r\n\r\n\n\0\n\r"),
        (["cat"], b"a\r\r\nb\rc"),
        (["cat"], b"x" * 255 + b"\n" + b"y" * 256 + b"\n"),
        (["true"], b""),
        (["sh", "-c", "cat >/dev/null; exec >&-; exit 9"], b"a\n"),
        (["sh", "-c", "exec <&-; echo a; echo; printf b; exit 9"], b""),
        (["sh", "-c", "kill -9 $$"], b""),
        (["sh", "-c", "kill -PIPE $$"], b""),
        (["sh", "-c", "ls -m /proc/self/fd; grep -E '^Sig(Pnd|Blk|Ign)' /proc/self/status"], b""),
        (["no-such-program"], b""),
        (["/etc/passwd"], b""),
    ],
    ids=range(12),
)
def test_programs_are_run_alike(command: str, program: list[str], given: bytes) -> None:
    assert outcome(BIN, [command, *program], given) == outcome(ORIGINAL, [command, *program], given)


@pytest.mark.parametrize("command", ["fixcrio", "recordio"])
def test_much_goes_through_alike(command: str) -> None:
    """How it is cut up in the record depends on who is quicker."""
    for given in LONG, b"a line\r\n" * 200000:
        assert outcome(BIN, [command, "cat"], given)[:2] == outcome(ORIGINAL, [command, "cat"], given)[:2]


@pytest.mark.parametrize("command", ["fixcrio", "recordio"])
def test_no_program_is_wrong_usage(command: str) -> None:
    assert outcome(BIN, [command], b"")[0] == outcome(ORIGINAL, [command], b"")[0] == 100
