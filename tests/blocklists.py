"""Lists of addresses on a real name server, and rblsmtpd in front of a program that says so."""

from __future__ import annotations

from pathlib import Path

from commands import BIN, Result, run

OURS = BIN / "rblsmtpd"
ORIGINAL = Path("/usr/bin/rblsmtpd")
SERVED = b"served\n"
NIBBLES = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"  # 2001:db8::1
IMPOSSIBLE = "x" * 64 + ".example"  # no list can be called so: asking fails at once, without a name server

RECORDS = f"""\
$ORIGIN .
$TTL 60
@                               SOA     ns.example. root.example. 1 3600 600 86400 60
@                               NS      ns.example.
ns.example.                     A       127.0.0.1

; lists of the address 192.0.2.1, with texts
1.2.0.192.block.example.        TXT     "in the list, see %IP%"
1.2.0.192.parts.example.        TXT     "one " "two"
1.2.0.192.hyphen.example.       TXT     "-gone"
1.2.0.192.empty.example.        TXT     ""
1.2.0.192.strange.example.      TXT     "a\\009b\\195\\164\\127 ~"
1.2.0.192.long.example.         TXT     {" ".join(f'"{c * 250}"' for c in "abcdefghij")}
1.2.0.192.alias.example.        CNAME   1.2.0.192.block.example.
1.2.0.192.loop.example.         CNAME   1.2.0.192.loop.example.

; with addresses only
1.2.0.192.plain.example.        A       127.0.0.2
1.2.0.192.allow.example.        A       127.0.0.2
1.0.0.127.plain.example.        A       127.0.0.2
1.2.0.192.anything.example.     A       192.0.2.80
1.2.0.192.refused.example.      A       127.255.255.254

; of something else
{NIBBLES}.block.example.        TXT     "an IPv6 address"
{NIBBLES}.allow.example.        A       127.0.0.2
abc.block.example.              TXT     "what is no address"
3.2.1.block.example.            TXT     "three numbers"
block.example.                  TXT     "the list itself"
"""


def ask(
    *arguments: str | Path,
    cache: str | None,
    client: str | None = "192.0.2.1",
    say: bytes = b"rcpt\r\nquit\r\n",
    rblsmtpd: Path = OURS,
    **env: str | None,
) -> Result:
    """Be a client that says *say* to rblsmtpd, which asks *cache* and runs a program that says `served`."""
    found = {"TCPREMOTEIP": client, "DNSCACHEIP": cache, "RBLSMTPD": None, "GREETDELAY": None, **env}
    return run(rblsmtpd, *arguments, "echo", "served", input=say, env=found)


def refusal(reply: str) -> bytes:
    """What a client that says RCPT and QUIT hears when it is refused with *reply*."""
    return b"220 rblsmtpd.local\r\n%s\r\n221 rblsmtpd.local\r\n" % reply.encode("latin-1")
