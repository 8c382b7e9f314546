"""Find, run and start programs: the one place in the house that forks and execs.

A program is looked for as exec would look for it.  When what is found is a console
script of this distribution and of this interpreter, the script itself says which
function it would call; we call that function and save the start of an interpreter.
Anything else is exec'ed as ever, so a program that somebody puts in front of ours is
respected without a setting.
"""

from __future__ import annotations

import _signal  # see SIGNALS
import errno
import fcntl
import os
import signal
import sys

from supervise.command import Become, Command, say
from supervise.environment import VARIABLES
from supervise.errors import TEMPORARY, reason
from supervise.fd import read_all, write_all
from supervise.files import identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import NoReturn

    from supervise.command import Argv

PACKAGES = (b"supervise", b"ucspi", b"mta", b"tools")
DEFAULT_PATH = b"/bin:/usr/bin"
COERCED = (b"C.UTF-8", b"C.utf8", b"UTF-8")  # what the interpreter makes of the locale C
# Every signal that can be handled.  What `signal` puts around its C half turns each number into an enum and back,
# which costs a forked child or a worker more than all else it does with signals, and 0.3 MB of shared memory.
SIGNALS = tuple(int(number) for number in signal.valid_signals() if number not in (signal.SIGKILL, signal.SIGSTOP))
# Errors after which the next place is looked at; any other ends the search, as it always did.
MISSING = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR)

# What was read in programs, and by whom, which a worker that runs the same one for each job need not do again.
KNOWN: dict[tuple[int, ...], tuple[str, str] | None] = {}


def candidates(name: bytes, path: bytes | None = None) -> list[bytes]:
    """Where exec looks for *name*: the name itself if it has a slash, else along *path* or `PATH`."""
    if b"/" in name:
        return [name]
    if path is None:
        path = os.environb.get(b"PATH", DEFAULT_PATH)
    return [(folder or b".") + b"/" + name for folder in path.split(b":")]


def find(name: bytes, path: bytes | None = None) -> Command | None:
    """Our own command that exec would reach under *name*, or None: it is not ours, or there is none."""
    place = locate(name, path)
    if place is None:
        return None
    module, attribute = place
    __import__(module)
    found = getattr(sys.modules[module], attribute, None)
    return found if isinstance(found, Command) else None


def locate(name: bytes, path: bytes | None = None) -> tuple[str, str] | None:
    """Module and function of our own command that exec would reach under *name*, or None; nothing is imported."""
    for file in candidates(name, path):
        try:
            version = (os.geteuid(), *identity(os.stat(file)))
            if version in KNOWN:
                return KNOWN[version]
            fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            if error.errno not in MISSING or (error.errno == errno.EACCES and os.access(file, os.X_OK)):
                return None  # exec would go no further, or it is a program that may be run but not read
            continue
        try:
            about = os.fstat(fd)
            script = os.read(fd, 1024)
        except OSError:  # a folder
            continue
        finally:
            os.close(fd)
        if about.st_mode & 0o111:
            place = KNOWN[os.geteuid(), *identity(about)] = called_by(script)
            return place
    return None


def called_by(script: bytes) -> tuple[str, str] | None:
    """The module and the function that the console script beginning with *script* calls, if they are ours."""
    interpreter = os.path.dirname(os.fsencode(sys.executable)) + b"/"
    if not script.startswith(b"#!") or interpreter not in script:
        return None
    for line in script.splitlines():
        words = line.split()
        if len(words) == 4 and words[0] == b"from" and words[2] == b"import":
            if words[1].split(b".")[0] not in PACKAGES:
                return None
            return os.fsdecode(words[1]), os.fsdecode(words[3])
    return None


def run(argv: Argv, path: bytes | None = None, name: bytes = b"", code: int = TEMPORARY) -> int:
    """Run *argv* here, and whatever it becomes, down to an exit code; arguments as for `Become`."""
    return become(Become(argv, path, code, name))


def become(change: Become) -> int:
    """Run the program of *change* here, and whatever it becomes, down to an exit code; a foreign one is exec'ed."""
    argv, path = change.argv, change.path
    try:
        command = (not change.foreign and find(argv[0], path)) or execute(argv, path)
    except OSError as error:
        return change.refuse(error)
    except MemoryError:  # softlimit left too little for a module of ours
        return change.refuse(OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)))
    except ImportError as error:
        return change.refuse(OSError(0, str(error)))
    return follow(command, argv)


def follow(command: Command, argv: Argv) -> int:
    """Run *command* with *argv*, and whatever it becomes."""
    try:
        return command(argv)
    except Become as change:
        following = change
    following.name = command.name
    take_name(following.argv[0])
    return become(following)


