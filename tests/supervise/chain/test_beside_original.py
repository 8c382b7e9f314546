"""Links of chains do what Debian's daemontools do with the same command lines, byte for byte.

Each line is run by a shell, once with our commands and once with the originals in place of `@`, in a folder of its own.
"""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import pytest
from commands import BIN, Result, run
from services import DEBIAN

pytestmark = pytest.mark.skipif(not (DEBIAN / "envdir").exists(), reason="Debian's daemontools is not installed")

BINS = {"original": DEBIAN, "ours": BIN}
LINKS = ("setuidgid root", "envuidgid root", "envdir e", "softlimit", "setlock lock", "pgrphack", "fghack")
BLOCK = (
    "/usr/bin/python3 -c 'import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, [10, 15, 17]); "
    "os.execv(sys.argv[1], sys.argv[1:])'"
)
NAMES = tuple(link.split()[0] for link in LINKS)

ARGUMENTS = ("", "''", "nobody", "lock", "e", "-x", "-: lock true", "--", "-- root true", "-", "- true", "--halp")
USAGE = [f"@{name} {arguments}" for name in NAMES for arguments in ARGUMENTS]
PATHS = ("", "PATH=", "PATH=/nowhere", "PATH=plain:/bin", "PATH=loop:/bin", "PATH=denied:e:/bin", "env -u PATH")
PROGRAMS = [
    *(
        f"{path} @{link} {program}"
        for link, path in product(LINKS, PATHS)
        for program in ("no-such-program", "''", "plain", "e", "true")
    ),
    *(
        f"@{link} {program}"
        for link in LINKS
        for program in (
            *("./no-shebang", "./no-interpreter", "./empty", "./plain", "./e", "./loop", "plain/x", "/", "."),
            "x" * 300,
        )
    ),
]
CIRCUMSTANCES = [
    line
    for link in LINKS
    for line in (
        f"@{link} sh -c 'exit 9'",
        f"@{link} sh -c 'umask; pwd; nice; ulimit -a; echo $0 \"$@\"' zero 'a b' ''",
        f"env -i =strange A=1 B= @{link} /usr/bin/env | grep -v ID= | sort",
        f"exec 7< file; @{link} cat <&7; exec 8>> file; @{link} sh -c 'echo more >&8'; cat file",
        f"@{link} sh -c 'readlink /proc/$$/fd/0' <&-; echo $?",
        f"exec 2>&-; @{link} no-such-program; echo $?",
        f"exec -a another @{link} no-such-program",
        f"@{link} grep -E '^Sig(Blk|Ign)' /proc/self/status",
        f"trap '' INT HUP USR1 TERM; @{link} grep -E '^Sig(Blk|Ign)' /proc/self/status",
        f"{BLOCK} @{link} grep SigBlk /proc/self/status",
    )
    if not ("<&-" in line and link.startswith(("setlock", "fghack")))  # where a lock or a pipe becomes descriptor 0
]
ACCOUNTS = [
    f"{before} @{name} {account} sh -c 'id; echo $UID.$GID'"
    for name, account, before in product(
        ("setuidgid", "envuidgid"),
        ("root", "nobody", "daemon", "no-such", "0", "NOBODY", "' nobody'", "''"),
        ("", "setpriv --reuid=65534 --regid=65534 --clear-groups"),
    )
]
CONTENTS = ["", r"\n", "x", r"x \t\n", " x", r"\t\n", r"a\0b\n", r"\0", r" \0 \n", r"x\r\n", r"\n\nx", r"\377\n", "a=b"]
GIVEN = (
    *("mkdir e/D", "ln -s L e/L", "ln -s nowhere e/A", "ln -s /etc/passwd/x e/A", "ln -s /dev/null e/A", "mkfifo e/.f"),
    *("seq -f 'e/V%g' 500 | xargs touch", "head -c 200000 /dev/zero | tr '\\0' v > e/A"),
)
FOLDERS = ("no-such", "file", "file/x", "''", "e/.", "x" * 300)
ENVIRONMENTS = [
    *(f"printf '{text}' > e/{name}; A=old @envdir e env -0" for text in CONTENTS for name in ("A", "B=x", "PATH")),
    *(f"printf x > 'e/{name}'; @envdir e env -0" for name in ("a b", ".A", "A=", "B=C=D", "é", "_", "PYTHONPATH")),
    *(f"{given}; A=old @envdir e env -0" for given in GIVEN),
    *(f"@envdir {folder} env" for folder in FOLDERS),
]
NUMBERS = (
    *("''", "0", "007", "4096", "100000000", "9223372036854775807", "9223372036854775809", "18446744073709551615"),
    *("18446744073709551616", "99999999999999999999999", "=", "==", "-1", "+1", "' 1'", "1k", "0x10", "1_0"),
)
LARGE = [number for number in NUMBERS if number not in ("''", "0", "007", "4096")]  # enough for a program to start
OPTIONS = (
    *("-o50 -o 60", "-s 100000000 -m 200000000", "-m 200000000 -s 100000000", "-c0 -c=", "-o 50 --", "-o 50 - x"),
    *("-aa", "-q true", "-a", "-o 60 -q", "-oo50", "-o 50 -t x"),
)
LIMITS = [
    *(f"@softlimit -{letter} {number} cat /proc/self/limits" for letter in "cflr" for number in NUMBERS),
    *(f"@softlimit -{letter} {number} cat /proc/self/limits" for letter in "amdsop" for number in LARGE),
    *(f"@softlimit {options} cat /proc/self/limits" for options in OPTIONS),
    "ulimit -Sn 30; ulimit -Hn 60; @softlimit -o = sh -c 'ulimit -Sn; ulimit -Hn'",
    "ulimit -Hn 60; @softlimit -o 61 sh -c 'ulimit -Sn'",
    "@softlimit -f 1000 sh -c 'head -c 5000 /dev/zero > x; echo $?; wc -c < x'",
    "@softlimit -t 1 sh -c 'while :; do :; done' 2>&-; echo $?",
    "@softlimit -o 0 true; echo $?",
    "@softlimit -a 0 no-such-program",
    "@softlimit -m 30000000 echo hello",
]
LOCKS = [
    *(
        f"@setlock {options} {file} {program}"
        for options in ("", "-n", "-x", "-nX", "-xn", "-xX", "-n -N -x", "-nq", "-n --")
        for file in ("lock", "e", "loop", "no/lock", "file")
        for program in ("echo ran", "no-such-program", "")
    ),
    *(f"(flock 9; @setlock {options} lock echo ran) 9>> lock" for options in ("-n", "-nx", "-xn", "-nX", "-N -n")),
    *(f"umask {mask}; @setlock new stat -c %a new" for mask in ("000", "077", "277")),
    "@setlock lock @setlock other sh -c 'readlink /proc/$$/fd/[3-9]'",
    "@setlock file sh -c 'echo more >&3'; cat file",
]


