"""zdeferrals - report why deliveries were put off

Usage: zdeferrals < results

zdeferrals reads what matchup has written and adds up delivery attempts that will be repeated by the words of the
report: how many there were, and how long they took. The reason that took longest comes last.

Exit status:
    0    the report was written
    111  input cannot be read, or output cannot be written

See also: matchup, zoverall
"""

from supervise.command import Argv, command
from tools.analog.report import reasons


@command(b"zdeferrals")
def main(argv: Argv) -> int:
    reasons(b"zdeferrals", b"z", b"Reasons for deferral")
    return 0
