"""qmail-showctl - show how the mail system is set up

Usage: qmail-showctl

qmail-showctl prints what the system was built with and what each control file says, or what
holds without it, in a form for people to read.  It names files in the control folder that no
program reads.  Bytes of control files that are not printable are shown as question marks.

Exit status:
    0    it was printed
    111  the home or its control folder cannot be entered, control/me cannot be read, or a
         user of the system is missing

Environment:
    QMAILHOME  the home, by default /var/qmail

Files:
    control/*  see the manual pages of the programs that read them

See also: qmail-setup, qmail-send, qmail-smtpd, qmail-remote, qmail-inject
"""

from __future__ import annotations

import os

from mta import control
from mta.home import Account, account, home, path, plain
from mta.local.dotqmail import MASK, mask
from mta.queue.layout import SPLIT
from supervise.account import find_account
from supervise.command import Argv, command
from supervise.errors import PRINTABLE, TEMPORARY, Temporary
from supervise.fd import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Show = Callable[[bytes, bytes | None], bytes]

CONCURRENCY = 1000  # LIMIT of mta.start, which takes long to import

ROLES = (b"alias", b"qmaild", b"qmaill", b"root", b"qmailp", b"qmailq", b"qmailr", b"qmails")

UNREADABLE = b"Oops! Trouble reading this file.\n"
DEFAULT = b"(Default.) "


class Unreadable(Exception):
    """What is needed to go on cannot be read; the line to say so."""


@command(b"qmail-showctl")
def main(argv: Argv) -> int:
    report, code = build(), 0
    try:
        report += controls()
    except Unreadable as trouble:
        report, code = report + trouble.args[0], TEMPORARY
    write_all(1, report)
    return code


def build() -> bytes:
    """What the originals have compiled in.

    Raises:
        Temporary: a user of the system is missing.
    """
    users = [user(role) for role in ROLES]
    return (
        b"qmail home directory: %s.\n"
        b"user-ext delimiter: -.\n"
        b"paternalism (in decimal): %d.\n"
        b"silent concurrency limit: %d.\n"
        b"subdirectory split: %d.\n"
        b"user ids: %s.\n"
        b"group ids: %d, %d.\n"
    ) % (
        home(),
        forbidden_bits(),
        CONCURRENCY,
        SPLIT,
        b", ".join(b"%d" % user.uid for user in users),
        users[ROLES.index(b"alias")].gid,
        users[ROLES.index(b"qmailq")].gid,
    )


def forbidden_bits() -> int:
    """The mode bits that a .qmail file must not have; the usual ones when the control file is bad."""
    try:
        return mask()
    except Temporary:
        return MASK


def user(role: bytes) -> Account:
    """Who plays *role* in this instance, asked by its owner or by anybody.

    Raises:
        Temporary: the instance is root's, and lacks the user.
    """
    if plain() and not os.access(path(b"queue"), os.W_OK):  # root's instance, and we only look at it
        found = find_account(role)
        if found:
            return Account(role, found.pw_uid, found.pw_gid)
    return account(role)


def controls() -> bytes:
    """What the control files say.

    Raises:
        Unreadable: the folder or our own name.
    """
    names = control_files()
    me = own_name()
    shown = [(name, show(name, me)) for name, show in FILES]
    for name in names:
        if name in OURS:
            shown.append((name, OURS[name](name, me)))
        elif not is_known(name):
            shown.append((name.translate(PRINTABLE), b"I have no idea what this file does.\n"))
    return b"".join(b"\n%s: %s" % row for row in shown)


def is_known(name: bytes) -> bool:
    """Whether some program here reads `control/NAME`."""
    return name in OURS or any(name == known for known, _ in FILES)