def take_name(program: bytes) -> None:
    """Be known to `ps -o comm`, `pgrep` and `killall` by the name of *program*, as after exec."""
    try:
        fd = os.open(b"/proc/self/comm", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:  # no /proc, or a process that the kernel protects
        return
    try:
        os.write(fd, os.path.basename(program))
    except OSError:
        pass
    finally:
        os.close(fd)


def execute(argv: Argv, path: bytes | None = None, program: bytes | None = None) -> NoReturn:
    """Exec *argv* with the environment as it is, entries included that no variable can have; returns never.

    Args:
        path: where to look for the program instead of `PATH`.
        program: its file, when that is not what its first word says.

    Raises:
        OSError: it cannot be run; of several places, the first real obstacle counts.
    """
    try:
        first_of(argv, path, os.execv, program)
    except ValueError:  # a NUL in an argument: nothing that exec could carry
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL)) from None
    raise AssertionError


def start(argv: Argv, path: bytes | None = None) -> int:
    """Start the foreign program *argv* as a child that shares our memory until it is there; its pid.

    That spares a copy of this process.  The child gets what exec would have given it, with no signal blocked.

    Raises:
        OSError: no process can be made, or the program cannot be run; as for `execute`.
        ValueError: there is something in the environment or the arguments that only exec can hand on, if anything.
    """
    return first_of(argv, path, lambda file, words: os.posix_spawn(file, words, VARIABLES, setsigmask=[]))


def first_of(
    argv: Argv, path: bytes | None, attempt: Callable[[bytes, Argv], int], program: bytes | None = None
) -> int:
    """What *attempt* makes of the first place where *argv* can be run, looked for along *path* as exec does.

    *program*, if given, is looked for instead of the first word.

    Raises:
        OSError: there is none; the first real obstacle counts.
    """
    obstacle = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    words = [
        argv[0] or b".",
        *argv[1:],
    ]  # an empty name means the folders of PATH, and the interpreter takes no empty word
    for file in candidates(argv[0] if program is None else program, path):
        try:
            return attempt(file, words)
        except OSError as error:
            if error.errno not in MISSING:
                raise
            if error.errno != errno.ENOENT:
                obstacle = error  # type: ignore[assignment]  # any OSError will do
    raise obstacle


def console(command: Command) -> int:
    """Serve a console script: undo what the interpreter did to signals and the environment, and run."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    if callable(signal.getsignal(signal.SIGINT)):  # else it is ignored, as a shell does for what runs in the background
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    original_locale()
    keep_standard_descriptors()
    if sys.argv[1:] == ["--help"]:
        os._exit(show_page(command))
    os._exit(follow(command, [os.fsencode(os.path.basename(sys.argv[0])), *map(os.fsencode, sys.argv[1:])]))


def keep_standard_descriptors() -> None:
    """Keep the numbers 0, 1 and 2, where they are closed, from files of ours: a rules.tmp on 0 would be its own input.

    What is there instead can as little be read or written (EBADF), and exec closes it, so other programs find what
    we found.
    """
    for fd, mode in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY)):
        try:
            os.fstat(fd)
        except OSError:
            try:
                os.open(b"/dev/null", mode | os.O_CLOEXEC)  # gets the lowest number that is free: fd
            except OSError:  # a root without devices
                return


def show_page(command: Command) -> int:
    """Print the manual page of *command*, its module's docstring; an exit code."""
    page = sys.modules[command.main.__module__].__doc__ or f"{os.fsdecode(command.name)}: no manual page\n"
    try:
        write_all(1, page.encode())
    except OSError:
        return TEMPORARY
    return 0


