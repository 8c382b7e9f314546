"""The first control files of a home, from the host's name alone, as config-fast wrote them."""

from mta.home import path
from supervise.fd import write_all
from supervise.files import announced, slurp


def first_controls(host: bytes) -> dict[bytes, bytes]:
    """Control file -> content for a machine called *host*.

    `defaultdomain` is the host without its first label, `plusdomain` its last two labels.
    """
    labels = host.split(b".")
    domain = b".".join(labels[1:] if len(labels) > 2 else labels)
    above = b".".join(labels[-2:])
    return {
        b"me": host,
        b"defaultdomain": domain,
        b"plusdomain": above,
        b"locals": host,
        b"rcpthosts": host,
    }


def write_controls(controls: dict[bytes, bytes]) -> list[bytes]:
    """Write what of *controls* is not there yet; a line for each file written.  A file that is there is left alone."""
    written = []
    for name, content in controls.items():
        file = path(b"control", name)
        if slurp(file) is None:
            with announced(file, file + b".tmp") as fd:
                write_all(fd, content + b"\n")
            written.append(b"wrote control/" + name + b": " + content)
    return written