def control_files() -> list[bytes]:
    """The names in the control folder.

    Raises:
        Unreadable: it cannot be entered or read.
    """
    if not os.access(home(), os.X_OK):
        raise Unreadable(b"Oops! Unable to chdir to " + home() + b".\n")
    folder = path(b"control")
    if not os.access(folder, os.X_OK):
        raise Unreadable(b"Oops! Unable to chdir to control.\n")
    try:
        return sorted(os.listdir(folder))
    except OSError:
        raise Unreadable(b"Oops! Unable to open current directory.\n") from None


def own_name() -> bytes | None:
    """What control/me says.

    Raises:
        Unreadable: it cannot be read.
    """
    try:
        return control.value(b"me")
    except Temporary:
        raise Unreadable(b"Oops! Trouble reading control/me.") from None


# -- how a control file is shown: functions of its name and of our own name ------------------
def text(before: bytes, default: bytes | None = None) -> Show:
    """A value.  Without the file it is *default*, or else our own name, or else the file's name."""

    def show(name: bytes, me: bytes | None) -> bytes:
        found = control.value(name)
        if found is not None:
            return before + found.translate(PRINTABLE) + b".\n"
        instead = default or (name if me is None else me)
        return DEFAULT + before + instead.translate(PRINTABLE) + b".\n"

    return readable(show)


def amount(default: int, before: bytes, after: bytes = b"") -> Show:
    """A number, with the words before and after it."""

    def show(name: bytes, me: bytes | None) -> bytes:
        found = control.number(name, -1)
        return (DEFAULT if found < 0 else b"") + b"%s%d%s.\n" % (before, default if found < 0 else found, after)

    return readable(show)


def listing(default: bytes, before: bytes = b"", after: bytes = b"") -> Show:
    """Lines, each with the words before and after it; *default* is said without the file."""

    def show(name: bytes, me: bytes | None) -> bytes:
        found = control.lines(name)
        if found is None:
            return DEFAULT + default + b"\n"
        return b"\n" + b"".join(before + line.translate(PRINTABLE) + after + b"\n" for line in found)

    return readable(show)


def readable(show: Show) -> Show:
    """*show*, or that the file cannot be read."""

    def show_or_complain(name: bytes, me: bytes | None) -> bytes:
        try:
            return show(name, me)
        except Temporary:
            return UNREADABLE

    return show_or_complain


def more_hosts(name: bytes, me: bytes | None) -> bytes:
    """morercpthosts, which depends on rcpthosts."""
    if os.path.exists(path(b"control", b"rcpthosts")):
        return listing(b"No effect.", TO, b".")(name, me)
    return listing(
        b"No rcpthosts; morercpthosts is irrelevant.", b"No rcpthosts; doesn't matter that morercpthosts has ", b"."
    )(name, me)


def more_hosts_compiled(name: bytes, me: bytes | None) -> bytes:
    """morercpthosts.cdb, which should be younger than what it was made of."""
    source, compiled = changed(b"morercpthosts"), changed(name)
    if source is None:
        if compiled is None:
            return DEFAULT + b"No effect.\n"
        return b"Oops! morercpthosts.cdb exists but morercpthosts doesn't.\n"
    if compiled is None:
        return b"Oops! morercpthosts exists but morercpthosts.cdb doesn't.\n"
    if int(source) > int(compiled):
        return b"Oops! morercpthosts.cdb is older than morercpthosts.\n"
    return b"Modified recently enough; hopefully up to date.\n"


def changed(name: bytes) -> float | None:
    """When the control file *name* was changed, in seconds since 1970; None when there is none."""
    try:
        return os.stat(path(b"control", name)).st_mtime
    except OSError:
        return None


@readable
def capabilities(name: bytes, me: bytes | None) -> bytes:
    """smtpcapabilities, which names what qmail-smtpd knows, or not."""
    words = [line.upper().translate(PRINTABLE) for line in control.lines(name) or ()]
    known = b"The SMTP server announces %s when there is a limit.\n", b"The SMTP server does not know %s.\n"
    return b"\n" + b"".join(known[word != b"SIZE"] % word for word in words)


