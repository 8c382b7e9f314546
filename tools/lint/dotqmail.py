"""What is wrong with the lines of a .qmail file, each seen by itself."""

from __future__ import annotations

from mta.control import BLANKS
from mta.local.dotqmail import FORWARD, instructions, meaning
from supervise.errors import Temporary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tools.lint.settings import Found


def wrong_instructions(content: bytes, only_forward: bool) -> Found:
    """The lines of *content* that delivery stops at, or that cannot be meant so.

    Args:
        only_forward: as for `instructions`.
    """
    lines = content.removesuffix(b"\n").split(b"\n") if content else []
    for at, line in enumerate(lines, 1):
        line = line.rstrip(b"\r" + BLANKS)
        try:
            for kind, what in instructions(line if at == 1 else b"#\n" + line, only_forward):
                address = meaning(what)
                if kind == FORWARD and (b" " in address or b"\t" in address):
                    yield at, b"a blank in the address " + address
        except Temporary as trouble:
            yield at, trouble.line
        only_forward = only_forward or meaning(line) == b"+list"
