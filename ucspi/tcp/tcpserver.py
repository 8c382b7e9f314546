"""tcpserver - accept TCP connections and run a program for each

Usage: tcpserver [-146UXpPhHrRoOdDqQv] [-c limit] [-C limit] [-x rules.cdb] [-B banner] [-g gid] [-u uid] [-b backlog]
    [-l localname] [-t timeout] [-I interface] [--listen host:port] [--drain seconds] [--proxy addresses]
    [--metrics file] [--tls | --starttls] [--tls-environment] [--client-certificate ask] host port program

tcpserver waits for connections to host and port.  For each it runs program, which is a
program and its arguments, with the connection on descriptors 0 and 1.

host is an address; or a name, whose first address is taken; or 0, all IPv4 addresses of
this machine; or ::, all addresses of both families.  port is a number or the name of a
service; 0 means any free port.

A program of this system that can serve one connection after another in one process does
so; any other is started afresh for each connection.  Both get the same environment,
descriptors and folder, and nothing of the connection before.

The process number in the log is that of a worker, which prepares the connection.  It runs a
program of this system itself; for another it waits, while there are fewer than 64
connections, and hands on HUP, INT, QUIT, USR1, USR2, ALRM and TERM; with more it becomes the
program, as the original always did.  KILL and STOP reach a worker that waits alone: its program
goes on, and is not counted any more.  Send these to the program.

tcpserver exits when it receives TERM.  Connections that are being served go on.  Nothing
has to be loaded again by a signal: rules, certificates and /etc/resolv.conf are read when
they are needed, or have changed.

Listening:
    -c limit      serve no more than limit connections at once; more wait (default: 40)
    -C limit      serve no more than limit connections of one address at once; more are closed at once
                  (default: as many as -c allows)
    -b backlog    how many connections the system may keep waiting (default: 20)
    -g gid, -u uid
                  become this group and this user, by number or by name, once we listen
    -U            the same with the numbers in the environment variables UID and GID
    -1            print the port to descriptor 1, once we listen; a line for each place
    -4            use IPv4 only
    -I interface  the interface of a link-local IPv6 address
    --listen host:port
                  listen there too; may be said several times; an IPv6 address stands in brackets
    --drain seconds
                  after TERM accept no more connections, and exit when those that are being served have ended, or
                  after seconds (default: 0)
    --proxy addresses
                  connections from these addresses and networks (with commas between them) are those of a proxy:
                  each begins with a header of the PROXY protocol, version 1 or 2, which tells the client's address.
                  It is followed in all things, and TCPREMOTEINFO is not asked for. Who sends no header within five
                  seconds is dropped. Nobody else's header is believed
    -o            leave IP options alone
    -O            forget the source route that a client asks for (default)
    -d            delay small packets when the other side is slow (default)
    -D            never delay

Rules and banner:
    -x rules.cdb  follow the rules compiled into rules.cdb by tcprules; the file is read for
                  each connection, so that new rules need no restart
    -X            let everybody in when there is no rules.cdb
    -B banner     write banner to each connection at once, before names and rules are looked up

TLS:
    --tls         speak TLS with clients, once the rules have let them in; program does not see it
    --starttls    speak TLS when program says so, as UCSPI-TLS has it: it writes y or Y to descriptor SSLCTLFD, and
                  goes on with descriptors SSLREADFD and SSLWRITEFD. After Y it can read variables about the
                  connection from SSLCTLFD, each followed by NUL, and one NUL more
    --tls-environment
                  with --tls, set SSL_PROTOCOL, SSL_CIPHER, SSL_CLIENT_S_DN and so on for program
    --client-certificate never, ask or require
                  whether a client shall have a certificate that somebody in CAFILE or CADIR vouches for
                  (default: never)

    CERTFILE names the certificate, KEYFILE its key unless that is in CERTFILE too, CERTDIR a folder of further ones
    for names that clients ask for: mail.example.org.pem, or *.example.org.pem. They are read with the rights that
    tcpserver is started with, by a process that does nothing else, and given to processes that become uid and gid and
    do nothing but speak TLS; no other process has them. What changes is used within a second; what is wrong then is
    named in a line, and what was there before goes on to be used. CIPHERS and DHFILE are as in ucspi-ssl. What is
    in CADIR is read as uid.

Gathering facts:
    -h            look up TCPREMOTEHOST (default)
    -H            do not
    -p            paranoid: look up the addresses of TCPREMOTEHOST and unset it if none is TCPREMOTEIP
    -P            not paranoid (default)
    -l localname  do not look up TCPLOCALHOST; it is localname
    -r            ask the remote machine for TCPREMOTEINFO (default)
    -R            do not
    -t timeout    give TCPREMOTEINFO up after this many seconds (default: 26)
    -6            show IPv4 connections as IPv6 ones: PROTO is TCP6, addresses begin with ::ffff:

Messages:
    -q            print nothing
    -Q            print error messages (default)
    -v            print everything: each connection with its start, its two ends, its wait status
    --metrics file
                  keep in file, in the text format of Prometheus, how many connections are open, were accepted, and were
                  refused for which reason; uid must be able to write it

Limits by rule:
    Rules (or the environment that tcpserver is started with, for all) can set MAXCONNIP, the number of
    connections of one address at once, and MAXCONNC, that of one network: the first 24 bits of an IPv4 address or
    64 of an IPv6 one; MAXRATEIP and MAXRATEC, the number of new connections in a minute; DIEMSG, a line that those
    hear who are denied for that. 0 sets no limit.

Environment:
    PROTO, TCPLOCALIP, TCPLOCALPORT, TCPLOCALHOST, TCPREMOTEIP, TCPREMOTEPORT, TCPREMOTEHOST, TCPREMOTEINFO
                  set for program, as well as TCP6LOCALIP and so on; what is unknown is unset
    UID, GID      for -U
    LISTEN_PID, LISTEN_FDS
                  sockets from descriptor 3 on that systemd or the like has opened for our process are listened to
                  instead of host and port
    DNSCACHEIP    which DNS caches to ask instead of those in /etc/resolv.conf

Exit status:
    0    TERM came
    100  wrong usage
    111  we cannot listen, or may not become uid and gid

See also: tcprules, tcprulescheck, envuidgid, softlimit
"""

