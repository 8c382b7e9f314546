"""svok - see whether supervise is running

Usage: svok dir

svok says nothing.

Exit status:
    0    a supervise watches the service directory dir
    100  none does, or wrong usage
    111  dir or dir/supervise/ok cannot be opened, so nobody can tell

See also: supervise, svstat
"""

import os

from supervise.command import Argv, command
from supervise.errors import PERMANENT, Temporary, Usage
from supervise.tree.servicedir import OK, open_writer


@command(b"svok", b"dir")
def main(argv: Argv) -> int:
    if len(argv) < 2:
        raise Usage
    folder = argv[1]
    try:
        os.chdir(folder)
    except OSError as error:
        raise Temporary(b"unable to chdir to " + folder, error) from None
    try:
        return PERMANENT if open_writer(OK) is None else 0
    except FileNotFoundError:
        return PERMANENT
    except OSError as error:
        raise Temporary(b"unable to open %s/%s" % (folder, OK), error) from None
