"""qmail-vacation - answer mail while its reader is away

Usage: qmail-vacation [ -j ] [ -tN ] [ -aADDRESS ] messagefile

qmail-vacation reads a message from descriptor 0 and sends the text in messagefile to its sender, once a week to each:

    | qmail-vacation .vacation.msg
    ./Maildir/

messagefile may begin with a header, Subject and From for example, and an empty line. `$SUBJECT` in it stands for the
subject of the message. What it lacks is made: From is the recipient, and Subject is that of the message after `Re: `.

There is no answer to bounces and other mail from nobody, to mailer-daemon, postmaster, list servers and the owners of
lists, to what says that it is from a list, in bulk, or an answer by a machine itself, and to what has been sent
neither To nor Cc this recipient. The answer has no envelope sender, so nothing ever answers it.

Options:
    -j         answer also when the recipient is neither in To nor in Cc
    -tN        answer again after N seconds; N may end with m, h, d or w for minutes, hours, days or weeks
    -aADDRESS  the recipient has this address too; may be given several times

Exit status:
    0    the message is answered, or gets no answer
    100  wrong usage, or the recipient is not known
    111  try again later

Environment:
    SENDER     the envelope sender, who gets the answer
    RECIPIENT  the recipient

Files:
    messagefile.answered  SECONDS answered SENDER, a line for each sender

See also: dot-forward, eliminate-dups, qmail-inject
"""

from __future__ import annotations

import os

from mta.address import quote, split
from mta.header import find, name_of
from mta.header import split as split_header
from mta.home import program
from mta.local.environment import NOBODY
from mta.tokens import Unparsable, lex, parts, plain
from supervise.command import Argv, command
from supervise.errors import PERMANENT, Permanent, Temporary, Usage
from supervise.fd import Reader, chunks, write_all
from supervise.options import options
from supervise.program import ignore_broken_pipes, spawn
from tools.user.memory import Memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

UNITS = {b"s": 1, b"m": 60, b"h": 3600, b"d": 86400, b"w": 7 * 86400}
MACHINES = (b"mailer-daemon", b"postmaster", b"listserv", b"majordomo", b"noreply", b"no-reply")
LISTS = (b"-request", b"-owner", b"-relay", b"-bounces", b"-errors")  # what such senders end with
READERS = (b"to", b"cc", b"resent-to", b"resent-cc")
SUBJECT = b"$SUBJECT"


@command(b"qmail-vacation", b"[ -j ] [ -tN ] [ -aADDRESS ] messagefile")
def main(argv: Argv) -> int:
    chosen, files = options(argv, b"jt:a:")
    if len(files) != 1:
        raise Usage
    period = UNITS[b"w"]
    own = addresses()
    for letter, value in chosen:
        if letter == b"t":
            period = seconds(value)
        elif letter == b"a":
            own.append(value)
    sender = needed(b"SENDER")
    message = header()
    wanted = (b"j", b"") in chosen or names(message, own)
    if not wanted or is_automatic(message) or not is_persons(sender):
        return 0
    with Memory(files[0] + b".answered", period) as memory:
        if memory.word(sender) is None:
            send(sender, answer(files[0], message, sender, own[0]))
            memory.remember(sender, b"answered")
    return 0


def seconds(text: bytes) -> int:
    """The seconds that *text* says, a number that may have a unit."""
    unit = text[-1:] if text[-1:] in UNITS else b""
    digits = text.removesuffix(unit)
    if not digits.isdigit() or len(digits) > 9:
        raise Usage
    return int(digits) * UNITS.get(unit, 1)


def needed(name: bytes) -> bytes:
    value = os.environb.get(name)
    if value is None:
        raise Permanent(name + b" not set")
    return value


def addresses() -> list[bytes]:
    """The recipient's addresses, the first one being what the message was sent to."""
    recipient = needed(b"RECIPIENT")
    host = os.environb.get(b"HOST", split(recipient)[1] or b"")
    parts = (os.environb.get(name) for name in (b"USER", b"EXT", b"DEFAULT"))
    return [recipient, *(part + b"@" + host for part in parts if part)]


