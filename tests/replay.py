"""Replay a recorded run of an original command against ours; tests/vectors/README.md describes the format."""

from __future__ import annotations

import base64
import difflib
import errno
import fcntl
import fnmatch
import glob
import grp
import hashlib
import os
import pwd
import re
import select
import shutil
import signal
import socket
import tempfile
import threading
import time
import zlib
from pathlib import Path
from typing import Any

from commands import BIN
from until import until

from supervise.program import find, follow

KIT = Path(__file__).resolve().parent / "vectors"
SKELETON = ("alias", "control", "users", "queue")
NOBODY = 65534
Vector = dict[str, Any]


def to_bytes(text: str) -> bytes:
    """Every string of a vector stands for bytes, one per code point."""
    return text.encode("latin-1")


def to_text(data: bytes) -> str:
    return data.decode("latin-1")


class Peer(threading.Thread):
    """A scripted TCP server on loopback: plays its steps to each connection."""

    def __init__(self, scripts: list[list[dict]], port: int = 0):
        super().__init__(daemon=True)
        self.scripts = scripts
        self.heard: list[bytes] = []
        self.listener = until(lambda: listen(port), what=f"port {port} is free")
        self.port = self.listener.getsockname()[1]

    def run(self) -> None:
        for script in self.scripts:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            with conn:
                conn.settimeout(10)
                self.heard.append(self._play(conn, script))

    def finish(self) -> None:
        limit = time.monotonic() + 2  # a connection made but not yet accepted still counts
        while self.is_alive() and time.monotonic() < limit and select.select([self.listener], [], [], 0)[0]:
            time.sleep(0.01)
        try:
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes an accept that nobody answered
        except OSError:
            pass
        self.listener.close()
        self.join(2)

    def _play(self, conn: socket.socket, script: list[dict]) -> bytes:
        heard = b""
        mark = 0
        try:
            for step in script:
                if "send" in step:
                    conn.sendall(to_bytes(step["send"]))
                elif "until" in step:
                    end = to_bytes(step["until"])
                    while end not in heard[mark:]:
                        data = conn.recv(65536)
                        if not data:
                            return heard
                        heard += data
                    mark = heard.index(end, mark) + len(end)
                elif "sleep" in step:
                    time.sleep(step["sleep"])
                elif step.get("close"):
                    return heard
            while data := conn.recv(65536):
                heard += data
        except OSError:
            pass
        return heard


def listen(port: int) -> socket.socket | None:
    """A listening socket on *port*, or None while another run has it."""
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return None


