"""vadduser - add a user to a virtual domain

Usage: vadduser [ -DP ] [ -c | -e | -q | -Q | -z number ] [ -d folder ] [ -f address ] [ -p text ] user [ alias ... ]

vadduser makes a mailbox for user in the domain whose home HOME is, and has the user in the domain's table, each
alias with it as one that forwards to user. The password is asked for twice on a terminal, else it is the first line
of descriptor 0. It is stored as this machine hashes new ones; the original always uses MD5.

The folder of the mailbox must be inside the domain's home, nobody else's, neither above nor below anybody else's, and
missing or empty, without .. in its path: a new user never finds the mail of another, who may still have the folder
after vrename. One without mailbox, and each alias, gets an empty folder as in the original, or none if that cannot be.

As all commands that manage a domain it is for the owner of HOME, whom root becomes first, with no way back.

Limits need vcheckquota, run by the hook vdeliver-predeliver; only the user's end is up to vdeliver itself.

Options:
    -c, --msgcount     how many messages the mailbox may have
    -d, --directory    where the mailbox is, in the domain's home; by default in the folder that user-dir names
    -D, --no-mailbox   no mailbox
    -e, --expiry       seconds that the user lives
    -f, --forward      forward to this address, too; may be given several times
    -p, --personal     what is said of the user
    -P, --no-password  no password
    -q, --softquota    bytes that the mailbox should not have more than
    -Q, --hardquota    bytes that it may not have more than
    -z, --msgsize      bytes of the largest message
    --password         what is stored as the password: a hash
    --quiet            say nothing

A number that is negative is no limit; 0 is what the settings default-msgcount and so on say, as without the option.

Exit status:
    0    done
    1    not done; or wrong usage
    111  trouble with a file; nothing is added

See also: vdeluser, vdeliver, vcheckquota
"""

from __future__ import annotations

from supervise.command import Argv, command, say
from supervise.errors import Usage
from tools.vmailmgr.domain import Managing, Refused, Taken
from tools.vmailmgr.password import new_password
from tools.vmailmgr.settings import number

LIMITS = {b"c": "msgcount", b"e": "expiry", b"q": "softquota", b"Q": "hardquota", b"z": "msgsize"}
WORDS = {
    b"directory": b"d:",
    b"forward": b"f:",
    b"no-mailbox": b"D",
    b"no-password": b"P",
    b"password": b"password:",
    b"personal": b"p:",
    **{name.encode(): letter + b":" for letter, name in LIMITS.items()},
}
USAGE = b"[ -DP ] [ -c | -e | -q | -Q | -z number ] [ -d folder ] [ -f address ] [ -p text ] user [ alias ... ]"


@command(b"vadduser", USAGE, usage_code=1)
def main(argv: Argv) -> int:
    managing = Managing(b"vadduser", argv, b"DPc:d:e:f:p:q:Q:z:", WORDS)
    if not managing.words:
        raise Usage
    domain, (user, *aliases) = managing.domain, managing.words
    given = dict(managing.chosen)
    limits = [(LIMITS[letter], limit(value)) for letter, value in managing.chosen if letter in LIMITS]
    if domain.table.find(user) is not None:
        say(b"vadduser: error: user '%s' already exists." % user)
        return 1
    password = given.get(b"password")
    if password is None:
        password = b"*" if b"P" in given else new_password(b"vadduser")
    entry = domain.new(user, password, b"./" + given.get(b"d", domain.directory(user.lower())), b"D" not in given)
    entry.personal = given.get(b"p", b"")
    entry.forwards = [value for letter, value in managing.chosen if letter == b"f"]
    for name, value in limits:
        if value != 0:
            setattr(entry, name, value + (entry.ctime or 0) if value and name == "expiry" else value)
    try:
        for forward in entry.forwards:
            domain.check_forward(forward)
    except Refused as refused:
        raise managing.refused(b"invalid forwarding address:\n  " + refused.line) from None
    try:
        domain.add(entry)
    except Refused as refused:
        raise managing.refused(b"error adding the virtual user:\n  " + refused.line) from None
    managing.tell(b"user '%s' successfully added" % user)
    for alias in aliases:
        add_alias(managing, user, alias.lower())
    return 0


def limit(text: bytes) -> int | None:
    """The number that an option has.

    Raises:
        Usage: it is none; said.
    """
    try:
        return number(text)
    except ValueError:
        say(b"vadduser: invalid integer: " + text)
        raise Usage from None


def add_alias(managing: Managing, user: bytes, alias: bytes) -> None:
    """Have *alias* forward to *user*; when that cannot be done, it is said."""
    domain = managing.domain
    try:
        domain.add(domain.alias(alias, user.lower(), domain.directory(alias)))
    except Taken:
        managing.complain(b"warning: alias '%s' already exists." % alias)
    except Refused as refused:
        managing.complain(b"warning: adding the alias '%s' failed:\n  %s" % (alias, refused.line))
