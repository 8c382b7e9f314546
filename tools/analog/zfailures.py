"""zfailures - report why deliveries failed

Usage: zfailures < results

zfailures reads what matchup has written and adds up deliveries that failed for good by the words of the report:
how many there were, and how long they took. The reason that took longest comes last.

Exit status:
    0    the report was written
    111  input cannot be read, or output cannot be written

See also: matchup, zoverall
"""

from supervise.command import Argv, command
from tools.analog.report import reasons


@command(b"zfailures")
def main(argv: Argv) -> int:
    reasons(b"zfailures", b"d", b"Reasons for failure")
    return 0
