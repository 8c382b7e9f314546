"""qmail-why - tell what became of a message, and why

Usage: qmail-why [ -u ] [ -n stories ] [ --since when ] [ --json ] number | address [ service | dir ... ]

qmail-why puts together what the logs and the queue tell of a message: who gave it, who was tried when, what each host
said, whether it was forwarded or bounced, and, while it is in the queue, what happens next.

number is the number of a message, as qmail-qread shows it, or the number behind `qp`. The latter joins the logs:
qmail-smtpd tells it to its client, the Received line of the queue has it, and qmail-send logs it with each message,
each bounce and each one that is forwarded. A message's own number is used again later, so several may have it.

address is that of a sender or of a recipient, or `@host`, which means all addresses of the host. Only deliveries to
that recipient are shown then. A recipient is also found under the name that percenthack and virtualdomains make of it.
What came of a message, bounces and what was forwarded, is told behind it.

The logs are those of all services in the folder that svscan watches, or those that are named, as svlog finds them.
qmail-send's must have stamps (multilog's action t), or be the only one.

    -n, --stories stories  tell the last so many messages, 10 by default, and as many refusals
    --since when           read only lines of that moment and later; when is as for svlog
    -u, --utc              show dates as UTC and not as local time, and read them so in when
    --json                 print each story as a JSON object on a line of its own

qmail-smtpd and qmail-remote tell more where control/trace has a number that is not 0: which client gave a message,
whom qmail-smtpd has refused and with what words, and which addresses of a host were tried in vain before one answered.
Without it, a message that came by SMTP is given by the user qmaild; while it is in the queue, its Received line tells
from where. The number that qmail-smtpd knows is that of the program in QMAILQUEUE, if there is one, and joins nothing
when that program hands messages on under another.

The next try is computed as qmail-send does it, from the last one. When qmail-send has been started since, it is what
the queue's files say. ALRM makes qmail-send try everything at once. In reports, a blank was logged as an underscore
and a line end as a slash; qmail-why shows underscores as blanks. All of it can be read by root; by others as far as
they may read logs and queue.

With --json an object has

    state       "over": done; "waiting"; "new": qmail-send has not taken it on; "gone": neither done in the logs nor
                in the queue; "unknown": the queue cannot be read; "refused", see below
    message     its number
    qp, uid, bytes, sender
                as qmail-send logs them
    start, end  when qmail-send took it on, or when its lines begin, and when it was done with it (ISO 8601)
    given       where it came from: by ("smtp", "forward", "bounce"), and time, client and pid, or message, qp and
                recipient of what it came from
    origin      what its topmost Received line with `from` says, while it is in the queue
    deliveries  tries, each with recipient, channel ("local", "remote"), start, end, verdict ("success", "failure",
                "deferral", "running", "cut off"), text as logged, qp of what was forwarded
    bounces     time and qp of each; qp is null if it was thrown away
    next        tries that come: time, channel, recipients
    gives_up    after this time a try that fails is the last one

and one with the state "refused" time, client, pid, sender, recipient (null: the sender was refused) and text. All of
them are always there, null for what is not known.

Exit status:
    0    something was told
    1    nothing is known of such a message
    100  wrong usage
    111  a log or the queue could not be read; all else was told

Environment:
    QMAILHOME          the home, /var/qmail by default
    SVDIR, QMAILHOME   where services are looked for
    TZ                 the time zone

Files:
    control/trace, control/queuelifetime
    queue/{todo,info,local,remote,bounce,mess}

See also: svlog, qmail-qread, qmail-send, qmail-smtpd, qmail-remote
"""

from __future__ import annotations

from mta.why.logs import Stories
from mta.why.query import Query
from mta.why.queue import Queue
from mta.why.story import Story, of_queue
from supervise.command import Argv, command, say
from supervise.errors import Temporary, Usage
from supervise.fd import write_all
from supervise.history.complaints import Complaints
from supervise.history.directory import logs_in, select, unable
from supervise.history.moment import moment
from supervise.history.place import Places
from supervise.history.svlog import merged, number
from supervise.history.view import text_of
from supervise.options import anywhere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mta.why.messages import Message
    from mta.why.record import Record
    from mta.why.text import Text

