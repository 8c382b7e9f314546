"""A client that speaks TLS with a server."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

from authority import Authority
from tcp import Server


def speak(server: Server, authority: Authority, own: Path | None = None) -> ssl.SSLSocket:
    return over(server.connect(), authority, own)


def over(connection: socket.socket, authority: Authority, own: Path | None = None) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(authority.file))
    if own:
        context.load_cert_chain(own)
    return context.wrap_socket(connection, server_hostname="mail.example.org")


def everything(client: ssl.SSLSocket) -> bytes:
    return b"".join(iter(lambda: client.recv(65536), b""))
