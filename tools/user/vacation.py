"""vacation - answer mail while its reader is away

Usage: vacation [ -jn ] [ -tN ] [ -aADDRESS ] [ -mFILE ] [ user ]
       vacation -I
       vacation -s

vacation reads a message from descriptor 0 and sends the text in ~/.vacation.msg to its sender, once a week to each. It
is for .qmail files, with or without preline:

    |preline vacation joe
    ./Maildir/

The text may begin with a header, Subject and From for example, and an empty line. `$SUBJECT` in it stands for the
subject of the message. What it lacks is made: From is the recipient, and Subject is that of the message after `Re: `.

There is no answer to what has been sent neither To nor Cc this recipient, or user at any host; to bounces and other
mail from nobody; to mailer-daemon, postmaster, list servers, and names that lists have, as list-request, list-owner,
list-admin, list-return-7, bounce-7 and no-reply; to what says that it is from a list, in bulk, an answer by a machine
(Auto-Submitted), a report, spam (X-Spam-Flag), or wants no answer (X-Auto-Response-Suppress).

The answer goes to the envelope sender, as that is spelled, and has no envelope sender itself, so nothing ever answers
it. Addresses that differ in capitals alone are one sender.

In a delivery, where SENDER is set, no trouble that would stay makes the message bounce or wait: an unknown option, or a
text that is not there, is said on descriptor 2, which qmail-send logs, and there is no answer.

Options:
    -j         answer also when the recipient is neither in To nor in Cc
    -n         for the original's sake; there is no other text than that in ~/.vacation.msg anyway
    -tN        answer again after N seconds; N may end with s, m, h, d or w for seconds, minutes, hours, days or weeks
    -aADDRESS  the recipient has this address too; without a host, at any; may be given several times
    -mFILE     the text is in FILE, which is in the home unless it begins with a slash
    -I         forget who has been answered
    -s         print who has been answered, and when

The original's vacation asks, when it is run without arguments, and writes ~/.vacation.msg and ~/.qmail; this one does
not, and it does not read the original's database: each sender gets one answer more.

Exit status:
    0    the message is answered, or gets no answer
    100  wrong usage, or the recipient is not known; not in a delivery
    111  try again later

Environment:
    SENDER     the envelope sender, who gets the answer
    RECIPIENT  the recipient
    HOME       where .vacation.msg is

Files:
    ~/.vacation.msg           the text
    ~/.vacation.msg.answered  SECONDS answered SENDER, a line for each sender; so beside another FILE

See also: dot-forward, eliminate-dups, preline, qmail-inject
"""

from __future__ import annotations

import os
import time

from mta.address import quote, split
from mta.dotqmail.sending import needed
from mta.header import find, name_of
from mta.header import split as split_header
from mta.local.environment import one_line
from supervise.command import Argv, command, say
from supervise.errors import Permanent, Temporary, Usage, passing
from supervise.fd import Reader, chunks, write_all
from supervise.options import options
from tools.user.answerable import is_automatic, is_persons, names, value_of
from tools.user.memory import Memory

USAGE = b"[ -jnIs ] [ -tN ] [ -aADDRESS ] [ -mFILE ] [ user ]"
UNITS = {b"s": 1, b"m": 60, b"h": 3600, b"d": 86400, b"w": 7 * 86400}
SUBJECT = b"$SUBJECT"


@command(b"vacation", USAGE)
def main(argv: Argv) -> int:
    return attend(argv)


def attend(argv: Argv) -> int:
    """Do what *argv* says; in a delivery, trouble that would stay is said, and does not count."""
    try:
        work(argv)
    except (Permanent, Usage) as trouble:
        if b"SENDER" not in os.environb:
            raise
        say(os.path.basename(argv[0]) + b": warning: no answer: " + (trouble.line or b"wrong usage"))
    return 0


def work(argv: Argv) -> None:
    """Answer the message on descriptor 0, or do what else the options want.

    Raises:
        Usage, Permanent, Temporary: it cannot be done.
    """
    chosen, own = options(argv, b"jnIst:a:m:")
    if len(own) > 1:
        raise Usage
    wishes = dict(chosen)
    own += [value for letter, value in chosen if letter == b"a"]
    file = os.path.join(needed(b"HOME"), wishes.get(b"m", b".vacation.msg"))
    period = None if b"s" in wishes else seconds(wishes.get(b"t", b"1w"))
    memory = Memory(os.path.basename(argv[0]), file + b".answered", period)
    if b"s" in wishes:
        show(memory)
    elif b"I" in wishes:
        forget(memory)
    else:
        consider(memory, file, own, b"j" in wishes)


