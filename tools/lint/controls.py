"""What is wrong with one control file, seen by itself."""

from __future__ import annotations

from mta import showctl
from mta.control import BLANKS, leading_number
from mta.remote.routes import apart, end_of_host, literal
from tools.lint.dotqmail import wrong_instructions
from tools.lint.maildirs import lacks
from tools.lint.settings import Folder, repeated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tools.lint.settings import Complaints, Found

    Check = Callable[[Folder, bytes], Found]
    Words = Iterator[bytes]  # what is wrong with a line

IN_A_NAME = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
LARGEST_PORT = 65535


def complaints(control: Folder) -> Complaints:
    """What is wrong with each of the files in *control*."""
    yield from control.strangers(known())
    for name, check in CHECKS.items():
        content = control.content(name)
        if name in control.unread:
            yield control.file(name), 0, b"cannot be read: " + control.unread[name]
        if content is not None:
            for at, what in (*control.returns(name), *check(control, name)):
                yield control.file(name), at, what


def known() -> list[bytes]:
    """The control files that some program reads."""
    return sorted({*CHECKS, b"morercpthosts.cdb"})


# -- what a file holds: functions of the folder and of the file's name -------------------------
def value(check: Callable[[bytes], Words]) -> Check:
    """One value, of which *check* tells what is wrong with it."""

    def wrong(control: Folder, name: bytes) -> Found:
        text = control.value(name)
        yield from ((1, what) for what in (check(text) if text else [b"empty"]))
        if further := [at for at, _ in control.lines(name) if at > 1]:
            yield further[0], b"only the first line counts"

    return wrong


def listing(check: Callable[[bytes], Words]) -> Check:
    """Lines, of each of which *check* tells what is wrong with it."""

    def wrong(control: Folder, name: bytes) -> Found:
        return ((at, what) for at, line in control.lines(name) for what in check(line))

    return wrong


def unique(check: Callable[[bytes], Words], key: Callable[[bytes], bytes | None]) -> Check:
    """The same, where of lines for the same only the last counts; *key* tells what a line is for."""

    def wrong(control: Folder, name: bytes) -> Found:
        yield from listing(check)(control, name)
        keys = ((at, key(line)) for at, line in reversed(control.lines(name)))
        yield from repeated([(at, word) for at, word in keys if word is not None])

    return wrong


def members(check: Callable[[bytes], Words]) -> Check:
    """Lines that make a set, in which capital letters are as good as small ones."""

    def wrong(control: Folder, name: bytes) -> Found:
        yield from listing(check)(control, name)
        yield from repeated([(at, line.lower()) for at, line in control.lines(name)])

    return wrong


def delivery(control: Folder, name: bytes) -> Found:
    """The lines of a .qmail file."""
    return wrong_instructions(control.content(name) or b"", only_forward=False)


def scanner(control: Folder, name: bytes) -> Found:
    """The settings of qmail-scanner."""
    from tools.scanner.settings import Settings

    settings = Settings()
    yield from settings.take_all((control.content(name) or b"").replace(b"\r\n", b"\n"))
    yield from ((0, lack) for lack in settings.lacks())
    if maildir := settings.texts.get(b"quarantine"):
        at = [at for at, line in control.lines(name) if line.strip(BLANKS).startswith(b"quarantine:")][-1]
        yield from ((at, lack) for lack in lacks(maildir, b"qmaild"))


# -- what is wrong with a value or a line ------------------------------------------------------
def number(text: bytes) -> Words:
    if not text.isdigit():
        found = leading_number(text, -1)
        yield b"%s is no number; %s" % (text, b"the default holds" if found < 0 else b"it counts as %d" % found)


def concurrency(text: bytes) -> Words:
    yield from number(text)
    if leading_number(text) > showctl.CONCURRENCY:
        yield b"%s is more than qmail-start lets run at a time, %d" % (text, showctl.CONCURRENCY)


def octal(text: bytes) -> Words:
    if text.strip(b"01234567"):
        yield text + b" is no octal number, and mail for users waits"


def anything(text: bytes) -> Words:
    yield from ()


def blanks(text: bytes) -> Words:
    if b" " in text or b"\t" in text:
        yield b"a blank in " + text


def box(text: bytes) -> Words:
    yield from blanks(text)
    if b"@" in text:
        yield text + b" has an @, and the host stands in a file of its own"


