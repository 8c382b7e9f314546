"""The first control files of a home, from the host's name alone, as config-fast wrote them."""

import os

from mta.home import path
from supervise.errors import Temporary
from supervise.fd import write_all
from supervise.files import announced, slurp

# What a home that is laid out anew asks for, beyond what the original does: see qmail-smtpd and qmail-remote.
ADDITIONS = {b"recipients": b"1", b"smtpcapabilities": b"SIZE", b"trace": b"1"}


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


def additions() -> dict[bytes, bytes]:
    """What control files ask for in a new home; an older one keeps what it has, and so does one without them."""
    return ADDITIONS if slurp(path(b"control", b"me")) is None else {}


def put(name: bytes, content: bytes) -> None:
    """Make *content* that of `control/NAME`, for everybody to read.

    Raises:
        Temporary: it cannot be written.
    """
    file = path(b"control", name)
    try:
        with announced(file, file + b".tmp") as fd:
            os.fchmod(fd, 0o644)
            write_all(fd, content)
    except OSError as error:
        raise Temporary(b"unable to write " + file, error) from None


def write_controls(controls: dict[bytes, bytes]) -> list[bytes]:
    """Write what of *controls* is not there yet; a line for each file written.  A file that is there is left alone."""
    written = []
    for name, content in controls.items():
        file = path(b"control", name)
        if slurp(file) is None:
            put(name, content + b"\n")
            written.append(b"wrote control/" + name + b": " + content)
    return written


def tell(line: bytes) -> None:
    """Print *line*."""
    write_all(1, line + b"\n")
