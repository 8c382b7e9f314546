"""Recipients looked up by qmail-smtpd, beside what delivery says of them."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable

import pytest
from commands import run
from deliveries import Instance

KNOWN, UNKNOWN = b"250 ok", b"550 sorry, no mailbox here by that name (#5.1.1)"
CONTROL = {
    "me": "here", "recipients": "1", "virtualdomains": "virtual.example:joe-v\n.sub.example:nobody\nlast@here:joe-none",
    "percenthack": "gate.example", "locals": "here\ngate.example",
}  # fmt: skip


@pytest.fixture(params=["plain", pytest.param("rooted", marks=pytest.mark.root)])
def instance(request: pytest.FixtureRequest) -> Instance:
    """An instance of each kind, with lists and aliases."""
    found: Instance = request.getfixturevalue(request.param)
    for name, text in CONTROL.items():
        (found.home / "control" / name).write_text(text + "\n")
    for name in "list", "a-default", "v-sales", "d:ot":
        found.write(f".qmail-{name}", "./Mailbox\n")
    (found.home / "alias/.qmail-postmaster").write_text("&joe\n")
    (found.home / "alias/.qmail-fast-default").write_text("&joe\n")
    found.own()
    return found


def server_of(instance: Instance) -> int | None:
    """The user that qmail-smtpd runs as."""
    return pwd.getpwnam("qmaild").pw_uid if instance.rooted else instance.runner


def answers(instance: Instance, *recipients: str, **env: str | None) -> list[bytes]:
    """What qmail-smtpd says to RCPT for each of *recipients*."""
    text = "MAIL FROM:<>\r\n" + "".join(f"RCPT TO:<{recipient}>\r\n" for recipient in recipients) + "QUIT\r\n"
    variables = {"RELAYCLIENT": None, "DATABYTES": None, "RECIPIENTS": None, **instance.env, **env}
    done = run("qmail-smtpd", input=text.encode(), env=variables, user=server_of(instance))
    assert (done.code, done.err) == (0, b"")
    return done.out.split(b"\r\n")[2:-2]


SAME = [  # a recipient; as qmail-lspawn gets it; whether there is a mailbox
    ("joe@here", b"joe@here", True),
    ("JOE@HERE", b"JOE@HERE", True),
    ("joe", b"joe@here", True),
    ("joe-list@here", b"joe-list@here", True),
    ("Joe-LIST@here", b"Joe-LIST@here", True),
    ("joe-none@here", b"joe-none@here", False),
    ("joe-@here", b"joe-@here", False),
    ("joe-a-b-c@here", b"joe-a-b-c@here", True),
    ("joe-a@here", b"joe-a@here", False),
    ("joe-D.ot@here", b"joe-D.ot@here", True),
    ("joes@here", b"joes@here", False),
    ("nobody-knows@here", b"nobody-knows@here", False),
    ("root@here", b"root@here", False),
    ("postmaster@here", b"postmaster@here", True),
    ("fast-lane@here", b"fast-lane@here", True),
    ("../joe/list@here", b"../joe/list@here", False),
    ("sales@virtual.example", b"joe-v-sales@virtual.example", True),
    ("other@virtual.example", b"joe-v-other@virtual.example", False),
    ("x@y.sub.example", b"nobody-x@y.sub.example", False),
    ("joe-list%here@gate.example", b"joe-list@here", True),
    ("joe-none%here@gate.example", b"joe-none@here", False),
    ("@here", b"@here", True),
]


def test_the_answer_is_that_of_delivery(instance: Instance) -> None:
    expected = [KNOWN if known else UNKNOWN for _, _, known in SAME]
    assert answers(instance, *(recipient for recipient, _, _ in SAME)) == expected
    with instance.lspawn() as spawning:
        reports = [spawning.deliver(address) for _, address, _ in SAME]
    bounced = [report.startswith(b"DSorry, no mailbox here by that name.") for report in reports]
    assert bounced == [not known for _, _, known in SAME], reports


def test_mail_for_other_hosts_is_not_looked_at(instance: Instance) -> None:
    assert answers(instance, "nobody@elsewhere", "nobody@sub.example") == [KNOWN, KNOWN]


def test_only_who_asks_for_it_has_recipients_looked_up(instance: Instance) -> None:
    assert answers(instance, "no-body@here", RECIPIENTS="") == [KNOWN]
    (instance.home / "control/recipients").unlink()
    assert answers(instance, "no-body@here") == [KNOWN]
    assert answers(instance, "no-body@here", RECIPIENTS="1") == [UNKNOWN]


def test_what_is_put_behind_recipients_counts(instance: Instance) -> None:
    assert answers(instance, "no-body@here", RELAYCLIENT="@elsewhere") == [KNOWN]
    assert answers(instance, "no-body", RELAYCLIENT="@here") == [UNKNOWN]


def test_a_trace_has_who_was_refused(instance: Instance) -> None:
    (instance.home / "control/trace").write_text("1\n")
    text = b"MAIL FROM:<>\r\nRCPT TO:<no-body@here>\r\nQUIT\r\n"
    done = run("qmail-smtpd", input=text, env=instance.env, user=server_of(instance))
    assert done.err.endswith(b" refused: from <> to <no-body@here>: 550_sorry,_no_mailbox_here_by_that_name_(#5.1.1)\n")


def test_hosts_that_we_take_no_mail_for_are_refused_first(instance: Instance) -> None:
    (instance.home / "control/rcpthosts").write_text("other\n")
    (reply,) = answers(instance, "no-body@here")
    assert reply.startswith(b"553 sorry, that domain isn't in my list")


# -- in doubt ------------------------------------------------------------------------------


def damaged_users(instance: Instance) -> None:
    (instance.home / "users/cdb").write_bytes(b"x" * 4000)


def odd_users(instance: Instance) -> None:
    line = "=no-body:no:body:0:/:::\n"
    instance.assign("joe", instance.owner, instance.joe, line)


def unreadable_locals(instance: Instance) -> None:
    (instance.home / "control/locals").unlink()
    (instance.home / "control/locals").mkdir()


def bad_mask(instance: Instance) -> None:
    (instance.home / "control/patrn").write_text("junk\n")


def writable_home(instance: Instance) -> None:
    (instance.home / "alias").chmod(0o777)


def edited_home(instance: Instance) -> None:
    (instance.home / "alias").chmod(0o1755)


def missing_home(instance: Instance) -> None:
    (instance.home / "alias").rename(instance.home / "elsewhere")


def home_that_is_none(instance: Instance) -> None:
    missing_home(instance)
    (instance.home / "alias").write_text("")


def writable_file(instance: Instance) -> None:
    file = instance.home / "alias/.qmail-no-body"
    file.write_text("&joe\n")
    file.chmod(0o666)


def own_qmail_local(instance: Instance) -> None:
    instance.program("qmail-local", "exit 0")


def own_qmail_getpw(instance: Instance) -> None:
    instance.program("qmail-getpw", "exit 0")


@pytest.mark.parametrize(
    "doubt",
    [
        *(damaged_users, odd_users, unreadable_locals, bad_mask, writable_home, edited_home, missing_home),
        *(home_that_is_none, writable_file, own_qmail_local, own_qmail_getpw),
    ],
)
def test_what_delivery_would_not_bounce_for_sure_is_taken(
    instance: Instance, doubt: Callable[[Instance], None]
) -> None:
    assert answers(instance, "no-body@here") == [UNKNOWN]
    doubt(instance)
    assert answers(instance, "no-body@here") == [KNOWN]


@pytest.mark.root
def test_a_home_that_we_may_not_enter_says_nothing(rooted: Instance) -> None:
    """Delivery, which is the user, sees that there is no such list."""
    for name, text in CONTROL.items():
        (rooted.home / "control" / name).write_text(text + "\n")
    rooted.own()
    rooted.joe.chmod(0o750)
    assert answers(rooted, "joe-none@here", "joe@here") == [KNOWN, KNOWN]
    assert rooted.once(b"joe-none@here").startswith(b"DSorry, no mailbox here by that name.")
    rooted.joe.chmod(0o711)  # it may be entered, and what is not there is not there
    assert answers(rooted, "joe-none@here") == [UNKNOWN]
    rooted.write(".qmail-none", "./Mailbox\n", 0o600)  # there is something, whatever it says
    assert answers(rooted, "joe-none@here") == [KNOWN]


@pytest.mark.root
def test_users_of_the_password_file_are_found(rooted: Instance) -> None:
    for name, text in CONTROL.items():
        (rooted.home / "control" / name).write_text(text + "\n")
    owners = [user for user in pwd.getpwall() if user.pw_uid and os.path.isdir(user.pw_dir) and len(user.pw_name) < 32]
    user = next((user for user in owners if os.stat(user.pw_dir).st_uid == user.pw_uid), None)
    if user is None:
        pytest.skip("no user of this machine owns a home")
    rooted.own()
    assert answers(rooted, f"{user.pw_name}@here", f"no-{user.pw_name}@here") == [KNOWN, UNKNOWN]
