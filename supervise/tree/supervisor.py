"""The process that is the supervise of all services of a svscan, or of as many as it has descriptors for.

A process of its own for each service would cost more than a megabyte each.  One process for all of them costs a few
kilobytes for each, and nothing that anybody sees depends on it: each service has its folder `supervise` with the same
files, and a supervise that dies is replaced at once by one that goes on with what runs (see `Folder.find_left`).

svscan sends a key, the service's folder below its own, the name for messages, whether the service is to wait, and
descriptors with the numbers that ./run finds them under; or a key and commands, as `svc` would write them.  It is told
what `Watch.news` has.  The supervisor outlives svscan: it ends when svscan is gone and no service is left.
"""

from __future__ import annotations

import marshal
import os
import select
import socket
import struct

from supervise.command import say
from supervise.errors import TEMPORARY, Trouble
from supervise.program import spawn
from supervise.title import set_title
from supervise.tree.mark import Mark
from supervise.tree.processtree import Crowded
from supervise.tree.watch import CROWDED, FULL, LEFT, Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from supervise.room import Room
    from supervise.tree.mark import Orphan

LARGEST = 65536  # bytes of a message
NOTE = struct.Struct("<qii")  # a key, what has happened, an exit code
NAME = b"supervise"


class Supervisor:
    """svscan's side.

    Args:
        room: for descriptors.
        alone: it will have one service only.

    Raises:
        OSError: no process can be made now.
    """

    def __init__(self, room: Room, alone: bool) -> None:
        self.alone = alone
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.mark = Mark()
        with theirs:
            fd = theirs.fileno()
            try:
                self.pid = spawn(lambda: serve(fd, room, alone, self.mark), {fd: fd})
            except OSError:
                self.close()
                raise

    def fileno(self) -> int:
        """Readable when there are `news`."""
        return self.channel.fileno()

    def watch(
        self, key: int, path: bytes, name: bytes, fds: Mapping[int, int], waiting: bool, orphan: Orphan = None
    ) -> None:
        """Have the service in *path* watched; see `Watch.take`.

        Raises:
            OSError: the supervisor is dead.
        """
        message = marshal.dumps((key, path, name, waiting, orphan, tuple(fds)))
        socket.send_fds(self.channel, [message], list(fds.values()), socket.MSG_NOSIGNAL)

    def command(self, key: int, letters: bytes) -> bool:
        """Have the service do what *letters* say; whether the supervisor is there to hear it."""
        try:
            self.channel.send(marshal.dumps((key, letters)), socket.MSG_NOSIGNAL)
        except OSError:
            return False
        return True

    def news(self) -> list[tuple[int, int, int]]:
        """What has happened since the last call; see `Watch.news`."""
        found = []
        try:
            while note := self.channel.recv(NOTE.size, socket.MSG_DONTWAIT):
                found.append(NOTE.unpack(note))
        except (BlockingIOError, ConnectionError):
            pass
        return found

    def close(self) -> None:
        """Have no more to do with the supervisor: it is dead, or will end with its services."""
        self.channel.close()
        self.mark.close()


def serve(fd: int, room: Room, alone: bool, mark: Mark) -> int:
    """Be the supervisor, which hears from svscan on *fd*."""
    os.set_inheritable(fd, False)
    return Served(socket.socket(fileno=fd), room, alone, mark).run()


class Served:
    """The supervisor's side."""

    def __init__(self, channel: socket.socket, room: Room, alone: bool, mark: Mark) -> None:
        self.channel: socket.socket | None = channel
        self.watch = Watch(room, alone, mark)
        self.folder = os.open(b".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self.paths: dict[int, bytes] = {}  # by key
        self.title: list[bytes] = []
        channel.setblocking(False)
        self.full = False  # svscan has not read what it has been told
        self.watch.loop.hear(channel.fileno(), self.listen)

    def run(self) -> int:
        """Watch until svscan is gone and nothing is left to watch."""
        while self.channel or self.watch.watched:
            self.take_title()
            self.watch.turn()
            self.tell()
        return 0

    def take_title(self) -> None:
        """Be called after all that we watch, as a supervise of one service is called after that."""
        self.paths = {key: self.paths[key] for key in self.watch.watched}
        title = [NAME, *self.paths.values()]
        if title != self.title:
            self.title = title
            set_title(title)

    def listen(self) -> None:
        """Take the services that svscan sends."""
        assert self.channel
        try:
            while True:
                message, fds, _, _ = socket.recv_fds(self.channel, LARGEST, 2)
                if not message:
                    break
                words = marshal.loads(message)
                if len(words) == 2:
                    self.obey(*words)
                else:
                    self.take(fds, *words)
        except BlockingIOError:
            return
        except ConnectionError:
            pass
        self.watch.loop.forget(self.channel.fileno())
        self.channel.close()
        self.channel = None

    def obey(self, key: int, letters: bytes) -> None:
        """Do what svscan wants of a service."""
        each = self.watch.watched.get(key)
        if each:
            each.guard(lambda: each.obey(letters))

    def take(
        self, fds: list[int], key: int, path: bytes, name: bytes, waiting: bool, orphan: Orphan, wanted: tuple[int, ...]
    ) -> None:
        """Watch a service; *fds* are for the numbers that are *wanted*."""
        if len(fds) != len(wanted):
            say(b"supervise: warning: %s: no room for its descriptors" % path)
            self.watch.news.append((key, LEFT, TEMPORARY))
            return
        if self.watch.full:
            for have in fds:
                os.close(have)
            self.watch.news.append((key, FULL, 0))
            return
        for have in fds:
            os.set_inheritable(have, False)
        try:
            os.fchdir(self.folder)
            self.watch.take(key, path, name, dict(zip(wanted, fds, strict=True)), waiting, orphan)
            self.paths[key] = path
        except Crowded:
            self.watch.news.append((key, CROWDED, 0))
        except Exception as error:  # a bug of ours costs the other services nothing
            what = b"fatal: " + error.line if isinstance(error, Trouble) else b"bug: " + repr(error).encode()
            say(b"supervise: " + what)
            self.watch.news.append((key, LEFT, TEMPORARY))

    def tell(self) -> None:
        """Tell svscan what is new; what it has no room for is told when it has."""
        if not self.channel:
            self.watch.news.clear()
        try:
            while self.channel and self.watch.news:
                self.channel.send(NOTE.pack(*self.watch.news[0]), socket.MSG_NOSIGNAL)
                del self.watch.news[0]
        except BlockingIOError:
            self.wait_for_room(True)
        except OSError:
            pass  # it is gone, which we are about to hear
        else:
            self.wait_for_room(False)

    def wait_for_room(self, full: bool) -> None:
        """Hear, or no longer, that svscan has read something."""
        if self.channel and full != self.full:
            self.full = full
            self.watch.loop.forget(self.channel.fileno())
            events = select.EPOLLIN | select.EPOLLOUT if full else select.EPOLLIN
            self.watch.loop.hear(self.channel.fileno(), self.listen, events)