@readable
def recipients(name: bytes, me: bytes | None) -> bytes:
    """recipients, which is on or off."""
    if control.number(name, 0):
        return b"SMTP clients may not send messages to recipients that would bounce.\n"
    return b"SMTP clients may send messages to recipients that would bounce.\n"


TO = b"SMTP clients may send messages to recipients at "

FILES: list[tuple[bytes, Show]] = [
    (b"badmailfrom", listing(b"Any MAIL FROM is allowed.", after=b" not accepted in MAIL FROM.")),
    (b"bouncefrom", text(b"Bounce user name is ", b"MAILER-DAEMON")),
    (b"bouncehost", text(b"Bounce host name is ")),
    (b"concurrencylocal", amount(10, b"Local concurrency is ")),
    (b"concurrencyremote", amount(20, b"Remote concurrency is ")),
    (b"databytes", amount(0, b"SMTP DATA limit is ", b" bytes")),
    (b"defaultdomain", text(b"Default domain name is ")),
    (b"defaulthost", text(b"Default host name is ")),
    (b"doublebouncehost", text(b"2B recipient host: ")),
    (b"doublebounceto", text(b"2B recipient user: ", b"postmaster")),
    (b"envnoathost", text(b"Presumed domain name is ")),
    (b"helohost", text(b"SMTP client HELO host name is ")),
    (b"idhost", text(b"Message-ID host name is ")),
    (b"localiphost", text(b"Local IP address becomes ")),
    (
        b"locals",
        listing(b"Messages for me are delivered locally.", b"Messages for ", b" are delivered locally."),
    ),
    (b"me", text(b"My name is ", b"undefined! Uh-oh")),
    (
        b"percenthack",
        listing(b"The percent hack is not allowed.", b"The percent hack is allowed for user%host@", b"."),
    ),
    (b"plusdomain", text(b"Plus domain name is ")),
    (b"qmqpservers", listing(b"No QMQP servers.", b"QMQP server: ", b".")),
    (b"queuelifetime", amount(604800, b"Message lifetime in the queue is ", b" seconds")),
    (b"rcpthosts", listing(b"SMTP clients may send messages to any recipient.", TO, b".")),
    (b"morercpthosts", more_hosts),
    (b"morercpthosts.cdb", more_hosts_compiled),
    (b"smtpgreeting", text(b"SMTP greeting: 220 ")),
    (b"smtproutes", listing(b"No artificial SMTP routes.", b"SMTP route: ")),
    (b"timeoutconnect", amount(60, b"SMTP client connection timeout is ", b" seconds")),
    (b"timeoutremote", amount(1200, b"SMTP client data timeout is ", b" seconds")),
    (b"timeoutsmtpd", amount(1200, b"SMTP server data timeout is ", b" seconds")),
    (b"virtualdomains", listing(b"No virtual domains.", b"Virtual domain: ")),
]

BAD_RECIPIENT = listing(b"", after=b" not accepted in RCPT TO.")

# Files that only this system has: shown when they are there.
OURS: dict[bytes, Show] = {
    b"badmailto": BAD_RECIPIENT,
    b"badrcptto": BAD_RECIPIENT,
    b"defaultdelivery": listing(b"", b"Mail to users without a .qmail file: "),
    b"maxrcpt": amount(0, b"Recipients of a message from an SMTP client: at most "),
    b"outgoingip": listing(b"", b"SMTP client calls from ", b"."),
    b"recipients": recipients,
    b"recipientsremote": amount(1, b"Recipients of a message that may share a connection: "),
    b"rewrite": listing(b"", b"Rewriting in new-inject and ofmipd: "),
    b"scanner": listing(b"", b"qmail-scanner: "),
    b"smtpcapabilities": capabilities,
    b"patrn": text(b"Mode bits that homes and .qmail files must not have: "),
    b"trace": amount(0, b"qmail-smtpd and qmail-remote tell more for qmail-why unless this is 0: "),
}