def original_locale() -> None:
    """Put LC_CTYPE back: where the locale is C, the interpreter sets it (PEP 538), and children would see that."""
    if os.environb.get(b"LC_CTYPE") not in COERCED:
        return
    try:
        fd = os.open(b"/proc/self/environ", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    given = [variable for variable in read_all(fd).split(b"\0") if variable.startswith(b"LC_CTYPE=")]
    os.close(fd)
    if given:
        os.environb[b"LC_CTYPE"] = given[0].partition(b"=")[2]
    else:
        del os.environb[b"LC_CTYPE"]


def spawn(
    work: Argv | Callable[[], int], fds: Mapping[int, int] | None = None, prepare: Callable[[], object] | None = None
) -> int:
    """Start a child and return its pid.

    The child gets what exec would have given it: descriptors 0, 1 and 2, those that *fds*
    names besides (`{0: message, 1: envelope}`), default signals, nothing else.

    Args:
        work: a command line, or a function that returns the exit code.
        fds: which of our descriptors the child finds under which number.
        prepare: runs in the child first, to change user, environment or folder.
    """
    pid = os.fork()
    if pid:
        return pid
    code = TEMPORARY
    try:
        ordinary_signals()
        arrange(fds or {})
        if prepare:
            prepare()
        code = work() if callable(work) else run(work)
    except OSError as error:
        say(b"child: fatal: system call failed: " + reason(error))
    except BaseException as bug:  # nothing may unwind into the parent's code
        say(b"child: bug: " + repr(bug).encode())
    finally:
        os._exit(code)


def launch(argv: Argv, fds: Mapping[int, int], opened: Mapping[int, bytes]) -> int:
    """Start the foreign program *argv* as a child that shares our memory until it is there; its pid.

    That spares a copy of this process, and of all that it writes to before the next one.  The child gets those of our
    descriptors that are inherited, and default signals.

    Args:
        argv: the file, as exec would take it, and its arguments.
        fds: which of our descriptors the child finds under which number, all of them above these numbers.
        opened: files that the child finds open for reading and appending, by descriptor.

    Raises:
        OSError: no process can be made (EAGAIN, ENOMEM), or the program cannot be run.
        ValueError: the environment has entries that only exec can hand on.
    """
    actions: list[tuple[int, int, int] | tuple[int, int, bytes, int, int]] = []
    actions += [(os.POSIX_SPAWN_DUP2, have, want) for want, have in fds.items()]
    actions += [(os.POSIX_SPAWN_OPEN, fd, file, os.O_RDWR | os.O_APPEND, 0) for fd, file in opened.items()]
    ignored = [signal.SIGPIPE, signal.SIGXFSZ]
    return os.posix_spawn(argv[0], argv, os.environb, file_actions=actions, setsigdef=ignored)


class Held:
    """A child that does *work* when it is let go.  It ends, and has done nothing, when we are gone before that.

    Args:
        work: returns the exit code.
        fds: as for `spawn`.

    Raises:
        OSError: no process can be made.
    """

    def __init__(self, work: Callable[[], int], fds: Mapping[int, int]) -> None:
        # Both ends stay open here, so that a child that is killed meanwhile costs us no SIGPIPE.
        self.reading, self.writing = os.pipe2(os.O_CLOEXEC)
        try:
            self.pid = spawn(work, {**fds, self.reading: self.reading}, self.wait)
        except OSError:
            self.close()
            raise

    def wait(self) -> None:
        """In the child: wait until it is let go."""
        if not os.read(self.reading, 1):
            os._exit(TEMPORARY)
        os.close(self.reading)

    def let_go(self) -> None:
        """Have it do its work."""
        os.write(self.writing, b"\n")
        self.close()

    def close(self) -> None:
        os.close(self.reading)
        os.close(self.writing)


def handed_on() -> list[int]:
    """The descriptors that exec would hand on."""
    try:
        open_now = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:  # no /proc
        open_now = [0, 1, 2]
    inheritable = []
    for fd in open_now:
        try:
            if os.get_inheritable(fd):
                inheritable.append(fd)
        except OSError:  # closed, or what the list was read from
            pass
    return inheritable


def arrange(fds: Mapping[int, int]) -> None:
    """Put descriptors where *fds* wants them, whatever overlaps; close all others above 2."""
    above = max((2, *fds)) + 1  # where nothing is overwritten
    lifted = {want: fcntl.fcntl(have, fcntl.F_DUPFD_CLOEXEC, above) for want, have in fds.items()}
    for want, have in lifted.items():
        os.dup2(have, want)
    close_all_but({0, 1, 2, *fds})


def close_all_but(kept: set[int]) -> None:
    """Close every descriptor that is not in *kept*."""
    low = 0
    for high in [*sorted(kept), os.sysconf("SC_OPEN_MAX")]:
        if low < high:  # an empty range that ends before 0 would be everything (Python 3.11)
            os.closerange(low, high)
        low = high + 1


def ignore_broken_pipes(ignore: bool = True) -> None:
    """Have SIGPIPE ignored, or else end us."""
    _signal.signal(_signal.SIGPIPE, _signal.SIG_IGN if ignore else _signal.SIG_DFL)


def ordinary_signals() -> None:
    """Undo what the interpreter and the parent did: default actions, nothing blocked, no timer."""
    _signal.set_wakeup_fd(-1)
    _signal.setitimer(_signal.ITIMER_REAL, 0)
    for number in SIGNALS:
        if number in (_signal.SIGPIPE, _signal.SIGXFSZ) or callable(_signal.getsignal(number)):
            _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
