"""A name server on a loopback port that answers whatever a test likes.

with rogue(lambda query: [b"garbage", named(query, b"host", b"example")]) as cache:
    run("tcpserver", ..., env={"DNSCACHEIP": cache})
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from nameserver import free_port

Answering = Callable[[bytes], Iterable[bytes]]


@contextmanager
def rogue(by_udp: Answering, by_tcp: Answering = lambda query: ()) -> Iterator[str]:
    """A server that sends what *by_udp* makes of a query, in datagrams, or *by_tcp*, as it is; yields `IP:PORT`."""
    over, wake = socket.socketpair()
    port = free_port()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.create_server(("127.0.0.1", port)) as tcp,
        over,
        wake,
    ):
        udp.bind(("127.0.0.1", port))
        thread = threading.Thread(target=serve, args=(over, udp, tcp, by_udp, by_tcp))
        thread.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            wake.close()
            thread.join()


def serve(over: socket.socket, udp: socket.socket, tcp: socket.socket, by_udp: Answering, by_tcp: Answering) -> None:
    while over not in (ready := select.select([over, udp, tcp], [], [])[0]):
        try:
            if udp in ready:
                query, client = udp.recvfrom(4096)
                for answer in by_udp(query):
                    udp.sendto(answer, client)
            if tcp in ready:
                connection = tcp.accept()[0]
                with connection:
                    connection.settimeout(5)
                    for answer in by_tcp(connection.recv(4096)[2:]):
                        connection.sendall(answer)
        except OSError:  # who asked is gone
            pass


def reply(query: bytes) -> dns.message.Message:
    """A response to *query* with nothing in it."""
    response = dns.message.make_response(dns.message.from_wire(query))
    response.flags |= dns.flags.RA
    return response


def named(query: bytes, *labels: bytes) -> bytes:
    """A response to *query* that gives a name of these *labels*, which may have any bytes."""
    target = dns.name.Name([*labels, b""])
    response = reply(query)
    kind = response.question[0].rdtype
    wire = b"\0\5" * (kind == dns.rdatatype.MX) + target.to_wire()  # type: ignore[operator]
    data = dns.rdata.from_wire(dns.rdataclass.IN, kind, wire, 0, len(wire))
    response.answer.append(dns.rrset.from_rdata(response.question[0].name, 60, data))
    return response.to_wire()


def aliased(query: bytes, *pairs: tuple[str, str]) -> bytes:
    """A response to *query* with aliases: each from a name to a name, where `?` is the one that was asked for."""
    response = reply(query)
    asked = response.question[0].name.to_text()
    for alias, name in pairs:
        response.answer.append(
            dns.rrset.from_text(alias.replace("?", asked), 60, "IN", "CNAME", name.replace("?", asked))
        )
    return response.to_wire()
