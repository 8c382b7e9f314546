"""qmail-scanner - have daemons look at a message before it is queued

Usage: qmail-scanner < message 1< envelope

qmail-scanner stands in front of qmail-queue: it reads a message and its envelope as qmail-queue does, asks the daemons
that control/scanner names, puts on top of the message what they say, and becomes qmail-queue. A rule for tcprules
chooses whose mail goes this way:

    :allow,QMAILQUEUE="/var/qmail/bin/qmail-scanner"

control/scanner has a setting in each line, and comments in lines that begin with `#`:

    clamd:PLACE         ask clamd there, by INSTREAM
    spamd:PLACE         ask spamd there, by SPAMC/1.5
    rspamd:PLACE        ask rspamd there, by /checkv2 over HTTP
    virus:DO            what to do with a virus: reject (default), quarantine, defer or pass
    spam:DO             what to do with spam: pass (default), reject, quarantine or defer
    failure:DO          what to do when a daemon gives no answer: defer (default) or pass
    quarantine:MAILDIR  a Maildir, below the home unless it begins with a slash; who runs the server must be able to
                        write there
    officer:ADDRESS     who is told what has been put into the quarantine; by default nobody is
    timeout:N           seconds that one daemon may take in all; 60 by default
    virussize:N         bytes of a message that clamd can look at, by default 26214400, which is what Debian's
                        clamd.conf has for StreamMaxLength; a larger one, and one that clamd says is too large for it,
                        is rejected, or with failure:pass passed
    spamsize:N          bytes of a message that spamd and rspamd can look at, 524288 by default; a larger one is passed

PLACE is the path of a socket, or IP:PORT, or [IPv6]:PORT. At least one daemon must be named, eight at most. They are
asked in the order of the file until one finds what is not to pass. rspamd's `reject`, `discard` and `quarantine` are
spam; its `add header` and `rewrite subject` are told in the fields only; its `soft reject` is a temporary refusal. An
action that a site has defined itself does not keep a message, and stands in the field by its name.

pass means that only the fields tell: X-Virus-Status (Clean, Infected, Failed or Skipped), X-Spam-Status (the same with
Yes and No, score and tests) and, on top of spam, `X-Spam-Flag: YES`. Fields of these names that a message brings stay
below ours; the first one counts. What is put into the quarantine has its envelope in Return-Path and X-Envelope-To (a
thousand recipients at most, and the number of the others in X-Envelope-To-More), and is accepted as if it were queued.
No sender or recipient is ever told; the officer is, by qmail-inject.

The message waits in a file without a name in TMPDIR, whatever its size. What is found, and a daemon that does not
answer, is a line on descriptor 2.

On purpose it differs from Qmail-Scanner: it is not setuid, it unpacks nothing and runs no program, since the daemons
know MIME, and it does not answer the senders of viruses, who are forged.

Exit status:
    0    queued, or in the quarantine
    31   rejected for good
    51   out of memory
    53   the disk is full, or a write to TMPDIR failed
    54   the message or the envelope cannot be read, or ends too early
    55   control/scanner is not there, cannot be read, or a line of it is wrong
    71   not now: a daemon gives no answer or says so, the quarantine cannot be written, or the system fails
    81   internal bug
    100  wrong usage, which callers of qmail-queue take for temporary
    120  qmail-queue cannot be run
    otherwise that of qmail-queue

Environment:
    QMAILHOME                    the home; /var/qmail by default
    TMPDIR                       where messages wait, by default /tmp
    TCPREMOTEIP, TCPREMOTEHOST   who sends, for rspamd

Files:
    control/scanner    the settings

See also: qmail-queue, qmail-smtpd, tcprules
"""

from __future__ import annotations

import os

from mta.home import program
from mta.queue import codes
from mta.queue.codes import Refused
from mta.queue.queue import deaf
from supervise.command import Argv, Become, command, say
from supervise.errors import Temporary, Trouble, Usage, reason
from tools.scanner.finding import (
    CLEAN,
    LATER,
    SPAM,
    TAGGED,
    VIRUS,
    Failed,
    Finding,
    TooLarge,
    shown,
    spam_status,
    virus_status,
)
from tools.scanner.parcel import Parcel
from tools.scanner.quarantine import put_away, tell
from tools.scanner.settings import DEFER, PASS, QUARANTINE, REJECT, Daemon, Settings
from tools.scanner.wire import Wire

NEVER, CONTROL = 31, 55
ENDS = {REJECT: NEVER, DEFER: codes.BUSY}


@command(b"qmail-scanner")
def main(argv: Argv) -> int:
    if len(argv) > 1:
        raise Usage
    with deaf():
        try:
            return scan()
        except Refused as refused:
            return refused.code
        except MemoryError:
            return codes.MEMORY
        except OSError as error:
            say(b"qmail-scanner: fatal: system call failed: " + reason(error))
            return codes.BUSY
        except Exception as bug:
            if b"PYQMAIL_DEBUG" in os.environb:
                raise
            say(b"qmail-scanner: bug: " + repr(bug).encode())
            return codes.BUG


def scan() -> int:
    """Read the message, ask, and do what is to be done; the exit code when that is not to queue it."""
    try:
        settings = Settings.read()
    except Trouble as trouble:
        say(b"qmail-scanner: fatal: " + trouble.line)
        return CONTROL
    parcel = Parcel()
    fields = b""
    do = PASS
    for daemon in settings.daemons:
        finding, do = judged(daemon, parcel, settings)
        fields += finding.fields
        if finding.kind is not CLEAN:
            say(b"qmail-scanner: %s: %s: %s" % (daemon.name, do, shown(finding.said)))
        if do != PASS:
            break
    parcel.add(fields)
    if do == QUARANTINE:
        return quarantine(parcel, finding, settings)
    if do != PASS:
        return ENDS[do]
    parcel.hand_on()
    os.environb.pop(b"QMAILQUEUE", None)
    raise Become([program(b"qmail-queue")], code=codes.EXEC)


def judged(daemon: Daemon, parcel: Parcel, settings: Settings) -> tuple[Finding, bytes]:
    """What *daemon* says of the message, and what is to be done."""
    about_viruses = daemon.name == b"clamd"
    field = virus_status if about_viruses else spam_status
    try:
        if parcel.size > settings.numbers[b"virussize" if about_viruses else b"spamsize"]:
            raise TooLarge(b"too large")
        with Wire(daemon.place, settings.numbers[b"timeout"]) as wire:
            finding = daemon.ask(wire, parcel)
    except TooLarge:
        strict = about_viruses and settings.choices[b"failure"] == DEFER
        return Finding(TAGGED, field(b"Skipped (too large)"), b"too large"), REJECT if strict else PASS
    except Failed as failed:
        said = shown(failed.why)
        return Finding(LATER, field(b"Failed (%s)" % said[:600]), b"no answer: " + said), settings.choices[b"failure"]
    done = {VIRUS: settings.choices[b"virus"], SPAM: settings.choices[b"spam"], LATER: DEFER}
    return finding, done.get(finding.kind, PASS)


def quarantine(parcel: Parcel, finding: Finding, settings: Settings) -> int:
    """Put the message away and tell the officer; the exit code."""
    maildir = settings.texts[b"quarantine"]
    try:
        put_away(parcel, maildir)
    except Temporary as trouble:
        say(b"qmail-scanner: fatal: %s: %s" % (maildir, trouble.line))
        return codes.BUSY
    os.environb.pop(b"QMAILQUEUE", None)
    if b"officer" in settings.texts:
        tell(settings.texts[b"officer"], parcel, finding.said, maildir)
    return codes.OK