class Run:
    """One vector executed in a scratch directory of its own.

    Args:
        vector: the recorded run.
        forked: its command is called in a child that we fork, as our daemons call ours, not by its installed script.
    """

    def __init__(self, vector: Vector, forked: bool = False) -> None:
        self.vector, self.forked = vector, forked
        self.grabbed: dict[str, str] = {}
        self.scratch = Path(tempfile.mkdtemp(prefix="vector-"))
        os.chmod(self.scratch, 0o755)
        self.work = self.scratch / "work"
        self.home = self.scratch / "home"
        self.work.mkdir()
        self.lower = bool(vector.get("unprivileged")) and os.geteuid() == 0
        self.peer = Peer(vector["peer"], vector.get("peer_port", 0)) if "peer" in vector else None

    # -- set-up -----------------------------------------------------------
    def fill(self, text: str) -> str:
        text = text.replace("{WORK}", str(self.work)).replace("{HOME}", str(self.home))
        text = text.replace("{BIN}", str(BIN)).replace("{KIT}", str(KIT))
        if self.peer:
            text = text.replace("{PORT}", str(self.peer.port))
        for name, value in self.grabbed.items():
            text = text.replace("{%s}" % name, value)
        return text

    def lay(self, root: Path, files: dict) -> None:
        for name, spec in files.items():
            path = root / name
            spec = {"text": spec} if isinstance(spec, str) else dict(spec or {})
            path.parent.mkdir(parents=True, exist_ok=True)
            if name.endswith("/"):
                path.mkdir(parents=True, exist_ok=True)
            elif "link" in spec:
                path.symlink_to(self.fill(spec["link"]))
            elif spec.get("fifo"):
                os.mkfifo(path)
            elif "zlib64" in spec:
                path.write_bytes(zlib.decompress(base64.b64decode(spec["zlib64"])))
            else:
                path.write_bytes(to_bytes(self.fill(spec.get("text", ""))))
            if "owner" in spec and os.geteuid() == 0:
                os.lchown(path, spec["owner"], spec["owner"])
            if "mode" in spec:
                os.chmod(path, int(spec["mode"], 8))
            if "mtime" in spec:
                os.utime(path, (spec["mtime"], spec["mtime"]))

    def prepare(self) -> None:
        for name in SKELETON:
            (self.home / name).mkdir(parents=True, exist_ok=True)
        (self.home / "bin").symlink_to(BIN)
        self.lay(self.work, self.vector.get("files", {}))
        self.lay(self.home, self.vector.get("home", {}))
        if self.lower:
            for root in (self.work, self.home):
                for path in [root, *root.rglob("*")]:
                    os.lchown(path, NOBODY, NOBODY)

    def restore(self) -> None:
        if self.peer and self.peer.listener.fileno() >= 0:
            self.peer.finish() if self.peer.is_alive() else self.peer.listener.close()
        shutil.rmtree(self.scratch, ignore_errors=True)

    # -- the run itself ---------------------------------------------------
    def execute(self) -> dict[str, Any]:
        vector = self.vector
        if self.peer:
            self.peer.start()
        result = self.step(vector)
        taken = [result]
        for later in vector.get("then", []):
            self.lay(self.work, later.get("files", {}))
            taken.append(self.step({**later, "env": {**vector.get("env", {}), **later.get("env", {})}}))
        for one in taken:
            if "missing" in one:
                return one
            one["out"] = {str(fd): self.tidy(data) for fd, data in one["out"].items()}
        if taken[1:]:
            result["then"] = {str(number): one for number, one in enumerate(taken[1:], 1)}
        if self.peer:
            self.peer.finish()
            result["peer"] = [self.tidy(data) for data in self.peer.heard]
        for key, root in (("files", self.work), ("home", self.home)):
            watched = vector.get(f"watch_{key}")
            if watched:
                result[key] = self.look(root, watched)
        return result

    def step(self, vector: Vector) -> dict[str, Any]:
        """One command of the vector, and what it put out before any mask."""
        argv = [self.fill(word) for word in vector["argv"]]
        program = BIN / argv[0]
        if not program.exists():
            return {"missing": argv[0]}
        env = {"PATH": f"{BIN}:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", "QMAILHOME": str(self.home)}
        for key, value in vector.get("env", {}).items():
            if value is None:
                env.pop(key, None)
            else:
                env[key] = self.fill(value)
        inputs = {int(fd): to_bytes(self.fill(text)) for fd, text in vector.get("in", {"0": ""}).items()}
        outputs = [fd for fd in vector.get("capture", [1, 2]) if fd not in inputs]
        mine: dict[int, int] = {}
        theirs: dict[int, int] = {}
        for fd in inputs:
            if fd in vector.get("seekable", []):
                with open(self.scratch / f"in.{fd}", "w+b") as laid:
                    laid.write(inputs[fd])
                theirs[fd] = os.open(laid.name, os.O_RDONLY)
            else:
                theirs[fd], mine[fd] = os.pipe()
        for fd in outputs:
            mine[fd], theirs[fd] = os.pipe()
        with open(os.devnull, "r+b") as null:
            for fd in (0, 1, 2):
                theirs.setdefault(fd, null.fileno())
            pid = os.fork()
            if pid == 0:
                self._child(program, argv, env, theirs)
        for fd, end in theirs.items():
            if fd in mine or fd in inputs:
                os.close(end)
        inputs = {fd: data for fd, data in inputs.items() if fd in mine}
        out, status = self._converse(pid, inputs, outputs, mine)
        for name, (place, pattern) in vector.get("grab", {}).items():
            data = out[int(place[4:])] if place.startswith("out.") else (self.work / place).read_bytes()
            found = re.search(pattern, to_text(data))
            self.grabbed[name] = found[1] if found else ""
        return {"exit": status, "out": out}

    def _child(self, program: Path, argv: list[str], env: dict, theirs: dict[int, int]) -> None:
        try:
            os.setsid()
            os.chdir(self.fill(self.vector.get("cwd", "{WORK}")))
            os.umask(int(self.vector.get("umask", "022"), 8))
            above = max(theirs) + 1
            high = {fd: fcntl.fcntl(end, fcntl.F_DUPFD, above) for fd, end in theirs.items()}
            for fd, end in high.items():
                os.dup2(end, fd, inheritable=True)
            for fd in map(int, os.listdir("/proc/self/fd")):  # all that we have, the other ends of its own pipes too
                if fd not in theirs:
                    try:
                        os.close(fd)
                    except OSError:
                        pass
            for name in ("SIGPIPE", "SIGINT", "SIGXFSZ"):
                signal.signal(getattr(signal, name), signal.SIG_DFL)
            if self.lower:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            words = [to_bytes(word) for word in argv]
            variables = {to_bytes(key): to_bytes(value) for key, value in env.items()}
            command = find(bytes(program)) if self.forked else None
            if command:
                os.environb.clear()
                for name in (b"LINES", b"COLUMNS"):  # which readline, of the test runner, sets behind Python's back
                    os.unsetenv(name)
                os.environb.update(variables)
                time.tzset()
                os._exit(follow(command, words))
            os.execve(program, words, variables)
        finally:
            os._exit(127)

    def _converse(self, pid: int, inputs: dict[int, bytes], outputs: list[int], mine: dict[int, int]):
        limit = time.monotonic() + self.vector.get("timeout", 20)
        pending = dict(inputs)
        out = dict.fromkeys(outputs, b"")
        for fd in mine.values():
            os.set_blocking(fd, False)
        writing = {mine[fd]: fd for fd in inputs}
        reading = {mine[fd]: fd for fd in outputs}
        while writing or reading:
            left = limit - time.monotonic()
            if left <= 0:
                os.killpg(pid, signal.SIGKILL)
                break
            readable, writable, _ = select.select(list(reading), list(writing), [], left)
            for end in writable:
                fd = writing[end]
                try:
                    sent = os.write(end, pending[fd][:65536]) if pending[fd] else 0
                    pending[fd] = pending[fd][sent:]
                except BlockingIOError:
                    continue
                except OSError:
                    pending[fd] = b""
                if not pending[fd]:
                    os.close(end)
                    del writing[end]
            for end in readable:
                try:
                    data = os.read(end, 65536)
                except BlockingIOError:
                    continue
                if data:
                    out[reading[end]] += data
                else:
                    os.close(end)
                    del reading[end]
        for end in (*writing, *reading):
            os.close(end)
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        return out, code

    # -- what came of it --------------------------------------------------
    def tidy(self, data: bytes) -> str:
        text = to_text(data)
        text = text.replace(str(self.work), "{WORK}").replace(str(self.home), "{HOME}")
        if self.peer:
            text = text.replace(f":{self.peer.port}", ":{PORT}")
        for name, value in self.grabbed.items():
            if value:
                text = text.replace(value, "{%s}" % name)
        for pattern, replacement in self.vector.get("mask", []):
            text = re.sub(pattern, replacement, text)
        return text

    def look(self, root: Path, patterns: list[str]) -> dict[str, Any]:
        seen: dict[str, object] = {}
        for pattern in patterns:
            names = sorted(glob.glob(pattern, root_dir=root, recursive=True, include_hidden=True))
            if not names and not glob.has_magic(pattern):
                seen[pattern] = None
            for name in names:
                path = root / name
                key = self.tidy(to_bytes(name))
                if path.is_symlink():
                    seen[key] = {"link": self.tidy(os.readlink(path).encode())}
                elif path.is_dir():
                    seen[key] = {"dir": True}
                elif path.is_file():
                    data = path.read_bytes()
                    text = self.tidy(data)
                    if any(fnmatch.fnmatch(name, which) for which in self.vector.get("digest", [])):
                        text = f"sha256 {hashlib.sha256(data).hexdigest()} of {len(data)} bytes"
                    if self.vector.get("modes"):
                        text = f"mode {path.stat().st_mode & 0o7777:04o}: {text}"
                    if key in seen:
                        text = [*seen[key], text] if isinstance(seen[key], list) else [seen[key], text]
                    seen[key] = text
                else:
                    seen[key] = {"special": True}
        return seen


