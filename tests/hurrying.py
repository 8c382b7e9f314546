"""Run commands whose patience is a number in their modules, with less of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence

from commands import environment


def hurried(
    module: str,
    constant: str,
    seconds: int,
    argv: Sequence[str],
    env: Mapping[str, str | None] | None = None,
    **more: object,
) -> subprocess.Popen[bytes]:
    """Start the command of *module*, where *constant*, `module.NAME`, is so many *seconds*."""
    home, _, name = constant.rpartition(".")
    words = [word.encode() for word in argv]
    code = f"import sys, {home}, {module}; from supervise.program import follow; "
    code += f"{home}.{name} = {seconds}; sys.exit(follow({module}.main, {words}))"
    return subprocess.Popen([sys.executable, "-c", code], env=environment(env), **more)  # type: ignore[call-overload,no-any-return]
