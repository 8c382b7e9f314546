"""matchup - collect what the log tells of messages and deliveries

Usage: matchup < log > results 5> pending

matchup reads lines of qmail-send from descriptor 0, each with a moment in front: seconds with a fraction, as
901967408.113926, or a TAI64N label, as multilog writes it. It writes one line for each delivery attempt that has
ended and one for each message that has left the queue, which the reports (zoverall and the others) read:

    d result birth start done bytes <sender> channel.recipient qp uid reason
    m birth done bytes successes failures deferrals <sender> qp uid

result is k for success, z for deferral, d for failure. birth is when the message came, start and done are
the moments of the delivery, all in seconds since 1970. Addresses are put in lower case. Of a delivery whose message
is not known, birth is its start, bytes is 0, and sender, qp and uid are `?`.

Lines with warnings and alerts are copied as they are, and what is none of qmail-send's lines behind `? `. Status
lines are dropped. When qmail-send starts anew, the deliveries that had not ended are forgotten: when it has said
`status: exiting`, and, after a crash, when delivery 1 starts or one with a number that is pending.

At the end of input, what is pending goes to descriptor 5, and with it a last line that is not complete. Put it in
front of the next piece of the log, and nothing is lost between pieces:

    matchup < log.1 > results.1 5> pending.1
    cat pending.1 log.2 | matchup > results.2 5> pending.2

A message is pending until the log says that it ends, or that its number is used for a new one. The log does not say
when one is deleted (qmhandle) or gets another number (queue-fix). An end of your own is as good; the message then ends
as if it had left the queue at that moment:

    echo end msg 4711 | tai64n >> pending.1

Exit status:
    0    end of input
    111  input cannot be read, output or descriptor 5 cannot be written

See also: zstore, zoverall, zddist, zdeferrals, zfailures, zsuccesses, zrecipients, zrhosts, zrxdelay, zsenders,
zsuids, zsendmail, xqp, xrecipient, xsender, tai64n, multilog, qmhandle
"""

from __future__ import annotations

from supervise.command import Argv, command
from supervise.errors import Temporary
from supervise.fd import write_all
from supervise.log.tai64n import write
from tools.analog.lines import Lines, text
from tools.analog.matching import Matcher

PENDING = 5  # the descriptor


@command(b"matchup")
def main(argv: Argv) -> int:
    matcher, source = Matcher(), Lines()
    for lines in source:
        write(text(matcher.take(lines)))
    try:
        write_all(PENDING, matcher.pending() + source.rest)
    except OSError as error:
        raise Temporary(b"unable to write descriptor 5", error) from None
    return 0
