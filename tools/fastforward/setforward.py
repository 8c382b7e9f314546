"""setforward - make a forwarding database of instructions

Usage: setforward cdb tmp

setforward reads forwarding instructions from descriptor 0 and puts them into cdb, in which fastforward looks
for the addresses of messages. It writes tmp first and renames that, so both must be on one file system; cdb is
at every moment the old file or the new one, also when the instructions are wrong.

An instruction is a target, a colon, commands with commas between them, and a semicolon:

    root@example.org: joe@example.net, sue@example.net;
    @virtual.example: &joe@example.net;                 # everybody there
    postmaster@: root@example.org;                      # at all hosts
    staff@example.org: ?owner-staff@example.org, ./staff.bin;
    weather@example.org: |weather-server, !log\\ it;

A command is an address, which may have `&` in front; the envelope sender of what is forwarded, after `?`; the
name of a binary list (see setmaillist), which begins with a dot or a slash; or a program after `|`, which gets
the message, or after `!`, which gets it with the lines `From `, Return-Path and Delivered-To in front. Spaces,
tabs and line ends vanish and `#` begins a comment, wherever they stand; a backslash keeps the byte after it.
Upper and lower case do not differ in a target. Of two instructions for one target the first counts.

Addresses are complete ones of at most 800 bytes.

Exit status:
    0    cdb is new
    100  wrong usage, or these are no instructions
    111  a file cannot be read or written

See also: fastforward, newaliases, printforward, setmaillist
"""

from __future__ import annotations

from supervise.command import Argv, command
from supervise.errors import Usage
from supervise.fd import lines
from supervise.files import make
from tools.fastforward.instructions import compile


@command(b"setforward", b"data.cdb data.tmp")
def main(argv: Argv) -> int:
    from ucspi import cdb  # slow to import

    if len(argv) < 3:
        raise Usage
    make(cdb.write, argv[1], argv[2], compile(lines(0)))
    return 0
