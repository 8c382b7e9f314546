"""What `ps` shows of a process: a forked child gets a title of its own.

This is the package setproctitle, but only its C half: the other half imports `logging`, which costs every daemon
1.2 MB and 15 ms, and every worker 0.4 MB of memory that it no longer shares.

A title goes where the arguments and the environment were that the process was started with, and is cut when it has
more bytes than those.  Who needs more asks the kernel for another place.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ctypes
    from mmap import mmap
    from types import ModuleType

    from supervise.command import Argv

PR_SET_MM, PR_SET_MM_MAP = 35, 14  # prctl(2)


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
    Title(argv).show()


class Title:
    """*argv* made ready for `show`, which is `set_title` for who has one title again and again."""

    def __init__(self, argv: Argv) -> None:
        self.line, self.name = text(b" ".join(argv)), text(argv[0].rpartition(b"/")[2])

    def show(self) -> None:
        if LIBRARY:
            LIBRARY.setproctitle(self.line)
            LIBRARY.setthreadtitle(self.name)


def text(title: bytes) -> str:
    """*title* as the library takes it, which knows UTF-8 and nothing else."""
    return title.decode(errors="replace")


def arguments(argv: Argv) -> mmap | None:
    """Memory that the kernel shows as our arguments from now on: *argv*, a NUL behind each word.

    It is what exec would have left there, byte for byte, in a fork of whatever process, and what is written to it
    shows at once.  It costs ctypes, 0.3 MB.

    Returns:
        The memory, to be kept as long as we live, or None: the kernel does not move arguments (it is older than 3.18,
        or was built without CHECKPOINT_RESTORE).
    """
    import ctypes
    from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap

    words = b"".join(word + b"\0" for word in argv)
    memory = mmap(-1, len(words), MAP_PRIVATE | MAP_ANONYMOUS)
    memory[:] = words
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    return memory if move_arguments(ctypes.CDLL(None), start, start + len(words)) else None


def move_arguments(libc: ctypes.CDLL, start: int, end: int) -> bool:
    """Tell the kernel that our arguments are at the addresses from *start* to *end*; whether it took that."""
    import ctypes
    from struct import pack

    from supervise.files import slurp

    about = slurp(b"/proc/self/stat")
    if about is None:
        return False
    stat = about.rpartition(b")")[2].split()
    libc.sbrk.restype = ctypes.c_void_p
    # All or nothing (struct prctl_mm_map): where code, data, heap, stack, arguments and environment are.  The heap must
    # not grow from here on to the call; objects as small as these do not come from it.
    code, stack, data, heap, environment = stat[23:25], stat[25:26], stat[42:44], stat[44:45], stat[47:49]
    before = map(int, (*code, *data, *heap))
    layout = pack("11QQIi", *before, libc.sbrk(0), int(stack[0]), start, end, *map(int, environment), 0, 0, -1)
    number = ctypes.c_ulong
    return bool(libc.prctl(PR_SET_MM, number(PR_SET_MM_MAP), layout, number(len(layout)), number(0)) == 0)
