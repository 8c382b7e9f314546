"""config-fast - make the first control files from a host name

Usage: config-fast host

config-fast writes me, defaultdomain (host without its first label) and plusdomain (its last two labels) into the home's
control, in place of what was there, and adds host to locals and rcpthosts.  It asks nobody; what it does is told on
descriptor 1.  (qmail-setup makes the same files, and leaves alone what is there.)

Exit status:
    0    done
    100  wrong usage
    111  a file cannot be written

See also: config, qmail-setup, qmail-showctl
"""

from mta.home import path
from mta.setup.controls import first_controls, put, tell
from supervise.command import Argv, command
from supervise.errors import Usage
from supervise.files import slurp


@command(b"config-fast", b"host")
def main(argv: Argv) -> int:
    host = argv[1] if len(argv) > 1 else b""
    if not host or b"\n" in host:
        raise Usage
    tell(b"Your fully qualified host name is %s." % host)
    for name, content in first_controls(host).items():
        tell(b"Putting %s into control/%s..." % (content, name))
        put(name, kept(name) + content + b"\n")
    tell(b"Now qmail will refuse to accept SMTP messages except to %s." % host)
    tell(b"Make sure to change rcpthosts if you add hosts to locals or virtualdomains!")
    return 0


def kept(name: bytes) -> bytes:
    """What stays in `control/NAME`: lists get longer, values are replaced."""
    if name not in (b"locals", b"rcpthosts"):
        return b""
    content = slurp(path(b"control", name)) or b""
    return content if not content or content.endswith(b"\n") else content + b"\n"
