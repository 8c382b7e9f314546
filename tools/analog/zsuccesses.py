"""zsuccesses - report why deliveries succeeded

Usage: zsuccesses < results

zsuccesses reads what matchup has written and adds up successful deliveries by the words of the report:
how many there were, and how long they took. The reason that took longest comes last.

Exit status:
    0    the report was written
    111  input cannot be read, or output cannot be written

See also: matchup, zoverall
"""

from supervise.command import Argv, command
from tools.analog.report import reasons


@command(b"zsuccesses")
def main(argv: Argv) -> int:
    reasons(b"zsuccesses", b"k", b"Reasons for success")
    return 0
