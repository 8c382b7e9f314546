"""config - make the first control files from what the domain name system says

Usage: config

config looks up the address of this machine's name, and the name of that address.  It writes that name into me, and what
follows from it into defaultdomain and plusdomain of the home's control.  The names of all IPv4 addresses of this
machine go into locals and rcpthosts.  All of it takes the place of what was there; when the name cannot be found,
nothing is written.  What it finds is told on descriptor 1.

Exit status:
    0    done
    100  the machine's name has no address, or the address has no name
    111  nobody knows for now, or a file cannot be written

Environment:
    DNSCACHEIP  whom to ask, instead of what resolv.conf says

See also: config-fast, qmail-setup, qmail-showctl
"""

from __future__ import annotations

import os

from mta.home import path
from mta.setup.controls import first_controls, put, tell
from supervise.command import Argv, command, say
from supervise.errors import PERMANENT, TEMPORARY, Temporary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

OWN = b"me", b"defaultdomain", b"plusdomain"  # made of our name alone


@command(b"config")
def main(argv: Argv) -> int:
    from ucspi import dns

    host = os.fsencode(os.uname().nodename).lower()
    tell(b"Your hostname is %s." % host)
    try:
        found = dns.addresses(host, (4,), search=True)
        name = dns.name_of(found[0]) if found else None
    except Temporary as trouble:
        say(b"config: " + trouble.line)
        return nameless(TEMPORARY)
    if name is None:
        say(b"config: " + (b"hard error" if found else b"no IP addresses"))
        return nameless(PERMANENT)
    tell(b"Your host's fully qualified name in DNS is %s." % name)
    write(name, found)
    return 0


def nameless(code: int) -> int:
    """Say that we could not find our name; *code*."""
    tell(b"Sorry, I couldn't find your host's canonical name in DNS.")
    tell(b"You will have to set up control/me yourself.")
    return code


def write(name: bytes, found: list[str]) -> None:
    """Write all files for a machine called *name*, which the domain name system *found* at these addresses."""
    from ucspi import own

    controls = first_controls(name)
    for control in OWN:
        tell(b"Putting %s into control/%s..." % (controls[control], control))
        put(control, controls[control] + b"\n")
    tell(b" \nChecking local IP addresses:")
    ours = (address for address in own.addresses() if ":" not in address)
    names = b"".join(local + b"\n" for local in local_names(sorted({*found, *ours})))
    put(b"locals", names)
    tell(b" \nIf there are any other domain names that point to you,")
    tell(b"you will have to add them to %s." % path(b"control", b"locals"))
    tell(b"You don't have to worry about aliases, i.e., domains with CNAME records.")
    tell(b" \nCopying %s to %s..." % (path(b"control", b"locals"), path(b"control", b"rcpthosts")))
    put(b"rcpthosts", names)
    tell(b"Now qmail will refuse to accept SMTP messages except to those hosts.")
    tell(b"Make sure to change rcpthosts if you add hosts to locals or virtualdomains!")


def local_names(addresses: list[str]) -> Iterator[bytes]:
    """The names of *addresses*, those that have one; each is told."""
    from ucspi import dns

    for address in addresses:
        try:
            name = dns.name_of(address)
        except Temporary:
            name = None
        if name:
            tell(b"%s: Adding %s to control/locals..." % (address.encode(), name))
            yield name
        else:
            tell(b"%s: PTR lookup failed. I assume this address has no DNS name." % address.encode())
