"""qmail-setup - lay out a home, check it, mend it

Usage: qmail-setup [--from old] [--users] [--host name] [--address ip] [--port number] [--to address]
                   [--delivery way] [dir]
       qmail-setup --check [dir]
       qmail-setup --fix [--users] [--host name] [--address ip] [--port number] [dir]

qmail-setup makes dir a home: its folders with their owners and modes, the empty queue, the first control
files for a host of the given name (by default this machine's), service directories for submission, queue
and SMTP, and the rules for SMTP clients.  dir is by default what QMAILHOME names, else /var/qmail.  What is
already there is left as it is, so running it again does no harm.

Run by root, it lays out root's instance, whose processes run as the qmail users.  Run by anybody else, it
lays out an instance in which everything belongs to that user; for root too, such a home stays that user's.

With --from, the home is laid out to go on where another qmail's stopped: old is its home, which may be that of
the original, with a queue split into any number of parts.  qmail-setup takes over what is in control, users and
alias, and every message in the queue, each with its age, its sender, the recipients that wait and those that are
done, the moment of its next try, and what has bounced so far.  Messages get new numbers.  old is only read.  Its
qmail-send must not run, and what brings mail in there should not either; nor may the qmail-send of dir.  Old and new
can have the same name one after the other: mv /var/qmail /var/qmail.old; qmail-setup --from /var/qmail.old

What cannot be taken over, such as a message that was not accepted yet, or one whose files are damaged, is left in
old, and a line names it.  When qmail-setup was killed, or mail has come into the old queue since, run the same
command again: what was taken over is noted in queue/taken, and nothing is taken twice.  When old is gone, that
folder may go too.

Root takes over only a home whose folders, those of its queue included, belong to root and the users of qmail; copies of
control and users are root's, and nobody else may write them.

Options:
    --from     take over the home old
    --users    make the groups and users that are missing on this machine (as root)
    --host     the host's name, for control/me and its like; a new home also asks for what the originals did not
               have, by control/recipients, control/smtpcapabilities and control/trace: see qmail-smtpd
    --address  the address on which SMTP is to be served: by default 0, every IPv4 address,
               and in a plain user's home 127.0.0.1
    --port     the port for SMTP: by default 25, in a plain user's home 2525
    --to       where mail to postmaster, mailer-daemon and root goes; by default into alias/Maildir,
               and with --from where it went before
    --delivery what happens to mail of users without a .qmail file: home, into ./Mailbox; proc, to procmail;
               binm1, binm2 or binm3, to /usr/libexec/mail.local, /bin/mail -r or /bin/mail -f.  With +df at
               its end (home+df, ...), dot-forward looks into .forward first.  It replaces what
               control/defaultdelivery says; without that file, mail goes into ./Maildir/.  For a service
               that runs already: svc -t dir/service/qmail-send
    --check    change nothing; print a line for each piece that is missing, damaged or has another
               owner or mode than it should have, and for each file in the queue that belongs to no message
    --fix      the same, and mend it; a run script that is missing is written anew, as the other options say

Exit status:
    0    done; with --check: nothing was found; with --fix: everything found was mended
    1    with --check or --fix: something is (still) wrong; with --from: something was left in old
    100  wrong usage; a home's name with a colon
    111  it cannot be done now; with --from: qmail-send runs here or there

Environment:
    QMAILHOME  the home, when dir is not given

See also: qmail-showctl, svscan
"""

from __future__ import annotations

import os
import socket

from mta.home import enter, path, plain, step_down
from mta.setup.controls import additions, first_controls, write_controls
from mta.setup.delivery import WAYS, choose, require
from mta.setup.inspect import findings
from mta.setup.messages import illegal_messages, known_messages, message_pieces, strangers
from mta.setup.plan import ALIASES, FOLDER, Piece, frame, pieces
from mta.setup.reach import closed
from mta.setup.services import SERVICES, lay_services
from mta.setup.takeover import be_alone, differences, refuse_strangers, stand_still, take_queue, take_settings
from mta.setup.users import add_users
from supervise.account import become
from supervise.command import Argv, command
from supervise.errors import Permanent, Temporary, Usage
from supervise.fd import write_all
from supervise.files import announced
from supervise.program import spawn

USAGE = b"[--users] [--check | --fix | --from old] [--host name] [--address ip] [--port number] [--to address]"
USAGE += b" [--delivery way] [dir]"
SHOWN = bytes(ord("?") if byte < 32 or byte == 127 else byte for byte in range(256))


@command(b"qmail-setup", USAGE)
def main(argv: Argv) -> int:
    wish = Wish(argv[1:])
    os.environb[b"QMAILHOME"] = os.path.abspath(wish.home or path())
    if b":" in path():
        raise Permanent(path() + b": a colon cannot be part of PATH, so it cannot be part of a home's name")
    os.umask(0o022)
    step_down()
    if not wish.check and (obstacles := closed()):
        raise Temporary(obstacles[0])
    if wish.delivery:
        require(wish.delivery)
    if wish.users:
        tell(add_users())
    if wish.check or wish.fix:
        return inspect(wish)
    if wish.old:
        return take_over(wish)
    lay_frame()
    tell(write_controls(additions() | first_controls(wish.host)))
    tell(lay_aliases(wish.to))
    serve(wish)
    return 0


