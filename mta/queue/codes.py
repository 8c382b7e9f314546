"""What qmail-queue's exit codes mean, and the words that callers say for them.

0 is acceptance.  11 to 40 mean never (D), all others mean later (Z); 82 means that the
program has said on descriptor 6 what to tell, with the letter in front.
"""

from __future__ import annotations

from supervise.errors import Permanent, Temporary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.errors import Trouble

OK = 0
TOO_LONG = 11  # an address in the envelope
MEMORY = 51
TIMEOUT = 52
WRITE = 53
READ = 54
HOME = 61
QUEUE = 62
PID = 63
MESS = 64
INTD = 65
TODO = 66
BUSY = 71  # the submission server has too much to do for this user
BUG = 81
OWN_TEXT = 82
ENVELOPE = 91  # it does not have the form of an envelope
EXEC = 120

_BUG = b"Zqq internal bug (#4.3.0)"
_QUEUE = b"Zqq trouble creating files in queue (#4.3.0)"
_TOO_LONG = b"Denvelope address too long for qq (#5.1.3)"

TEXTS = {
    OK: b"",
    TOO_LONG: _TOO_LONG,
    31: b"Dmail server permanently rejected message (#5.3.0)",
    MEMORY: b"Zqq out of memory (#4.3.0)",
    TIMEOUT: b"Zqq timeout (#4.3.0)",
    WRITE: b"Zqq write error or disk full (#4.3.0)",
    READ: b"Zqq read error (#4.3.0)",
    55: b"Zqq unable to read configuration (#4.3.0)",
    56: b"Zqq trouble making network connection (#4.3.0)",
    HOME: b"Zqq trouble in home directory (#4.3.0)",
    QUEUE: _QUEUE,
    PID: _QUEUE,
    MESS: _QUEUE,
    INTD: _QUEUE,
    TODO: _QUEUE,
    BUSY: b"Zmail server temporarily rejected message (#4.3.0)",
    72: b"Zconnection to mail server timed out (#4.4.1)",
    73: b"Zconnection to mail server rejected (#4.4.1)",
    74: b"Zcommunication with mail server failed (#4.4.2)",
    BUG: _BUG,
    ENVELOPE: _BUG,
    115: _TOO_LONG,  # what old versions of the original gave
    EXEC: b"Zunable to exec qq (#4.3.0)",
}
NEVER = b"Dqq permanent problem (#5.3.0)"
LATER = b"Zqq temporary problem (#4.3.0)"
CRASHED = b"Zqq crashed (#4.3.0)"

OWN_TEXT_SIZE = 255  # bytes of the program's own text that are heard


class Refused(Exception):
    """The message is not taken; *code* is what qmail-queue exits with."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def verdict(code: int, own: bytes = b"") -> bytes:
    """What a caller says when qmail-queue exits with *code*.

    Args:
        own: what the program wrote on descriptor 6.

    Returns:
        b"" for acceptance, else a text that begins with D (never) or Z (later).
    """
    if code == OWN_TEXT and len(own) > 2:
        return own.partition(b"\0")[0]
    if code in TEXTS:
        return TEXTS[code]
    return NEVER if 11 <= code <= 40 else LATER


def trouble(verdict: bytes, told: bytes = b"%s") -> Trouble:
    """What to raise for the *verdict* of a queue that did not take a message; in *told*, %s is its text."""
    return (Permanent if verdict.startswith(b"D") else Temporary)(told % verdict[1:])
