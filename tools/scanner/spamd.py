"""Ask spamd: the command SYMBOLS of SPAMC/1.5, which tells the score and the tests that matched."""

from __future__ import annotations

from tools.scanner.finding import CLEAN, SPAM, Failed, Finding, spam_status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tools.scanner.parcel import Parcel
    from tools.scanner.wire import Wire

VERDICTS = {b"true": SPAM, b"yes": SPAM, b"false": CLEAN, b"no": CLEAN}


def ask(wire: Wire, parcel: Parcel) -> Finding:
    """What spamd says of the message in *parcel*.

    Raises:
        Failed: nothing that can be understood.
    """
    going = wire.send(b"SYMBOLS SPAMC/1.5\r\nContent-length: %d\r\n\r\n" % parcel.size)
    for piece in parcel.pieces():
        going = going and wire.send(piece)
    wire.finish()
    status, fields, tests = wire.reply()
    version, _, code = status.partition(b" ")
    if not version.startswith(b"SPAMD/") or code.split(b" ")[0] != b"0":
        raise Failed(b"said " + status)
    word, _, scores = fields.get(b"spam", b"").partition(b";")
    kind = VERDICTS.get(word.strip().lower())
    score, _, required = (part.strip() for part in scores.partition(b"/"))
    try:
        float(score), float(required)
    except ValueError:
        kind = None
    if kind is None:
        raise Failed(b"said Spam: " + fields.get(b"spam", b"nothing"))
    said = b"score=%s required=%s" % (score, required)
    yes = b"Yes" if kind is SPAM else b"No"
    text = b"%s, %s tests=%s scanner=spamd" % (yes, said, tests.strip()[:600] or b"none")
    return Finding(kind, spam_status(text, kind is SPAM), said)
