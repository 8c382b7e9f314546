"""vchattr - change what holds for users of a virtual domain

Usage: vchattr [ --quiet ] -c | -e | -E | -p | -q | -Q | -z value user ...

vchattr changes one attribute of each user of the domain whose home HOME is. A number may be - for no limit. Options
stand before value; of several the last one counts. To change two attributes, give the command twice.

Limits need vcheckquota, run by the hook vdeliver-predeliver; only the user's end is up to vdeliver itself.

Options:
    -c, --msgcount   how many messages the mailbox may have
    -e, --expiry     when the user has an end, in seconds since 1970
    -E, --enabled    1: mail goes into the mailbox; 0: it does not, and what is there can still be read
    -p, --personal   what is said of the user
    -q, --softquota  bytes that the mailbox should not have more than
    -Q, --hardquota  bytes that it may not have more than
    -z, --msgsize    bytes of the largest message
    --quiet          say nothing

Exit status:
    0    done
    1    wrong usage; nothing is changed
    N    so many users, at most 100, are not changed
    111  trouble with a file

See also: vadduser, vpasswd, vchforwards, vcheckquota
"""

from __future__ import annotations

from supervise.command import Argv, command
from supervise.errors import Usage
from tools.vmailmgr.domain import UNKNOWN, Managing, Refused
from tools.vmailmgr.settings import number

ATTRIBUTES = {
    b"c": "msgcount",
    b"e": "expiry",
    b"E": "enabled",
    b"p": "personal",
    b"q": "softquota",
    b"Q": "hardquota",
    b"z": "msgsize",
}
USAGE = b"[ --quiet ] -c | -e | -E | -p | -q | -Q | -z value user ..."


@command(b"vchattr", USAGE, usage_code=1)
def main(argv: Argv) -> int:
    managing = Managing(
        b"vchattr", argv, b"".join(ATTRIBUTES), {name.encode(): letter for letter, name in ATTRIBUTES.items()}
    )
    chosen = [ATTRIBUTES[letter] for letter, _ in managing.chosen if letter in ATTRIBUTES]
    if len(managing.words) < 2:
        raise Usage
    if not chosen:
        raise managing.refused(b"Must select an attribute to change.")
    value, *users = managing.words
    for user in users:
        if user.startswith(b"-") and managing.domain.table.find(user) is None:
            raise managing.refused(b"Options stand before the value: " + user)
    return min(100, sum(not change(managing, chosen[-1], value, user.lower()) for user in users))


def meaning(attribute: str, value: bytes) -> object:
    """What *value* is for this *attribute*.

    Raises:
        Refused: it can be none.
    """
    if attribute == "personal":
        if b"\0" in value or b"\n" in value:
            raise Refused(b"Not a single line")
        return value
    try:
        found = number(value)
    except ValueError:
        raise Refused(b"Invalid number") from None
    return found != 0 if attribute == "enabled" else found


def change(managing: Managing, attribute: str, value: bytes, user: bytes) -> bool:
    """Give *attribute* of *user* this *value*; whether that could be done, which is said."""
    try:
        managing.domain.existing(user, UNKNOWN)
        managing.domain.change(user, attribute, meaning(attribute, value))
    except Refused as refused:
        managing.complain(b"error changing the attribute for user '%s':\n  %s" % (user, refused.line))
        return False
    managing.tell(b"attribute for user '%s' successfully changed." % user)
    return True
