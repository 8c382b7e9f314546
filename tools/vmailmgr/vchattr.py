"""vchattr - change what holds for users of a virtual domain

Usage: vchattr [ --quiet ] -c | -e | -E | -p | -q | -Q | -z value user ...

vchattr changes one attribute of each user of the domain whose home HOME is. A number may be - for no limit.

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
    1    not all are changed; or wrong usage
    111  trouble with a file

See also: vadduser, vpasswd, vchforwards
"""

from __future__ import annotations

from supervise.command import Argv, command
from supervise.errors import Usage
from tools.vmailmgr.domain import Managing, Refused
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
    if len(chosen) != 1 or len(managing.words) < 2:
        raise Usage
    value = meaning(managing, chosen[0], managing.words[0])
    return managing.counted([change(managing, chosen[0], value, user) for user in managing.words[1:]])


def meaning(managing: Managing, attribute: str, value: bytes) -> object:
    """What *value* is for this *attribute*.

    Raises:
        Refused: it can be none; said.
    """
    if attribute == "personal":
        if b"\0" in value or b"\n" in value:
            raise managing.refused(b"error: that is no single line")
        return value
    if attribute == "enabled" and value not in (b"0", b"1"):
        raise managing.refused(b"error: enabled needs 0 or 1 and not " + value)
    try:
        found = number(value)
    except ValueError:
        raise managing.refused(b"error: not a number: " + value) from None
    return bool(found) if attribute == "enabled" else found


def change(managing: Managing, attribute: str, value: object, user: bytes) -> bool:
    """Give *attribute* of *user* this *value*; whether that could be done, which is said."""
    try:
        managing.domain.change(user, attribute, value)
    except Refused as refused:
        managing.complain(b"error changing the attribute for user '%s':\n  %s" % (user, refused.line))
        return False
    managing.tell(b"attribute for user '%s' successfully changed." % user)
    return True
