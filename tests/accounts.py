"""Users whom only what a test runs can see: files that stand in the places of /etc/passwd and the like for it alone.

Accounts(tmp_path).add("sue", 61002, "secret", home)
given_login(login("sue", "secret"), *accounts.seen_by, "checkpassword", ...)
"""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path

from commands import Result, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

OVER_PAM = 'mount --bind "$0" /etc/pam.d && exec "$@"'
MOUNT = 'for file in passwd shadow group; do mount --bind "$0/$file" /etc/$file || exit 111; done; exec "$@"'


def hashed(password: str) -> str:
    """What the shadow file has for *password*."""
    words = ["openssl", "passwd", "-6", "-stdin"]
    return subprocess.run(words, input=password, capture_output=True, text=True, check=True).stdout.strip()


def login(name: str, password: str) -> bytes:
    """What a server tells on descriptor 3."""
    return f"{name}\0{password}\0<1.2@pop.example>\0".encode()


def given_login(login: bytes, *argv: str | Path, env: dict[str, str] | None = None) -> Result:
    """Run a command that finds *login* on descriptor 3."""
    reading, writing = os.pipe()
    os.write(writing, login)
    os.close(writing)
    try:
        script = f"exec 3<&{reading}" if reading < 10 else "exec 3</proc/$$/fd/" + str(reading)
        return run("sh", "-c", script + '; exec "$@"', "sh", *argv, env=env, pass_fds=(reading,))
    finally:
        os.close(reading)


@contextmanager
def on_descriptor_3(login: bytes) -> Iterator[Callable[[], None]]:
    """What puts *login* on our own descriptor 3 each time that it is called; later it is what it was before."""
    try:
        saved = os.dup(3)
    except OSError:
        saved = -1

    def put() -> None:
        reading, writing = os.pipe()
        os.write(writing, login)
        os.close(writing)
        if reading != 3:
            os.dup2(reading, 3)
            os.close(reading)

    try:
        yield put
    finally:
        os.close(3)
        if saved >= 0:
            os.dup2(saved, 3)
            os.close(saved)


class Accounts:
    """The users; *seen_by* are the words in front of a command that is to see them, which needs root.

    Args:
        folder: where the files are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("passwd", Path("/etc/passwd").read_text())
        self.write("group", Path("/etc/group").read_text())
        self.write("shadow", "", 0o600)
        self.seen_by: tuple[str | Path, ...] = ("unshare", "--mount", "sh", "-c", MOUNT, folder)

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        """Put *text* into a file, in front of what it has: the first entry of a name counts."""
        path = self.folder / name
        old = path.read_text() if path.exists() else ""
        path.touch(mode)
        path.write_text(text + old)
        path.chmod(mode)

    def add(self, name: str, uid: int, stored: str, home: Path | str, shell: str = "/bin/sh") -> None:
        """Add a user with a group of that number, and another group that the user is in.

        Args:
            stored: the password as `hashed` has it.
        """
        self.write("passwd", f"{name}:x:{uid}:{uid}:{name}:{home}:{shell}\n")
        self.write("shadow", f"{name}:{stored}:20000:0:99999:7:::\n", 0o600)
        self.write("group", f"{name}:x:{uid}:\npost{uid}:x:{uid + 1000}:{name}\n")

    def serve(self, services: Mapping[str, str]) -> None:
        """Have PAM, too, see only the *services* given, each a file in /etc/pam.d, behind *seen_by*."""
        folder = self.folder / "pam.d"
        folder.mkdir()
        for name, text in services.items():
            (folder / name).write_text(text)
        self.seen_by = (*self.seen_by, "sh", "-c", OVER_PAM, folder)