def show(memory: Memory) -> None:
    """Print who has been answered."""
    with memory:
        for sender, (moment, _) in memory.known.items():
            date = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment)).encode()
            write_all(1, b"%b %b\n" % (date, sender))


def forget(memory: Memory) -> None:
    """Have nobody be answered yet."""
    with memory:
        memory.known.clear()
        memory.write()


def consider(memory: Memory, file: bytes, own: list[bytes], others: bool) -> None:
    """Answer the message on descriptor 0 with the text in *file*, if it is to be answered.

    Args:
        own: addresses that the recipient has besides.
        others: it needs not be sent to one of them.
    """
    sender, recipient = needed(b"SENDER"), needed(b"RECIPIENT")
    message = header()
    wanted = others or names(message, [*own, *addresses(recipient)])
    if not wanted or is_automatic(message) or not is_persons(sender):
        return
    with memory:
        key = sender.lower()
        if memory.word(key) is None:
            text = answer(file, message, sender, recipient)
            memory.remember(key, b"answered")  # first, for an answer too few is better than many
            try:
                send(sender, *text)
            except Temporary:
                memory.forget(key)
                raise


def seconds(text: bytes) -> int:
    """The seconds that *text* says, a number that may have a unit."""
    unit = text[-1:] if text[-1:] in UNITS else b""
    digits = text.removesuffix(unit)
    if not digits.isdigit() or len(digits) > 9:
        raise Usage
    return int(digits) * UNITS.get(unit, 1)


def addresses(recipient: bytes) -> list[bytes]:
    """Addresses that the *recipient* may have been written to by."""
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


def answer(file: bytes, message: list[bytes], sender: bytes, recipient: bytes) -> tuple[list[bytes], bytes]:
    """The answer to a *message*: fields and a body, of the text in *file*."""
    subject = value_of(find(message, b"subject"))
    fields, body = text_of(file)
    made = [field for field in fields if name_of(field) not in (b"to", b"cc", b"bcc")]
    if find(made, b"from") is None:
        made.append(b"From: " + quote(recipient) + b"\n")
    if find(made, b"subject") is None:
        made.append(b"Subject: Re: " + subject.removeprefix(b"Re: ") + b"\n")
    made = [field.replace(SUBJECT, subject) for field in made]
    made += [b"To: " + one_line(quote(sender)) + b"\n", b"Auto-Submitted: auto-replied\n", b"Precedence: bulk\n"]
    number = value_of(find(message, b"message-id"))
    if number:
        earlier = value_of(find(message, b"references"))
        made += [b"In-Reply-To: " + number + b"\n", b"References: " + (earlier + b" " + number).strip() + b"\n"]
    return made, body.replace(SUBJECT, subject)


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
        raise (Temporary if passing(error) else Permanent)(b"unable to read " + file, error) from None
    if beginning == b"\n":
        return fields, rest
    return [], b"".join(fields) + beginning.removeprefix(b"\n") + rest  # its first lines only looked like a header


def send(sender: bytes, fields: list[bytes], body: bytes) -> None:
    """Queue an answer for *sender*, in nobody's name; one that the queue will never take is none.

    Raises:
        Temporary: it could not be done.
        Permanent: a field is wrong.
    """
    from mta.inject.fields import Header
    from mta.inject.options import Wishes
    from mta.inject.rewriting import Hosts
    from mta.queue.submit import Submission
    from mta.tokens import Unparsable

    try:
        header = Header(Wishes(), Hosts(), b"", time.time())
        for field in fields:
            if name_of(field) == b"to":
                header.keep(b"to", field)
            else:
                header.take(field)
    except Unparsable as bad:
        raise Permanent(b"unable to parse this line: " + one_line(bad.text.rstrip(b"\n"))) from None
    submission = Submission()
    submission.write(header.finish() + b"\n" + body + (b"" if body.endswith(b"\n") else b"\n"))
    verdict = submission.send(b"", [sender])
    if verdict.startswith(b"Z"):
        raise Temporary(b"unable to send the answer: " + verdict[1:])
