"""Run the installed commands as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

BIN = Path(sys.executable).parent  # where the console scripts are


class Result(NamedTuple):
    """What a command did: exit *code* (negative: killed by that signal), bytes on descriptors 1 and 2."""

    code: int
    out: bytes
    err: bytes


def environment(extra: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """The environment of tests: our commands first in PATH, UTC; None in *extra* removes a variable."""
    env = {**os.environ, "PATH": f"{BIN}:/usr/sbin:/usr/bin:/sbin:/bin", "TZ": "UTC", "LC_ALL": "C"}
    for name, value in (extra or {}).items():
        if value is None:
            env.pop(name, None)
        else:
            env[name] = value
    return env


def run(
    *argv: str | bytes | Path,
    input: bytes = b"",
    env: Mapping[str, str | None] | None = None,
    cwd: Path | str | None = None,
    timeout: float = 30,
    pass_fds: tuple[int, ...] = (),
    user: int | None = None,
) -> Result:
    """Run one of our commands (found in BIN first) to its end."""
    words = [os.fsencode(word) for word in argv]
    done = subprocess.run(
        words,
        input=input,
        capture_output=True,
        env=environment(env),
        cwd=cwd,
        timeout=timeout,
        pass_fds=pass_fds,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def start(
    *argv: str | bytes | Path, env: Mapping[str, str | None] | None = None, **more: object
) -> subprocess.Popen[bytes]:
    """Start one of our commands in the background; who calls this stops it."""
    return subprocess.Popen([os.fsencode(word) for word in argv], env=environment(env), **more)  # type: ignore[call-overload,no-any-return]