def lay(folder: Path) -> Path:
    """What the lines find in their *folder*."""
    (folder / "e").mkdir(parents=True)
    for name, text, mode in [
        ("file", "content\n", 0o644),
        ("plain", "", 0o644),
        ("empty", "", 0o755),
        ("no-shebang", "exit 0\n", 0o755),
        ("no-interpreter", "#!/nowhere/sh\n", 0o755),
    ]:
        (folder / name).write_text(text)
        (folder / name).chmod(mode)
    (folder / "denied").mkdir()
    (folder / "denied" / "true").write_text("#!/bin/sh\n")
    (folder / "loop").symlink_to("loop")
    return folder


def outcome(line: str, bin: Path, folder: Path) -> Result:
    """What *line* does with the commands in *bin*, without what differs from one run to the next."""
    script = re.sub("@(?=[a-z])", f"{bin}/", line)
    done = run("bash", "-c", script, cwd=lay(folder), env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"})
    out, err = (text.replace(os.fsencode(folder), b"HERE").replace(os.fsencode(bin) + b"/", b"") for text in done[1:])
    if "env" in line:
        out = b"\0".join(sorted(out.split(b"\0")))  # the order of variables means nothing
    return Result(done.code, re.sub(rb"pipe:\[\d+\]", b"pipe", out), re.sub(rb"line \d+: +\d+", b"line", err))


TABLES = {
    "usage": USAGE,
    "programs": PROGRAMS,
    "circumstances": CIRCUMSTANCES,
    "accounts": ACCOUNTS,
    "environments": ENVIRONMENTS,
    "limits": LIMITS,
    "locks": LOCKS,
}


@pytest.mark.root  # others get other errors
@pytest.mark.parametrize("table", TABLES)
def test_command_lines_do_what_they_do_with_the_original(table: str, tmp_path: Path) -> None:
    def both(numbered: tuple[int, str]) -> tuple[str, Result, Result]:
        number, line = numbered
        return line, *(outcome(line, bin, tmp_path / f"{number}{who}") for who, bin in BINS.items())

    with ThreadPoolExecutor(4) as pool:
        differing = [
            f"{line}\n  {was}\n  {now}" for line, was, now in pool.map(both, enumerate(TABLES[table])) if was != now
        ]
    assert not differing, "\n".join(differing)
