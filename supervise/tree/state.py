"""The file `supervise/state`: all that supervise knows of its service, for those who want more than 18 bytes.

Lines of a word, a blank and a value; who reads it skips what it does not know.

    state WORD       `down`; `waiting` for services that must be ready first; `up`; `ending`: ./run has
                     ended and other processes of its tree have not; `finishing`: ./finish runs
    pid N            the process of ./run; 0 when it is not up
    finish N         the process of ./finish, while that runs
    process BOOT T   what tells that process, ./run or ./finish, from all others that have its number:
                     the machine's boot and the clock tick when it was started
    since LABEL      when the service last went up or down: a TAI64N label
    want WORD        `up`, `down`, or `once`: no more than it was told
    paused yes       it has been stopped by `svc -p`
    leaving WORD     supervise is to end with the service; `last`: when that has read all there is;
                     `essential`: and svscan too
    starts N         how often this supervise and those before it, as far as known, have started it
    notification FD  it says when it is ready, by descriptor FD; only while it is up
    ready LABEL      when it said so
    ended CODE SIG   how ./run ended the last time: its exit code and 0, or 256 and the signal; `-1 0`
                     when nobody has seen it
    short N          how many lives in a row were shorter than a minute, up to the last end
    next LABEL       when it will be started again, if that is more than a second away
    tree FOLDER      the control group that its processes are in
    orphans N T ...  without one, those of its processes that have lost their parent, as far as known: number and start
    watched BOOT T   as `process`, of the parent of the supervise that watches the service; missing
                     when that has left it, and there is nothing to go on with

The record `supervise/status` is written after it.  Who finds another process number or moment there
than here knows that this file is older, of a supervise that did not write it, or just about to be told there too.
"""

from __future__ import annotations

from supervise import stamp
from supervise.errors import TEMPORARY
from supervise.files import slurp
from supervise.tree.servicedir import DOWN, ONCE, UP, Status

AT_REST, WAITING, RUNNING, ENDING, FINISHING = b"down", b"waiting", b"up", b"ending", b"finishing"
KILLED = 256  # the exit code of what a signal has ended
UNSEEN = (-1, 0)  # the end of what was no child of ours
LEAVING, AT_LAST = b"yes", b"last"  # and settings.ESSENTIAL
WANTED = {UP: b"up", DOWN: b"down", ONCE: b"once"}
KEPT = (b"want", b"ended", b"leaving", b"short", b"watched")  # of a state, when the service has been started since
LARGEST = 1 << 31  # above every number of a process
LAST = 1 << 63  # nanoseconds since 1970; no moment is so late


class State:
    """What `supervise/state` says, as far as somebody acts on it.

    Args:
        lines: word -> value.
    """

    def __init__(self, lines: dict[bytes, bytes]) -> None:
        self.lines = lines

    @classmethod
    def parse(cls, content: bytes) -> State:
        """The state in *content*; what is no pair of word and value is skipped."""
        pairs = (line.split(b" ", 1) for line in content.split(b"\n"))
        return cls({pair[0]: pair[1] for pair in pairs if len(pair) == 2})

    def __bytes__(self) -> bytes:
        return b"".join([b"%s %s\n" % pair for pair in self.lines.items()])

    @property
    def word(self) -> bytes:
        """AT_REST, WAITING, RUNNING, ENDING or FINISHING."""
        return self.lines.get(b"state", AT_REST)

    @property
    def watched(self) -> bytes:
        """Whose child watches it; nothing when it has been left."""
        return self.lines.get(b"watched", b"")

    @property
    def want(self) -> bytes:
        """UP, DOWN or ONCE."""
        return next((want for want, word in WANTED.items() if word == self.lines.get(b"want")), UP)

    @property
    def status(self) -> Status:
        """The record that says the same in short.

        Raises:
            ValueError: this is no state.
        """
        since = self.moment(b"since")
        if since is None:
            raise ValueError
        return Status(since, self.number(b"pid"), b"paused" in self.lines, self.want)

    @property
    def alive(self) -> bool:
        """Whether its ./run or ./finish is still there."""
        pid = self.number(b"pid") or self.number(b"finish")
        return pid != 0 and identity(pid) == self.lines.get(b"process", b"")

    @property
    def ready(self) -> bool:
        """Whether it is up and, if it says when it is ready, has said so."""
        return self.word == RUNNING and (b"notification" not in self.lines or b"ready" in self.lines)

    @property
    def ready_since(self) -> int | None:
        """When it said that it is ready, in nanoseconds since 1970."""
        return self.moment(b"ready")

    @property
    def next(self) -> int | None:
        """When it will be started, in nanoseconds since 1970."""
        return self.moment(b"next")

    @property
    def ended(self) -> tuple[int, int] | None:
        """The last end of ./run: exit code and signal."""
        words = self.lines.get(b"ended", b"").split()
        try:
            return int(words[0]), int(words[1])
        except (ValueError, IndexError):
            return None

    def number(self, word: bytes) -> int:
        """The number behind *word*, 0 if there is none."""
        digits = self.lines.get(word, b"")
        found = int(digits) if digits.isdigit() and len(digits) < 20 else 0
        return found if found < LARGEST else 0

    def moment(self, word: bytes) -> int | None:
        """The moment behind *word*, in nanoseconds since 1970."""
        label = self.lines.get(word, b"")
        if len(label) != stamp.SIZE:
            return None
        try:
            found = stamp.unpack(bytes.fromhex(label[1:].decode()))
        except ValueError:
            return None
        return found if 0 <= found < LAST else None


