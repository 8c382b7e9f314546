"""Ask clamd: the command INSTREAM, and the message in pieces with their lengths in front (clamd(8))."""

from __future__ import annotations

from tools.scanner.finding import CLEAN, VIRUS, Failed, Finding, TooLarge, virus_status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tools.scanner.parcel import Parcel
    from tools.scanner.wire import Wire

TOO_LARGE = b"INSTREAM size limit exceeded. ERROR"


def ask(wire: Wire, parcel: Parcel) -> Finding:
    """What clamd says of the message in *parcel*.

    Raises:
        TooLarge: that it is longer than clamd's own limit, StreamMaxLength.
        Failed: nothing that can be understood.
    """
    going = wire.send(b"zINSTREAM\0")
    for piece in parcel.pieces():
        going = going and wire.send(len(piece).to_bytes(4, "big") + piece)
        if not going:  # too large for it; it says so
            break
    if going:
        wire.send(bytes(4))
    answer = wire.until(b"\0")
    if answer == b"stream: OK":
        return Finding(CLEAN, virus_status(b"Clean"), b"clean")
    if answer.startswith(b"stream: ") and answer.endswith(b" FOUND"):
        name = answer[len(b"stream: ") : -len(b" FOUND")]
        return Finding(VIRUS, virus_status(b"Infected (%s)" % name[:600]), name)
    if answer == TOO_LARGE:
        raise TooLarge(answer)
    raise Failed(b"said " + answer)
