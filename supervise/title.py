"""What `ps` shows of a process: a forked child gets a title of its own.

This is the package setproctitle, but only its C half: the other half imports `logging`, which costs every daemon
1.2 MB and 15 ms, and every worker 0.4 MB of memory that it no longer shares.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from supervise.command import Argv


def library() -> ModuleType | None:
    """The C half, or None when the package is not installed."""
    spec = PathFinder.find_spec("_setproctitle", [folder + "/setproctitle" for folder in sys.path if folder])
    if spec is None or spec.loader is None:
        return None
    module = spec.loader.create_module(spec)
    if module is not None:
        spec.loader.exec_module(module)
    return module


LIBRARY = library()


def set_title(argv: Argv) -> None:
    """Be called *argv* in the list of processes, as exec would have it.

    The first call in a process must come before the environment is changed: the library finds our arguments by it.
    """
    if LIBRARY:
        LIBRARY.setproctitle(os.fsdecode(b" ".join(argv)))
        LIBRARY.setthreadtitle(os.fsdecode(argv[0].rpartition(b"/")[2]))