from __future__ import annotations

import os
import socket

from supervise.command import Argv, command
from supervise.errors import Trouble
from supervise.title import set_title
from ucspi import dns
from ucspi.server.starting import load, take_standard
from ucspi.tcp.acceptor import Acceptor
from ucspi.tcp.listening import listen, step
from ucspi.tcp.settings import QUIET, Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ucspi.tls.speakers import Speakers

USAGE = (
    b"[ -146UXpPhHrRoOdDqQv ] [ -c limit ] [ -C limit ] [ -x rules.cdb ] [ -B banner ] [ -g gid ] [ -u uid ]"
    b" [ -b backlog ] [ -l localname ] [ -t timeout ] [ -I interface ] host port program"
)


@command(b"tcpserver", USAGE)
def main(argv: Argv) -> int:
    return serve(argv, *Settings.read(argv))


def serve(argv: Argv, settings: Settings, words: Argv) -> int:
    """Serve as the command *argv* says, which has *words* behind its options; the exit code."""
    set_title(argv)
    take_standard()
    try:
        settings.take(words)
        listening = listen(settings)
        prepare(settings)
        output = give_away_standard()
        speakers = speakers_for(settings)
        become(settings)
        tell_ports(listening, output, settings.print_port)
        return Acceptor(listening, settings, speakers).serve()
    except Trouble as trouble:
        if settings.verbosity == QUIET:
            return trouble.code
        raise


def prepare(settings: Settings) -> None:
    """Import what the workers will need, so that they share it."""
    load(settings.program)
    if settings.rules:
        import cdblib  # noqa: F401
    if settings.needs_dns:
        dns.load()


def speakers_for(settings: Settings) -> Speakers | None:
    """Who speaks TLS for us, if we are to; made while we may read the keys, and with no more rights than we will have.

    Raises:
        Temporary: certificates cannot be used.
    """
    if not settings.tls:
        return None
    from ucspi.tls.speakers import Speaker, Speakers, certificates

    make = certificates(settings.tls, settings.name)
    drop = settings.drop if settings.verbosity > QUIET else None
    return Speakers(Speaker(make, lambda: become(settings), settings.tls, drop), settings.limit)


def become(settings: Settings) -> None:
    """Take on the group and the user that we were told to.

    Raises:
        Temporary: we may not.
    """
    if settings.gid:
        step(b"unable to set gid", lambda: os.setgroups([settings.gid]))
        step(b"unable to set gid", lambda: os.setgid(settings.gid))
    if settings.uid:
        step(b"unable to set uid", lambda: os.setuid(settings.uid))


def give_away_standard() -> int:
    """Let go of descriptors 0 and 1; a descriptor for what was 1."""
    output = os.dup(1)
    nothing = os.open("/dev/null", os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)
    return output


def tell_ports(listening: Sequence[socket.socket], output: int, wanted: bool) -> None:
    """Print the ports to *output*, if that is wanted, and let go of it."""
    if wanted:
        os.write(output, b"".join([b"%d\n" % each.getsockname()[1] for each in listening]))
    os.close(output)
