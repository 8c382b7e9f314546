"""What happens to mail of users without a .qmail file: the ways that the originals had a start script each for.

    home    into the user's ./Mailbox
    proc    to procmail, which has its own rules and writes below /var/spool/mail
    binm1   to /usr/libexec/mail.local, which writes below /var/spool/mail, as in 4.4BSD
    binm2   to /bin/mail -r, the same for System V release 4
    binm3   to /bin/mail -f, the same for Unix version 7

Each is there with `+df` too: dot-forward looks for a user's .forward file first.  What is chosen stands in
control/defaultdelivery, as the lines of a .qmail file, and the service qmail-send hands it to qmail-start.
"""

from __future__ import annotations

import os

from mta.home import path
from mta.setup.plan import commands_folder
from supervise.errors import Temporary
from supervise.fd import write_all
from supervise.files import announced, slurp
from supervise.program import candidates

NAME = b"defaultdelivery"
FORWARD = b"|dot-forward .forward\n"
WITH_FORWARD = b"+df"
BINMAIL = {  # program and the option that a sender comes after
    b"binm1": (b"/usr/libexec/mail.local", b"-r"),
    b"binm2": (b"/bin/mail", b"-r"),
    b"binm3": (b"/bin/mail", b"-f"),
}
PROGRAMS = {
    b"home": [],
    b"proc": [b"preline", b"procmail"],
    **{way: [b"preline", program] for way, (program, _) in BINMAIL.items()},
}
WAYS = [way + forward for way in PROGRAMS for forward in (b"", WITH_FORWARD)]


def instructions(way: bytes) -> bytes:
    """The lines of a .qmail file for one of WAYS, without the newline at the end."""
    plain = way.removesuffix(WITH_FORWARD)
    if plain == b"home":
        lines = b"./Mailbox"
    elif plain == b"proc":
        lines = b"|preline procmail"
    else:  # nobody is no sender that these programs know
        lines = b'|preline -f %s %s "${SENDER:-MAILER-DAEMON}" -d "$USER"' % BINMAIL[plain]
    return lines if way == plain else FORWARD + lines


def require(way: bytes) -> None:
    """See that this machine has the programs for one of WAYS, where the service qmail-send looks for them.

    Raises:
        Temporary: one is missing.
    """
    ours = path(b"bin") if os.path.lexists(path(b"bin")) else commands_folder()
    places = ours + b":/usr/local/bin:/usr/bin:/bin"
    forward = [b"dot-forward"] if way.endswith(WITH_FORWARD) else []
    for program in (*forward, *PROGRAMS[way.removesuffix(WITH_FORWARD)]):
        if not any(os.access(file, os.X_OK) for file in candidates(program, places)):
            where = b"" if b"/" in program else b" in " + places
            raise Temporary(b"the delivery %s needs %s, and there is none%s" % (way, program, where))


def choose(way: bytes) -> list[bytes]:
    """Make one of WAYS the default delivery, in place of any other; a line for what was written, or is still to do."""
    text = instructions(way) + b"\n"
    said = []
    file, script = path(b"control", NAME), path(b"service", b"qmail-send", b"run")
    if slurp(file) != text:
        with announced(file, file + b".tmp") as fd:
            write_all(fd, text)
        said.append(b"wrote control/%s: %s; it counts when qmail-send is started again" % (NAME, way))
    if NAME not in (slurp(script) or NAME):
        said.append(b"%s: does not read control/%s; remove it, and qmail-setup writes it anew" % (script, NAME))
    return said
