"""Bounces: what failed for good is noted while a message is delivered, and told to its sender at the end.

`bounce/N` has a paragraph for each recipient that failed:

    <recipient>:
    what the delivery had to say, in which no line is empty
                                                              (an empty line)

The bounce is a message in qmail-send's bounce message format (QSBMF): a paragraph that begins
with `Hi. This is the`, these paragraphs, and below a line that begins with a hyphen the message.

It comes from nobody (the empty envelope sender), so when it bounces itself we know: then the
postmaster gets a double bounce, from `#@[]`.  When that one fails too, it is thrown away.

See also: QSBMF, https://cr.yp.to/proto/qsbmf.txt
"""

from __future__ import annotations

import os
import time

from mta.address import quote, quote_local
from mta.date import header_date
from mta.queue import layout
from mta.queue.submit import Submission
from mta.send.message import Damaged, drop, exists, read_info
from mta.send.rewrite import bounces_to, without_prepend
from supervise.fd import chunks
from supervise.files import sync_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from mta.send.controls import Controls
    from mta.send.state import State

    Object = TypeVar("Object")

DOUBLE = b"#@[]"  # the sender of double bounces
PATIENCE = 10  # seconds between tries to write down a failure

BEGINNING = b"""\
Date: %(date)s
From: %(from)s@%(host)s
To: %(to)s
Subject: failure notice

Hi. This is the %(program)s program at %(host)s.
%(why)s
"""
TO_SENDER = b"""\
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.
"""
TO_POSTMASTER = b"""\
I tried to deliver a bounce message to this address, but the bounce bounced!
"""
COPY_OF_MESSAGE = b"--- Below this line is a copy of the message.\n"
COPY_OF_BOUNCE = b"--- Below this line is the original bounce.\n"


# -- texts -----------------------------------------------------------------------------------


def paragraph(recipient: bytes, report: bytes) -> bytes:
    """What `bounce/N` says of one *recipient*, for whom a delivery gave that *report*.

    The empty line at its end is the only one: in the others there is a `/`.
    """
    text = b"<%s>:\n%s" % (recipient.replace(b"\n", b"_"), report)
    if not text.endswith(b"\n"):
        text += b"\n"
    first, *lines = text[:-1].split(b"\n")
    safe, previous = first, first
    for line in lines:
        safe += (b"\n" if previous else b"/") + line
        previous = line
    return safe + b"\n\n"


def beginning(sender: bytes, recipient: bytes, controls: Controls, date: bytes) -> bytes:
    """The bounce down to the paragraphs, for a message that came from *sender*, to *recipient*."""
    return BEGINNING % {
        b"program": b"qmail-send",
        b"date": date,
        b"from": quote_local(controls.bouncefrom),
        b"host": controls.bouncehost,
        b"to": quote(recipient),
        b"why": TO_SENDER if sender else TO_POSTMASTER,
    }


def middle(sender: bytes) -> bytes:
    """What stands between the paragraphs and the message."""
    return b"%s\nReturn-Path: <%s>\n" % (COPY_OF_MESSAGE if sender else COPY_OF_BOUNCE, quote(sender))


# -- notes -----------------------------------------------------------------------------------


class Notes:
    """What failed for good, written down before the recipient is marked as done."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.open: dict[int, int] = {}  # message: descriptor of its notes, not synced yet
        self.created = False

    def add(self, number: int, recipient: bytes, report: bytes) -> None:
        """Note a failure of message *number*; `sync` puts it on disk.

        It does not return before it is written: without a note the recipient cannot be done,
        and with a loss of the note the sender would never hear.
        """
        rest = memoryview(paragraph(without_prepend(recipient, self.state.controls.virtualdomains), report))
        while rest:
            try:
                rest = rest[os.write(self._notes(number), rest) :]
            except OSError:
                self._complain()

    def _notes(self, number: int) -> int:
        if number not in self.open:
            name = layout.bounce(number)
            self.created = self.created or not os.path.lexists(name)
            self.open[number] = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self.open[number]

    def sync(self) -> None:
        """Put all notes on disk; after that their recipients may be marked as done."""
        for fd in self.open.values():
            self._insist(os.fsync, fd)
            os.close(fd)
        self.open.clear()
        if self.created:
            self._insist(sync_folder, b"bounce")
            self.created = False

    def _insist(self, step: Callable[[Object], object], on: Object) -> None:
        while True:
            try:
                step(on)
                return
            except OSError:
                self._complain()

    def _complain(self) -> None:
        self.state.log.alert(b"unable to append to bounce message; HELP! sleeping...")
        time.sleep(PATIENCE)


# -- the message -----------------------------------------------------------------------------


def bounce(number: int, state: State) -> bool | None:
    """Tell the sender of message *number* what failed, if anything did, and remove the notes.

    Returns:
        True when a bounce was sent, None when there was nothing to tell, False when that has to
        be tried again later.
    """
    notes = layout.bounce(number)
    try:
        if not exists(notes):
            return None
    except OSError:
        state.log.warning(b"unable to stat " + notes)
        return False
    try:
        sender = bounces_to(read_info(number)[0])
    except (OSError, Damaged):
        return False
    if sender == DOUBLE:
        state.log.triple_bounce(notes)
    else:
        qp = submit(number, sender, state.controls)
        if qp is None:
            state.log.warning(b"trouble injecting bounce message, will try later")
            return False
        state.log.bounce(number, qp)
    try:
        drop(notes)
    except OSError:
        state.log.warning(b"unable to unlink " + notes)
        return False
    return True


def submit(number: int, sender: bytes, controls: Controls) -> int | None:
    """Queue the bounce of message *number*, which came from *sender*; its qp, or None when that failed."""
    recipient = sender or controls.doublebounceto
    submission = Submission()
    try:
        submission.write(beginning(sender, recipient, controls, header_date()))
        copy(layout.bounce(number), submission)
        submission.write(middle(sender))
        copy(layout.mess(number), submission)
    except OSError:
        submission.abandon()
        return None
    if submission.send(b"" if sender else DOUBLE, [recipient]):
        return None
    return submission.pid


def copy(name: bytes, submission: Submission) -> None:
    """Put the file *name* into *submission*."""
    fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for data in chunks(fd):
            submission.write(data)
    finally:
        os.close(fd)