def header() -> list[bytes]:
    """The fields of the message on descriptor 0; none when they are too long to come from somebody who waits."""
    try:
        return split_header(Reader(0))[0]
    except Permanent:
        return []
    except OSError as error:
        raise Temporary(b"unable to read message", error) from None


def is_persons(sender: bytes) -> bool:
    """Whether this is the address of somebody who may be waiting for an answer."""
    local = split(sender)[0].lower()
    machine = local in MACHINES or local.startswith(b"owner-") or local.endswith(LISTS)
    return sender not in NOBODY and not machine and b"-return-" not in local and b"-bounces+" not in local


def is_automatic(fields: Iterable[bytes]) -> bool:
    """Whether a message says that it comes from a list, in bulk, or from a machine, or says nothing at all."""
    fields = list(fields)
    for field in fields:
        name, value = name_of(field) or b"", value_of(field).lower()
        if name == b"mailing-list" or name.startswith(b"list-"):
            return True
        if name == b"precedence" and value in (b"bulk", b"junk", b"list"):
            return True
        if name == b"auto-submitted" and value.partition(b";")[0].rstrip() != b"no":  # RFC 3834, section 5
            return True
    return not fields


def names(fields: Iterable[bytes], own: Iterable[bytes]) -> bool:
    """Whether a message was sent To or Cc one of the *own* addresses."""
    wanted = {address.lower() for address in own}
    for field in fields:
        if name_of(field) not in READERS:
            continue
        try:
            for is_address, words in parts(lex(field.partition(b":")[2])):
                if is_address and plain(words).lower() in wanted:
                    return True
        except Unparsable:  # what stands right of the error has been looked at
            pass
    return False


def value_of(field: bytes | None) -> bytes:
    """What a field says, in one line."""
    return b" ".join((field or b"").partition(b":")[2].split())


def answer(file: bytes, message: list[bytes], sender: bytes, recipient: bytes) -> bytes:
    """The answer to a *message*: the text in *file*, with a header."""
    subject = value_of(find(message, b"subject"))
    fields, body = text_of(file)
    made = [field for field in fields if name_of(field) not in (b"to", b"cc", b"bcc")]
    if find(made, b"from") is None:
        made.append(b"From: " + quote(recipient) + b"\n")
    if find(made, b"subject") is None:
        made.append(b"Subject: Re: " + subject.removeprefix(b"Re: ") + b"\n")
    made += [b"To: " + quote(sender) + b"\n", b"Auto-Submitted: auto-replied\n", b"Precedence: bulk\n"]
    number = value_of(find(message, b"message-id"))
    if number:
        earlier = value_of(find(message, b"references"))
        made += [b"In-Reply-To: " + number + b"\n", b"References: " + (earlier + b" " + number).strip() + b"\n"]
    return b"".join(field.replace(SUBJECT, subject) for field in made) + b"\n" + body.replace(SUBJECT, subject)


def text_of(file: bytes) -> tuple[list[bytes], bytes]:
    """The header of the text in *file*, if it has one, and its body."""
    try:
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            reader = Reader(fd)
            fields, beginning = split_header(reader)
            rest = reader.take(len(reader.buffer)) + b"".join(chunks(fd))
        finally:
            os.close(fd)
    except OSError as error:
        raise Temporary(b"unable to read " + file, error) from None
    if beginning == b"\n":
        return fields, rest
    return [], b"".join(fields) + beginning.removeprefix(b"\n") + rest  # its first lines only looked like a header


def send(sender: bytes, text: bytes) -> None:
    """Have *text* sent to *sender*, in nobody's name; an address that nothing can be sent to gets no answer.

    Raises:
        Temporary: it could not be done.
    """
    reading, writing = os.pipe()
    ignore_broken_pipes()
    pid = spawn([program(b"qmail-inject"), b"-a", b"-f", b"", b"--", sender], {0: reading})
    os.close(reading)
    try:
        write_all(writing, text)
    except BrokenPipeError:  # its exit code tells why
        pass
    os.close(writing)
    _, status = os.waitpid(pid, 0)
    if os.waitstatus_to_exitcode(status) not in (0, PERMANENT):
        raise Temporary(b"unable to send the answer")