def play(vector: Vector, forked: bool = False) -> dict[str, Any]:
    """Run *vector* in a scratch directory of its own; what came of it, in the form of its "expect"."""
    run = Run(vector, forked)
    try:
        run.prepare()
        return run.execute()
    finally:
        run.restore()


def differences(vector: Vector, actual: dict[str, Any]) -> list[str]:
    """What the run did otherwise than recorded, as readable lines."""
    if "missing" in actual:
        return [f"no command {actual['missing']}"]
    expect = vector["expect"]
    loose = set(vector.get("loose", []))  # e.g. "out.2": the wording is not part of the contract
    lines: list[str] = []

    def compare(where: str, want, got) -> None:
        if want == got:
            return
        if isinstance(want, dict) and isinstance(got, dict):
            for key in sorted(set(want) | set(got)):
                compare(f"{where}.{key}" if where else key, want.get(key), got.get(key))
            return
        if where in loose:
            return
        if isinstance(want, str) and isinstance(got, str):
            lines.append(f"{where}:")
            lines.extend(
                "  " + line
                for line in difflib.ndiff(
                    [repr(part) for part in want.splitlines(True)], [repr(part) for part in got.splitlines(True)]
                )
                if line[0] != "?"
            )
        else:
            lines.append(f"{where}: recorded {want!r}, now {got!r}")

    compare("", expect, actual)
    return lines


def lacking(vector: Vector) -> str | None:
    """What this machine lacks that the vector needs, if anything."""
    for need in vector.get("needs", []):
        kind, _, name = need.partition(" ")
        try:
            if kind == "user":
                pwd.getpwnam(name)
            elif kind == "group":
                grp.getgrnam(name)
            elif kind == "home" and pwd.getpwnam(name).pw_uid != os.stat(pwd.getpwnam(name).pw_dir).st_uid:
                return str(need)
            elif kind == "root" and os.geteuid() != 0:
                return str(need)
        except (KeyError, OSError):
            return need
    return None
