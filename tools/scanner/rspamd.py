"""Ask rspamd: POST /checkv2 over HTTP, which answers with an action in JSON."""

from __future__ import annotations

from supervise.environment import VARIABLES
from tools.scanner.finding import CLEAN, LATER, SPAM, TAGGED, Failed, Finding, shown, spam_status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tools.scanner.parcel import Parcel
    from tools.scanner.wire import Wire

ACTIONS = {
    "no action": CLEAN, "greylist": CLEAN, "add header": TAGGED, "rewrite subject": TAGGED, "soft reject": LATER,
    "reject": SPAM, "discard": SPAM, "quarantine": SPAM,
}  # fmt: skip
# an action of its own that a site has defined is for the reader of the fields to know
CLIENT = {b"IP": b"TCPREMOTEIP", b"Hostname": b"TCPREMOTEHOST"}  # what it is told of who sends, and whence we know


def ask(wire: Wire, parcel: Parcel) -> Finding:
    """What rspamd says of the message in *parcel*.

    Raises:
        Failed: nothing that can be understood.
    """
    going = wire.send(request(parcel))
    for piece in parcel.pieces():
        going = going and wire.send(piece)
    status, _, body = wire.reply()
    if not status.startswith(b"HTTP/1.") or status.split(b" ")[1:2] != [b"200"]:
        raise Failed(b"said " + status)
    action, score, required = read(body)
    kind = ACTIONS.get(action, CLEAN)
    name = shown(action.encode("ascii", "replace"))
    said = b"%s, score=%.2f required=%.2f" % (name, score, required)
    bad = kind in (SPAM, TAGGED)
    text = b"%s, score=%.2f required=%.2f action=%s scanner=rspamd"
    return Finding(kind, spam_status(text % (b"Yes" if bad else b"No", score, required, name), bad), said)


def request(parcel: Parcel) -> bytes:
    """The request without the message."""
    lines = [b"POST /checkv2 HTTP/1.0", b"Content-Length: %d" % parcel.size, b"From: " + shown(parcel.sender)]
    lines += [b"Rcpt: " + shown(recipient) for recipient in parcel.recipients]
    lines += [field + b": " + shown(VARIABLES[name]) for field, name in CLIENT.items() if VARIABLES.get(name)]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def read(body: bytes) -> tuple[str, float, float]:
    """The action, the score, and the score that is too much.

    Raises:
        Failed: they are not there.
    """
    import json

    try:
        answer = json.loads(body)
        action = answer["action"]
        scores = float(answer["score"]), float(answer["required_score"])
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        raise Failed(b"said what is no verdict") from None
    if not isinstance(action, str):
        raise Failed(b"said what is no verdict")
    return action, *scores