def read(file: bytes, pid: int) -> State | None:
    """The state in *file*, if it is of the same moment as a status with *pid*; None if it is missing or older.

    Raises:
        OSError: it cannot be read.
    """
    content = slurp(file)
    if content is None:
        return None
    state = State.parse(content)
    return state if state.number(b"pid") == pid else None


def left(record: bytes, content: bytes) -> State | None:
    """What a supervise that was killed has left in `status` and `state`, for the next one to go on with.

    Returns:
        None: nothing; the last supervise has ended with its service, wrote no state, or the machine has booted since.
    """
    found = State.parse(content)
    if not found.watched or found.watched.partition(b" ")[0] != this_boot():
        return None
    try:
        status = found.status
    except ValueError:  # damaged
        return None
    try:
        told = Status.parse(record)
    except ValueError:  # it was killed before it wrote one
        return found
    older = status.since < told.since or (status.since == told.since and status.pid != told.pid)
    return None if older else found


def unannounced(pid: int, process: bytes, notification_fd: int | None, before: State | None) -> State:
    """The state that a supervise was about to write when it was killed: ./run is up, as *pid*.

    Args:
        process: its identity.
        notification_fd: that on which it says that it is ready, if it does.
        before: the state that it has left.
    """
    lines = {word: value for word, value in before.lines.items() if word in KEPT} if before else {}
    if before and before.want == DOWN:
        lines[b"want"] = WANTED[UP]  # somebody has just said so
    lines[b"state"], lines[b"pid"], lines[b"process"] = RUNNING, b"%d" % pid, process
    lines[b"since"] = stamp.label()
    lines[b"starts"] = b"%d" % (before.number(b"starts") + 1 if before else 1)
    if notification_fd is not None:
        lines[b"notification"] = b"%d" % notification_fd
    return State(lines)


def code_of(ended: tuple[int, int]) -> int:
    """The exit code that tells the end *ended* to a parent, as a shell does."""
    code, number = ended
    return 128 + number if code == KILLED else code if code >= 0 else TEMPORARY


def this_boot() -> bytes | None:
    """What tells this boot of the machine from all others, or None: there is no such thing here."""
    return (process_file(b"/proc/sys/kernel/random/boot_id") or b"").strip() or None


def identity(pid: int) -> bytes | None:
    """What tells the process *pid* from all others: the machine's boot and its start, or None: there is none.

    A process that has ended and that nobody has taken note of yet counts as none.
    """
    stat = process_file(b"/proc/%d/stat" % pid)
    boot = this_boot()
    if not stat or not boot:
        return None
    fields = stat.rpartition(b")")[2].split()  # from the third field on; the second may hold anything
    return None if fields[0] in b"ZX" else b"%s %s" % (boot, fields[19])


def process_file(path: bytes) -> bytes | None:
    """The content of a file below /proc, None when it, or its process, is not there."""
    try:
        return slurp(path)
    except OSError:
        return None
