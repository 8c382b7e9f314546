"""Our svscan, supervise and clients work with Debian's daemontools, in every mixture."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import BIN, run
from services import DEBIAN, Tree, gone, parent_of, running, state_of, up
from until import until

pytestmark = pytest.mark.skipif(not (DEBIAN / "svscan").exists(), reason="Debian's daemontools is not installed")

PROGRAMS = {"ours": BIN, "debian": DEBIAN}


@pytest.mark.parametrize(
    ("svscan", "supervise", "client"),
    [
        ("ours", "ours", "debian"),
        ("ours", "debian", "ours"),
        ("debian", "ours", "debian"),
    ],
)
def test_a_service_lives_its_whole_life(tree: Tree, svscan: str, supervise: str, client: str) -> None:
    bin = PROGRAMS[client]
    place = tree.service("s", log="exec cat > /dev/null\n")
    tree.start(PROGRAMS[svscan] / "svscan", tree.folder, env={"PATH": f"{PROGRAMS[supervise]}:{BIN}:/usr/bin:/bin"})
    pid = up(place)
    until(lambda: running(place / "log"))
    assert ours(parent_of(pid)) == (supervise == "ours")

    def svstat() -> str:
        return run(bin / "svstat", place).out.decode().removeprefix(f"{place}: ")

    assert run(bin / "svok", place).code == 0
    assert svstat().startswith(f"up (pid {pid}) ")
    tree.svc("-p", place, bin=bin)
    until(lambda: state_of(pid) == "T" and svstat().endswith(", paused\n"))
    tree.svc("-c", place, bin=bin)
    until(lambda: state_of(pid) != "T" and not svstat().endswith(", paused\n"))
    tree.svc("-d", place, bin=bin)
    until(lambda: gone(pid) and svstat().startswith("down "))
    assert svstat().endswith(" seconds, normally up\n")
    tree.svc("-u", place, bin=bin)
    pid = up(place)
    assert svstat().startswith(f"up (pid {pid}) ")
    place.rename(tree.folder / ".s")
    place = tree.folder / ".s"
    tree.svc("-dx", place, place / "log", bin=bin)
    until(lambda: run(bin / "svok", place).code == 100 and run(bin / "svok", place / "log").code == 100)
    assert svstat() == "supervise not running\n"


def ours(pid: int) -> bool:
    """Whether a process runs in our interpreter."""
    return "python" in Path(f"/proc/{pid}/exe").resolve().name


def test_the_next_supervise_takes_over_whoever_was_before(tree: Tree) -> None:
    place = tree.service("s")
    for bin in (BIN, DEBIAN, BIN):
        supervise = tree.start(bin / "supervise", "s")
        pid = up(place)
        other = DEBIAN if bin == BIN else BIN
        refused = run(other / "supervise", "s", cwd=tree.folder)
        assert refused == (111, b"", b"supervise: fatal: unable to acquire s/supervise/lock: temporary failure\n")
        tree.svc("-dx", place, bin=other)
        assert supervise.wait(10) == 0
        assert gone(pid)
