"""unixclient - connect to a socket in the file system and run a program

Usage: unixclient socket program

unixclient connects to the socket at the path socket and runs program, which is a program
and its arguments, with the connection on descriptors 6 (to read) and 7 (to write).

There are no options: a first word that looks like one is the path.

Environment:
    PROTO, UNIXLOCALPATH, UNIXLOCALUID, UNIXLOCALGID, UNIXLOCALPID, UNIXREMOTEEUID, UNIXREMOTEEGID, UNIXREMOTEPID
                  set for program: UNIX, the socket, and who is on both of its ends

Exit status:
    1    wrong usage, we cannot connect, or program cannot be run
    otherwise that of program

See also: unixcat, unixserver
"""

from __future__ import annotations

from supervise.command import Argv, Become, command, say
from supervise.program import execute, locate
from ucspi.unix.connect import connect
from ucspi.unix.failure import CODE, Failed, step


@command(b"unixclient", b"[options] socket program", usage_code=CODE)
def main(argv: Argv) -> int:
    if len(argv) < 3:
        say(b"usage: %s [options] socket program" % argv[0])
        return CODE
    _, path, *program = argv
    try:
        connect(path)
        if locate(program[0]) is None:
            step(b"execvp", lambda: execute(program))
    except Failed as failure:
        say(failure.line)
        return CODE
    raise Become(program)