def host(text: bytes) -> Words:
    """A host's name, or an address in its place."""
    if literal(text):
        return
    if b" " in text or b"\t" in text:
        yield from blanks(text)
    elif b"@" in text:
        yield text + b" is an address, and a host is asked for"
    elif text.endswith(b"."):
        yield text + b" ends with a dot, and no host in an address does"
    elif not text or text.translate(None, IN_A_NAME) or text.startswith(b".") or b".." in text:
        yield text + b" is no host name"


def local_host(text: bytes) -> Words:
    if text.startswith(b"."):
        yield text + b" begins with a dot, which does not stand for the hosts below it here"
    else:
        yield from host(text)


def hosts(text: bytes) -> Words:
    """A host, or with a dot in front all those below it."""
    return host(text.removeprefix(b"."))


def sender(text: bytes) -> Words:
    """An address, or an `@` and a host."""
    if b"@" in text:
        yield from blanks(text.rpartition(b"@")[0])
        yield from host(text.rpartition(b"@")[2])
    else:
        yield text + b" has no @: it is no address, and a whole host is written @host"


def virtual(text: bytes) -> Words:
    key, colon, prefix = text.partition(b":")
    if not colon:
        yield NO_COLON
    elif key:
        yield from hosts(key.rpartition(b"@")[2])
    yield from blanks(prefix)


def for_virtual(text: bytes) -> bytes | None:
    key, colon, _ = text.partition(b":")
    return key.lower() if colon else None


def route(text: bytes) -> Words:
    end = end_of_host(text)
    if end < 0:
        yield NO_COLON
        return
    relay, port = apart(text[end + 1 :])
    for name, check in ((text[:end], hosts), (relay, host)):
        if name:
            yield from check(name)
    if port and not (port.isdigit() and 0 < leading_number(port) <= LARGEST_PORT):
        yield port + b" is no port"


def for_route(text: bytes) -> bytes | None:
    end = end_of_host(text)
    return text[:end].lower() if end >= 0 else None


def qmqp_server(text: bytes) -> Words:
    from mta.qmtp.qmqpc import place_of
    from ucspi import ip

    place = place_of(text)
    if place is None:
        yield text + b" does not begin with an IP address"
        return
    address, port = place[0].encode(), place[1]
    if not ip.parse(text) and text not in (b"%s:%d" % (address, port), b"[%s]:%d" % (address, port), b"[%s]" % address):
        yield b"%s is neither IP nor IP:PORT; it counts as %s, port %d" % (text, address, port)


def outgoing(text: bytes) -> Words:
    if literal(text) is None:
        yield text + b" is no IP address, and no mail is sent"


def family(text: bytes) -> bytes | None:
    address = literal(text)
    return None if address is None else b"6" if ":" in address else b"4"


def capability(text: bytes) -> Words:
    from mta.smtp.policy import SIZE

    if text.upper() != SIZE:
        yield text + b" is nothing that qmail-smtpd could announce"


def instruction(text: bytes) -> Words:
    from tools.mess822.rewriting import KINDS

    if text[:1] not in KINDS:
        yield b"begins with none of " + KINDS
    elif b":" not in text:
        yield NO_COLON


NO_COLON = b"no colon, so the line does not count"

CHECKS: dict[bytes, Check] = {
    **dict.fromkeys(
        b"me defaultdomain defaulthost plusdomain idhost helohost localiphost envnoathost bouncehost"
        b" doublebouncehost".split(),
        value(host),
    ),
    **dict.fromkeys(
        b"databytes maxrcpt queuelifetime recipients recipientsremote timeoutconnect timeoutremote timeoutsmtpd"
        b" trace".split(),
        value(number),
    ),
    **dict.fromkeys(b"concurrencylocal concurrencyremote".split(), value(concurrency)),
    **dict.fromkeys(b"badmailfrom badmailto badrcptto".split(), members(sender)),
    **dict.fromkeys(b"bouncefrom doublebounceto".split(), value(box)),
    **dict.fromkeys(b"locals percenthack".split(), members(local_host)),
    **dict.fromkeys(b"rcpthosts morercpthosts".split(), members(hosts)),
    b"defaultdelivery": delivery,
    b"outgoingip": unique(outgoing, family),
    b"patrn": value(octal),
    b"qmqpservers": listing(qmqp_server),
    b"rewrite": listing(instruction),
    b"scanner": scanner,
    b"smtpcapabilities": members(capability),
    b"smtpgreeting": value(anything),
    b"smtproutes": unique(route, for_route),
    b"virtualdomains": unique(virtual, for_virtual),
}