WORDS = {b"stories": b"n:", b"since": b"since:", b"utc": b"u", b"json": b"json"}
MOST = 10  # stories that are told by default
NOTHING = 1  # exit code when there is nothing to tell


@command(b"qmail-why", b"[ -u ] [ -n stories ] [ --since when ] [ --json ] number | address [ service | dir ... ]")
def main(argv: Argv) -> int:
    request, complain = Request(argv), Complaints(b"qmail-why")
    stories = read_logs(request, complain)
    queue = open_queue(complain)
    messages = [*everything(request.query, stories.told, set()), *only_queued(request.query, stories, queue, complain)]
    printed = tell(request, stories, [Story(message, request.query, queue) for message in messages])
    if not printed and not complain.code:
        say(b"qmail-why: nothing is known of such a message")
        return NOTHING
    return complain.code


class Request:
    """What the command line asks for.

    Raises:
        Usage: it is wrong.
        Permanent: the moment is none.
    """

    def __init__(self, argv: Argv) -> None:
        found, words = anywhere(argv, b"n:u", WORDS)
        given = dict(found)
        self.most = number(given.get(b"n", b"%d" % MOST))
        if not words or not self.most:
            raise Usage
        self.query, self.places = Query(words[0]), words[1:]
        self.utc, self.json = b"u" in given, b"json" in given
        self.since = moment(given[b"since"], self.utc) if b"since" in given else b""


def read_logs(request: Request, complain: Complaints) -> Stories:
    """What the logs tell."""
    names: list[bytes] = []
    histories = []
    for at, folder in Places(request.places, names, complain).new():
        try:
            histories.append((at, select(logs_in(folder, complain), request.since, b"")))
        except OSError as error:
            complain(unable(folder, error))
    stories = Stories(request.query, request.most)
    for entry in merged(histories, complain):
        if entry[0] >= request.since:
            stories.take(entry[0], entry[1], text_of(entry))
    return stories


def open_queue(complain: Complaints) -> Queue | None:
    """The queue, if we may read it."""
    try:
        return Queue()
    except Temporary as trouble:
        complain(trouble.line)
        return None


def everything(query: Query, told: Iterable[Message], seen: set[Message]) -> Iterator[Message]:
    """The messages that are told, each with what came of it behind it, but for those that are *seen* already."""
    for message in told:
        if message not in seen:
            seen.add(message)
            yield message
            yield from everything(query, query.children(message), seen)


def only_queued(query: Query, stories: Stories, queue: Queue | None, complain: Complaints) -> Iterator[Message]:
    """The messages that are asked for of which only the queue tells that they are."""
    if queue is None:
        return
    known = {message.number for message in stories.told if not message.end}
    try:
        for number in queue.candidates(query.number):
            waiting = None if number in known else queue.look(number)
            if waiting:
                message = stories.under_way(number) or of_queue(waiting)
                if query.wants(message) or any(map(query.names_address, waiting.everybody())):
                    known.add(number)
                    stories.meet(message)
                    yield message
    except Temporary as trouble:
        complain(trouble.line)


def tell(request: Request, stories: Stories, told: list[Story]) -> bool:
    """Print it; whether that was anything."""
    form: Text | Record
    if request.json:
        from mta.why.record import Record

        form = Record(request.utc)
    else:
        from mta.why.text import Text

        form = Text(request.utc)
    pieces = [form.refusal(refusal) for refusal in stories.refusals] + [form.story(story) for story in told]
    write_all(1, (b"" if request.json else b"\n").join(pieces))
    if stories.passed_over:
        say(b"qmail-why: older ones, not shown: %d (-n shows more)" % stories.passed_over)
    return bool(pieces)
