"""softlimit - run a program with limits on what it may use

Usage: softlimit [-a allbytes] [-c corebytes] [-d databytes] [-f filebytes] [-l lockbytes]
    [-m membytes] [-o openfiles] [-p processes] [-r residentbytes] [-s stackbytes] [-t cpusecs] child

softlimit sets soft resource limits and runs child, which is a program and its arguments.
Limits are set in the order of the options, so a later option wins.  A number above the
hard limit gives the hard limit, and so does `=`.  Hard limits stay as they are.

Options:
    -m n   the data segment, the stack, locked memory and all memory, n bytes each
    -a n   all memory (address space), bytes
    -d n   the data segment, bytes
    -s n   the stack, bytes
    -l n   memory locked into RAM, bytes
    -r n   resident memory, bytes; the kernel may ignore it
    -o n   open descriptors
    -p n   processes of this user
    -f n   a file that is written, bytes
    -c n   a core file, bytes
    -t n   processor time, seconds

Limits on memory must leave room for child.  One of our own commands needs 20 megabytes
of address space to start, a server several times that: limits that were made for programs
of 2 megabytes are too tight for them.

Exit status:
    111  a limit cannot be set, or child cannot be run
    100  wrong usage
    otherwise that of child
"""

import resource

from supervise.command import Argv, Become, command
from supervise.errors import Temporary, Usage
from supervise.options import options

LIMITS = {
    b"a": (resource.RLIMIT_AS,),
    b"c": (resource.RLIMIT_CORE,),
    b"d": (resource.RLIMIT_DATA,),
    b"f": (resource.RLIMIT_FSIZE,),
    b"l": (resource.RLIMIT_MEMLOCK,),
    b"m": (resource.RLIMIT_DATA, resource.RLIMIT_STACK, resource.RLIMIT_MEMLOCK, resource.RLIMIT_AS),
    b"o": (resource.RLIMIT_NOFILE,),
    b"p": (resource.RLIMIT_NPROC,),
    b"r": (resource.RLIMIT_RSS,),
    b"s": (resource.RLIMIT_STACK,),
    b"t": (resource.RLIMIT_CPU,),
}
WORD = 1 << 64  # limits are unsigned 64-bit numbers, of which the greatest means no limit

SYNOPSIS = (
    b"[-a allbytes] [-c corebytes] [-d databytes] [-f filebytes] [-l lockbytes] [-m membytes] "
    b"[-o openfiles] [-p processes] [-r residentbytes] [-s stackbytes] [-t cpusecs] child"
)


@command(b"softlimit", SYNOPSIS)
def main(argv: Argv) -> int:
    found, child = options(argv, b"a:c:d:f:l:m:o:p:r:s:t:")
    wanted = [(kind, number(text)) for letter, text in found for kind in LIMITS[letter]]
    if not child:
        raise Usage
    for kind, limit in wanted:  # last of all: from here on we live under them ourselves
        restrict(kind, limit)
    raise Become(child)


def number(text: bytes) -> int | None:
    """A limit as it is written; None stands for `=`, the hard limit.

    As the original: nothing is 0, and what does not fit 64 bits wraps around.

    Raises:
        Usage: it is no number.
    """
    if text == b"=":
        return None
    if text and not text.isdigit():
        raise Usage
    return int(text or b"0") % WORD


def restrict(kind: int, limit: int | None) -> None:
    """Set the soft limit of *kind* to *limit*, or to the hard limit when that is lower or *limit* is None.

    Raises:
        Temporary: it cannot be set.
    """
    try:
        hard = resource.getrlimit(kind)[1]
    except OSError as error:
        raise Temporary(b"getrlimit failed", error) from None
    soft = hard if limit is None or limit >= hard % WORD else signed(limit)
    try:
        resource.setrlimit(kind, (soft, hard))
    except (OSError, ValueError) as error:
        raise Temporary(b"setrlimit failed", error if isinstance(error, OSError) else None) from None


def signed(limit: int) -> int:
    """*limit* as the `resource` module takes it: what has the highest bit set is negative there."""
    return limit if limit < WORD // 2 else limit - WORD
