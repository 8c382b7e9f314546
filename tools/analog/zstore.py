"""zstore - keep what logs tell of messages and deliveries, for reports and plots

Usage: zstore [-k span] store [service | dir ...]

zstore does what matchup does, with the logs of qmail-send in the directories that multilog writes, and keeps the
results in the file store, which is made if there is none. Run it as often as you like: it reads only what is new.
zlines writes what it has kept for the reports, zplot makes plots and JSON of it, also of logs that are there no longer.

An argument is a service, by name or directory, or a log directory itself; without arguments, it is the service
qmail-send. Each log must have stamps (multilog t). Logs may have been renamed, compressed (multilog z) or removed
since the last run. When a log has gone of which only a part had been read, a line on descriptor 2 says so.

A directory may have been renamed, too: if the store does not know it, but logs in it, zstore goes on where it had
stopped. If these are still in the old place as well, the new one is a copy: a line says so, and it is passed over.

A store takes a tenth to a sixth of the size of the logs.

    -k span  forget what is older than span, as 90d or 52w; also messages that came before and of which no log says
             that they have left, as those that qmhandle has deleted. span must be longer than queuelifetime

What is read is committed in pieces. When zstore is killed, the next one goes on behind the last piece: nothing is
counted twice, and nothing is left out. Only one zstore at a time writes to a store; it locks store.lock.

A message that was deleted, such as by qmhandle, has no end in the log: here and for zplot it stays in the queue until
another one gets its number. Put an end into the log while nobody else writes to it; qmail-send may run:

    svc -d -wd /service/qmail-send/log
    echo end msg 4711 | tai64n >> /service/qmail-send/log/main/current
    svc -u /service/qmail-send/log

    */5 * * * *  zstore /var/lib/qmail.store && zplot -p /var/www/mail /var/lib/qmail.store

Exit status:
    0    all that was new is in the store
    111  something could not be read or written; all else is in the store
    100  wrong usage, or store is something else

Environment:
    SVDIR, QMAILHOME  where services are looked for

See also: matchup, zlines, zplot, zoverall, multilog, svlog, svc, tai64n, qmhandle
"""

from __future__ import annotations

import time

from supervise.command import Argv, command
from supervise.errors import Usage
from supervise.history.complaints import Complaints
from supervise.history.directory import unable
from supervise.history.moment import SECOND, span
from supervise.history.place import Places
from supervise.options import anywhere
from tools.analog.learning import Copied, Learner
from tools.analog.store import Store

USUAL = b"qmail-send"


@command(b"zstore", b"[-k span] store [service | dir ...]")
def main(argv: Argv) -> int:
    options, words = anywhere(argv, b"k:", {})
    keep = seconds(options[-1][1]) if options else None
    if not words:
        raise Usage
    store, complain = Store(words[0], writing=True), Complaints(b"zstore")
    for _, folder in Places(words[1:] or [USUAL], [], complain).new():
        try:
            Learner(store, folder).learn(complain)
        except Copied as trouble:
            complain(trouble.line)
        except OSError as error:
            complain(unable(folder, error))
    if keep is not None:
        store.forget(int(time.time()) - keep)
    return complain.code


def seconds(word: bytes) -> int:
    """The seconds of the span that *word* is."""
    found = span(word.decode(errors="replace"))
    if found is None:
        raise Usage
    return found // SECOND
