"""A real name server (nsd) on a loopback port, for tests of what asks the domain name system.

It believes to be the root and knows `RECORDS`; every other name surely does not exist.  Names
below `broken.example` are answered with SERVFAIL.  A test asks it by `DNSCACHEIP`:

    from nameserver import name_server  # a fixture; or `with serving(records) as address`

    def test_it(name_server: str) -> None:
        run("qmail-remote", ..., env={"DNSCACHEIP": name_server})
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from until import until

NSD = shutil.which("nsd", path="/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", ""))

RECORDS = """\
$ORIGIN .
$TTL 60
@                       SOA     ns.example. root.example. 1 3600 600 86400 60
@                       NS      ns.example.
ns.example.             A       127.0.0.1

; one host with both families, one with each
both.example.           A       192.0.2.1
both.example.           AAAA    2001:db8::1
four.example.           A       192.0.2.4
six.example.            AAAA    2001:db8::6
many.example.           A       192.0.2.11
many.example.           A       192.0.2.12
many.example.           A       192.0.2.13
here.example.           A       127.0.0.1
here.example.           AAAA    ::1

; aliases: of a host, of a mail domain, of nothing
alias.example.          CNAME   both.example.
alias2.example.         CNAME   alias.example.
mailalias.example.      CNAME   mail.example.
dangling.example.       CNAME   nothing.example.
loop1.example.          CNAME   loop2.example.
loop2.example.          CNAME   loop1.example.

; mail
mail.example.           MX      20 many.example.
mail.example.           MX      10 both.example.
mail.example.           MX      10 MX.Upper.Example.
mx.upper.example.       A       192.0.2.20
localmail.example.      MX      10 here.example.
nomail.example.         MX      0 .
badmx.example.          MX      10 nothing.example.
brokenmx.example.       MX      10 host.broken.example.
mxalias.example.        MX      10 alias.example.

; texts: of several strings, several records, longer than a UDP answer
text.example.           TXT     "one " "two"
texts.example.          TXT     "first"
texts.example.          TXT     "second"
long.example.           TXT     {long}
empty.example.          HINFO   "none" "of the above"

; addresses: of this machine, with upper case, not confirmed, strange
1.0.0.127.in-addr.arpa.     PTR     here.example.
2.0.0.127.in-addr.arpa.     PTR     Shouting.Example.
3.0.0.127.in-addr.arpa.     PTR     liar.example.
4.0.0.127.in-addr.arpa.     PTR     first.example.
5.0.0.127.in-addr.arpa.     PTR     a\\032b\\.c.example.
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa. PTR here.example.
shouting.example.       A       127.0.0.2
liar.example.           A       192.0.2.99
""".format(long=" ".join(f'"{"x" * 250}"' for _ in range(12)))

CONFIGURATION = """\
server:
    ip-address: {ip}
    port: {port}
    username: ""
    chroot: ""
    zonesdir: "{folder}"
    pidfile: "{folder}/pid"
    logfile: "{folder}/log"
    zonelistfile: "{folder}/zones"
    database: ""
    xfrdfile: ""
    xfrdir: "{folder}"
    server-count: 1
    rrl-ratelimit: 0
remote-control:
    control-enable: no
zone:
    name: "."
    zonefile: "root.zone"
zone:
    name: "broken.example"
    zonefile: "there.is.none"
zone:
    name: "6.0.0.127.in-addr.arpa"
    zonefile: "there.is.none"
"""


@contextmanager
def serving(records: str = RECORDS, ip: str = "127.0.0.1", at: int | None = None) -> Iterator[str]:
    """Run a name server with *records* on *ip*, on port *at* or any; yields `IP:PORT`, as `DNSCACHEIP` takes it."""
    if NSD is None:
        pytest.skip("the name server nsd is not installed")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "root.zone").write_text(records)
        for _ in range(10):  # somebody may take the port before nsd does
            port = at or free_port()
            (folder / "nsd.conf").write_text(CONFIGURATION.format(ip=ip, port=port, folder=folder))
            server = subprocess.Popen([NSD, "-d", "-c", str(folder / "nsd.conf")], stderr=subprocess.DEVNULL)
            until(lambda: server.poll() is not None or answers(port, ip), what="nsd answers")  # noqa: B023
            if server.poll() is None:
                break
        try:
            yield f"{ip}:{port}"
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()


@pytest.fixture(scope="session")
def name_server() -> Iterator[str]:
    """A running name server with `RECORDS`, as `DNSCACHEIP` takes it."""
    with serving() as address:
        yield address


@pytest.fixture
def silent_name_server() -> Iterator[str]:
    """A name server that takes questions and never answers, as `DNSCACHEIP` takes it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{deaf.getsockname()[1]}"


def free_port() -> int:
    """A loopback port that is free for UDP and TCP at the moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
        udp.bind(("127.0.0.1", 0))
        try:
            tcp.bind(udp.getsockname())
        except OSError:
            return free_port()
        return int(udp.getsockname()[1])


def answers(port: int, ip: str = "127.0.0.1") -> bool:
    """Whether something answers a question for the root's SOA record at *port* of *ip*."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.2)
        asking.connect((ip, port))
        try:
            asking.send(b"\0\1\0\0\0\1\0\0\0\0\0\0\0\0\6\0\1")
            return asking.recv(512)[3:4] == b"\0"
        except OSError:
            return False
