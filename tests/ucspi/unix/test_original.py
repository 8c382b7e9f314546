"""The original ucspi-unix and ours, side by side: the same answers, the same log, the same environment.

The original garbles its log when a program ends at once, while it still prints; so programs wait for a line here.
"""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
from pathlib import Path

import pytest
from commands import BIN, environment
from tcp import rest
from unixsockets import ORIGINAL, OURS, Server

pytestmark = pytest.mark.skipif(not ORIGINAL.exists(), reason="the original ucspi-unix is not installed")
ENV = ("sh", "-c", "read line; exec env")
WHO = ("sh", "-c", "read line; id -u; id -g; exec env")


def outcome(unixserver: Path, options: list[str], program: tuple[str, ...], folder: Path) -> list[object]:
    """What two clients heard, the socket, the log, the complaints, the exit code and what is left."""
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "not-executable").write_bytes(b"#!/bin/sh\n")
    env = {"UID": "3", "GID": "4", "SOCKET_UID": "1", "SOCKET_GID": "2", "PROTO": "TCP", "UNIXREMOTEPID": "none"}
    with Server(folder, *program, options=options, unixserver=unixserver, env=env) as server:
        about = server.socket.stat()
        heard = []
        for count in 1, 2:
            with server.connect() as client:
                if "-v" in options:
                    server.logged("pid", count)
                try:
                    client.sendall(b"hello\n")
                    client.shutdown(socket.SHUT_WR)
                except OSError:  # the program could not be run
                    pass
                heard.append(ordinary(rest(client).decode()))
            if "-v" in options:
                server.logged("status: 0/", count + 1)
        code = server.end()
        socket_file = (stat.filemode(about.st_mode), about.st_uid, about.st_gid)
        return [heard, socket_file, ordinary(server.log()), server.err(), code, server.socket.exists()]


def ordinary(text: str) -> str:
    """*text* without what differs from run to run."""
    text = "\n".join(sorted(text.splitlines())) if "PROTO=" in text else text
    return re.sub(r"(PID=|unixserver: (?:pid|end) )\d+|^PWD=.*|^_=.*", r"\1", text, flags=re.M)


# glibc has two signals of its own, 32 and 33, which its posix_spawn leaves ignored.
SIGNALS = "grep '^Sig[PIC]' /proc/$$/status | sed 's/^SigIgn:.000000018/SigIgn:\t000000000/'"


@pytest.mark.parametrize(
    ("options", "program"),
    [
        (["-v"], ENV),
        (["-q"], ENV),
        (["-Q"], ENV),
        (["-v", "-d"], ENV),
        (["-v", "-dD"], ENV),
        (["-v", "-c1", "-b", "1"], ENV),
        (["-v", "-c", " +010"], ENV),
        (["-v", "-m", "077"], ENV),
        (["-v", "-m", "077", "-p", "640"], ENV),
        (["-v", "-p", ""], ENV),
        (["-v", "-B", "banner first "], ("sh", "-c", "read line; echo then the program")),
        (["-v"], ("cat",)),
        (["-q"], ("no-such-program",)),
        (["-Q"], ("./not-executable",)),
        (["-v"], ("sh", "-c", "read line; exit 3")),
        (["-v"], ("sh", "-c", "read line; kill -9 $$")),
        (["-v"], ("sh", "-c", f"read line; ulimit -n; umask; {SIGNALS}")),
        pytest.param(["-v", "-o", "1", "-r", "2"], ENV, marks=pytest.mark.root),
        pytest.param(["-v", "-o", "-1", "-r", "2"], ENV, marks=pytest.mark.root),
        pytest.param(["-v", "-O"], ENV, marks=pytest.mark.root),
        pytest.param(["-v", "-u", "3", "-g", "4"], WHO, marks=pytest.mark.root),
        pytest.param(["-v", "-U"], WHO, marks=pytest.mark.root),
    ],
)
def test_ours_does_what_the_original_does(options: list[str], program: tuple[str, ...], tmp_path: Path) -> None:
    assert outcome(OURS, options, program, tmp_path / "a") == outcome(ORIGINAL, options, program, tmp_path / "b")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["socket"],
        ["-z", "socket", "true"],
        ["-q", "-z"],
        ["-c"],
        ["-c", "5x", "socket", "true"],
        ["-c", " ", "socket", "true"],
        ["-c", "0", "socket", "true"],
        ["-v", "-c", "0", "socket", "true"],
        ["-b", "x", "socket", "true"],
        ["-m", "8", "socket", "true"],
        ["-p", "9", "socket", "true"],
        ["-u", "root", "socket", "true"],
        ["-g", "0x1", "socket", "true"],
        ["-o", "x", "socket", "true"],
        ["-r", "x", "socket", "true"],
        ["-U", "socket", "true"],
        ["-O", "socket", "true"],
        ["socket", "sh", "-c", "true"],
        ["no-folder/socket", "true"],
        ["-q", "no-folder/socket", "true"],
        ["folder", "true"],
        ["", "true"],
        ["x" * 120, "true"],
    ],
)
def test_what_cannot_be_done_is_refused_alike(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert refusal(OURS, arguments, tmp_path) == refusal(ORIGINAL, arguments, tmp_path)


def refusal(program: Path, arguments: list[str], folder: Path) -> tuple[int, bytes, bytes, list[str]]:
    """Exit code, what is printed, what is complained of without the explanation of options, what is left."""
    done = subprocess.run(
        [program, *arguments],
        env=environment({"UID": None, "GID": None}),
        cwd=folder,
        capture_output=True,
        timeout=20,
        check=False,
    )
    said = done.stderr.replace(os.fsencode(program), os.fsencode(program.name))
    said = b"".join(line for line in said.splitlines(True) if not line.startswith(b"  "))
    return done.returncode, done.stdout, said, sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["unixclient", "unixcat"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["nobody", "true"],
        ["file", "true"],
        ["-q", "true"],
        ["x" * 120, "true"],
        ["", "true"],
    ],
)
def test_clients_complain_alike(name: str, arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refusal(BIN / name, arguments, tmp_path) == refusal(ORIGINAL.parent / name, arguments, tmp_path)


@pytest.mark.parametrize(
    "program",
    [
        ["sh", "-c", "env; cat <&6; echo thanks >&7; ls -l /proc/self/fd/6 /proc/self/fd/7 >/dev/null; exit 7"],
        ["no-such-program"],
        ["/"],
    ],
)
def test_our_client_does_what_the_original_does(program: list[str], tmp_path: Path) -> None:
    with Server(tmp_path, "echo", "hello") as server:
        ours, original = (
            subprocess.run(
                [folder / "unixclient", "socket", *program],
                env=environment(),
                cwd=tmp_path,
                capture_output=True,
                timeout=20,
                check=False,
            )
            for folder in (BIN, ORIGINAL.parent)
        )
        assert server.end() == 0
    assert (ours.returncode, ours.stderr) == (original.returncode, original.stderr)
    assert ordinary(ours.stdout.decode()) == ordinary(original.stdout.decode())
