"""Copy the service directories into a home, changed as far as that home needs."""

from __future__ import annotations

import importlib.resources
import os

from mta.home import path, plain
from supervise.fd import write_all
from supervise.files import announced

SERVICES = [b"qmail-queued", b"qmail-send", b"qmail-smtpd"]
STANDARD_HOME = b'QMAILHOME="/var/qmail"'
STANDARD_ADDRESS = b" 0 25 "


def adapted(script: bytes, address: bytes, port: int) -> bytes:
    """*script*, written for root's home in /var/qmail with SMTP on port 25, as this instance needs it.

    The home is named; a plain user's scripts become nobody else.
    """
    script = script.replace(STANDARD_HOME, b'QMAILHOME="%s"' % quoted(path()))
    script = script.replace(STANDARD_ADDRESS, b" %s %d " % (address, port))
    if plain():
        lines = script.splitlines(keepends=True)
        lines = [line for line in lines if not line.strip().startswith((b"setuidgid", b"envuidgid"))]
        script = b"".join(lines).replace(b" -U ", b" ").replace(b"exec setuidgid qmaill ", b"exec ")
    return script


def quoted(word: bytes) -> bytes:
    """*word* as it stands between double quotes for the shell."""
    for special in (b"\\", b'"', b"$", b"`"):
        word = word.replace(special, b"\\" + special)
    return word


def file_of(name: bytes) -> bytes:
    """A file of the package `service`."""
    folder = importlib.resources.files("service")
    return folder.joinpath(os.fsdecode(name)).read_bytes()


def lay_services(address: bytes, port: int) -> list[bytes]:
    """Write the run scripts and rules that are not there yet; a line for each."""
    written = []
    for name in SERVICES:
        files = [b"run", b"log/run"] + ([b"tcp.smtp"] if name == b"qmail-smtpd" else [])
        for file in files:
            target = path(b"service", name, file)
            if os.path.lexists(target):
                continue
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with announced(target, target + b".new", 0o755 if file.endswith(b"run") else 0o644) as fd:
                write_all(fd, adapted(file_of(name + b"/" + file), address, port))
            written.append(b"wrote service/" + name + b"/" + file)
    return written
