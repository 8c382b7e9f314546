"""Stand between those who ask the domain name system and the name server, and write down the questions.

with Overhearing(name_server) as between:
    run("qmail-remote", ..., env={"DNSCACHEIP": between.address})
assert between.asked == {("here.example", "A"), ...}
"""

from __future__ import annotations

import socket
import threading
from types import TracebackType

import dns.message
import dns.rdatatype
from nameserver import free_port


class Overhearing:
    """Passes questions over UDP and TCP on to *server*, `IP:PORT`; its own *address* is of the same form.

    Attributes:
        asked: names, without the last dot, and types of all questions.
        by_tcp: those that came over TCP.
    """

    def __init__(self, server: str) -> None:
        ip, _, port = server.partition(":")
        self.server = ip, int(port)
        here = "127.0.0.1", free_port()
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(here)
        self.tcp = socket.create_server(here)
        self.address = f"{here[0]}:{here[1]}"
        self.asked: set[tuple[str, str]] = set()
        self.by_tcp: set[tuple[str, str]] = set()
        self.threads = [threading.Thread(target=self.pass_datagrams), threading.Thread(target=self.pass_streams)]

    def __enter__(self) -> Overhearing:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.udp.getsockname())
        self.tcp.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()
        self.udp.close()
        self.tcp.close()

    def pass_datagrams(self) -> None:
        while True:
            question, client = self.udp.recvfrom(65536)
            if not question:
                return
            self.note(question, self.asked)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as onward:
                onward.settimeout(20)
                onward.sendto(question, self.server)
                self.udp.sendto(onward.recv(65536), client)

    def pass_streams(self) -> None:
        while True:
            try:
                connection, _ = self.tcp.accept()
            except OSError:
                return
            connection.settimeout(20)
            with connection, connection.makefile("rwb") as client:
                while size := client.read(2):
                    question = client.read(int.from_bytes(size, "big"))
                    self.note(question, self.asked, self.by_tcp)
                    with socket.create_connection(self.server) as onward, onward.makefile("rwb") as server:
                        server.write(size + question)
                        server.flush()
                        size = server.read(2)
                        client.write(size + server.read(int.from_bytes(size, "big")))
                        client.flush()

    @staticmethod
    def note(question: bytes, *lists: set[tuple[str, str]]) -> None:
        for asked in dns.message.from_wire(question).question:
            for each in lists:
                each.add((asked.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(asked.rdtype)))