class Wish:
    """The command line."""

    def __init__(self, words: list[bytes]) -> None:
        self.users = self.check = self.fix = False
        self.home = self.to = self.old = self.delivery = b""
        self.host = os.fsencode(socket.getfqdn())
        self.address, self.port = b"", 0
        while words:
            word = words.pop(0)
            if word in (b"--users", b"--check", b"--fix"):
                setattr(self, os.fsdecode(word[2:]), True)
            elif word in (b"--host", b"--address", b"--to") and words:
                setattr(self, os.fsdecode(word[2:]), words.pop(0))
            elif word == b"--from" and words:
                self.old = os.path.abspath(words.pop(0))
            elif word == b"--delivery" and words and words[0] in WAYS:
                self.delivery = words.pop(0)
            elif word == b"--port" and words and words[0].isdigit():
                self.port = int(words.pop(0))
            elif word.startswith(b"-") or self.home:
                raise Usage
            else:
                self.home = word
        looks = self.check or self.fix
        if (self.check and (self.fix or self.users)) or (looks and (self.old or self.delivery)):
            raise Usage
        if self.users and plain():
            raise Temporary(b"only root can make users")


def lay_frame() -> None:
    """Make the folders and the empty queue, and say so."""
    if mend(frame()):
        tell([b"laid out " + path()])


def take_over(wish: Wish) -> int:
    """Make the home and let it go on where the old one stopped; the exit code."""
    old = wish.old
    refuse_strangers(old)
    still = [stand_still(old)]
    lay_frame()
    still.append(be_alone())
    left = take_settings(old)
    tell(left)
    tell(write_controls({b"me": wish.host}))  # what else is missing was left to its default there
    if wish.to:
        tell(lay_aliases(wish.to))
    serve(wish)
    tell(differences())
    count, broken = take_queue(old)
    tell(broken)
    tell([b"took over %d messages from %s" % (count, old)])
    for mutex in still:
        os.close(mutex)
    return 1 if left or broken else 0


def serve(wish: Wish) -> None:
    """Give the home what is missing of its services."""
    address, port = (b"127.0.0.1", 2525) if plain() else (b"0", 25)
    tell(lay_services(wish.address or address, wish.port or port))
    if wish.delivery:
        tell(choose(wish.delivery))
    compile_rules()
    mend(pieces(SERVICES))


def mend(pieces: list[Piece]) -> bool:
    """Put right what differs; whether anything did."""
    return bool([line for piece in pieces for line in findings(piece, mend=True)])


def lay_aliases(to: bytes) -> list[bytes]:
    """Give the addresses that every mail system must have a place; a line for each."""
    written = []
    for name in ALIASES:
        file = path(b"alias", b".qmail-" + name)
        if os.path.lexists(file):
            continue
        with announced(file, file + b".new") as fd:
            write_all(fd, b"&" + to + b"\n" if to else b"./Maildir/\n")
        written.append(b"wrote alias/.qmail-" + name)
    maildir = path(b"alias", b"Maildir")
    if not to and not os.path.lexists(maildir):
        owner = os.stat(path(b"alias"))
        make_maildir(maildir, owner.st_uid, owner.st_gid)
        written.append(b"made alias/Maildir")
    return written


def make_maildir(maildir: bytes, uid: int, gid: int) -> None:
    """Make a Maildir as the user who is to own it: nothing that root does there by name could be led elsewhere."""

    def turn() -> None:
        os.umask(0o077)
        if os.geteuid() != uid:
            become(uid, gid)

    _, status = os.waitpid(spawn([path(b"bin", b"maildirmake"), maildir], prepare=turn), 0)
    if status:
        raise Temporary(b"unable to make " + maildir)


def compile_rules() -> None:
    """Compile the rules for SMTP clients, when there are no compiled ones yet."""
    folder = path(b"service", b"qmail-smtpd")
    if os.path.lexists(folder + b"/tcp.smtp.cdb"):
        return
    fd = os.open(folder + b"/tcp.smtp", os.O_RDONLY | os.O_CLOEXEC)
    argv = [path(b"bin", b"tcprules"), folder + b"/tcp.smtp.cdb", folder + b"/tcp.smtp.tmp"]
    _, status = os.waitpid(spawn(argv, {0: fd}), 0)
    os.close(fd)
    if status:
        raise Temporary(b"unable to compile " + folder + b"/tcp.smtp")


def inspect(wish: Wish) -> int:
    """Print what is wrong with the home, and mend it when that is wished; the exit code."""
    found = faults()
    tell(found)
    if found and wish.fix:
        mend(frame())
        tell(write_controls({b"me": wish.host}))
        serve(wish)
        enter(b"queue")
        mend([piece for number in known_messages() for piece in message_pieces(number)])
        found = faults()
        tell(found)
    return 1 if found else 0


def faults() -> list[bytes]:
    """What is wrong with the home and with the messages in its queue, a line each."""
    wrong = closed() + [line for piece in pieces(SERVICES) for line in findings(piece)]
    if not all(os.path.isdir(path(piece.path)) for piece in frame() if piece.kind == FOLDER):
        return wrong  # a queue without its folders is not one to look into
    enter(b"queue")
    files = [line for number in known_messages() for piece in message_pieces(number) for line in findings(piece)]
    wrong += [line for line in files if not line.endswith(b": missing")]  # it has just been delivered
    return [*wrong, *strangers(), *illegal_messages()]


def tell(lines: list[bytes]) -> None:
    """Print *lines*, of which names in somebody else's folders may be parts."""
    for line in lines:
        write_all(1, line.translate(SHOWN) + b"\n")
