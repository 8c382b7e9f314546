"""What happens to mail of users without a .qmail file is chosen with qmail-setup --delivery."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import BIN, run
from instance import HOST, NOBODY, Box, Instance
from until import until

from mta.setup.delivery import BINMAIL, WAYS, instructions

KINDS = [pytest.param(False, id="plain"), pytest.param(True, id="root", marks=pytest.mark.root)]

USER = NOBODY if os.geteuid() == 0 else None  # who runs commands on a plain user's home, if not we

# Programs that a machine may lack.  A mailer writes down who it was started for, and the message.
MAILER = '#!/bin/sh\n{ echo "started with: $*"; cat; } > "$HOME/mailed.new" && mv "$HOME/mailed.new" "$HOME/mailed"\n'
STAND_INS = {
    "procmail": MAILER,
    "binmail": MAILER,
    "preline": """#!/bin/sh
        line=$UFLINE; [ "$1" != -f ] || { shift; line=; }
        { printf '%s%s%s' "$line" "$RPLINE" "$DTLINE"; cat; } | "$@"
        """,
    "dot-forward": """#!/bin/sh
        [ -e "$1" ] || exit 0
        qmail-inject -f "$SENDER" $(cat "$1") && exit 99 || exit 111
        """,
}


@pytest.fixture(scope="module", params=KINDS)
def mail(request: pytest.FixtureRequest) -> Iterator[Instance]:
    """A running system with the programs that are needed in its bin."""
    if request.param and os.geteuid() != 0:
        pytest.skip("needs root")
    system = Instance(request.param)
    programs = system.home / "bin"
    programs.unlink()
    programs.mkdir()
    programs.chmod(0o755)
    for script in BIN.iterdir():
        (programs / script.name).symlink_to(script)
    for name, text in STAND_INS.items():
        if not (BIN / name).exists():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
    with system:
        yield system


def restart(mail: Instance) -> None:
    """Let qmail-send be started anew."""
    before = mail.pid("qmail-send")
    mail.svc("-t", "qmail-send")
    until(lambda: mail.pid("qmail-send") not in (0, before), what="another qmail-send")


def mailed(box: Box, text: str) -> str:
    """Wait until the mailer was started for *box*; what it wrote down."""
    file = box.home / "mailed"
    until(lambda: file.exists() and text in file.read_text(), what=f"{text!r} in {file}")
    content = file.read_text()
    file.unlink()
    return content


def check_forward(mail: Instance, way: str) -> None:
    """With +df, what is in .forward comes first; without, it is never looked at."""
    forward = mail.sue.write(".forward", f"postmaster@{HOST}\n")
    text = mail.send(mail.sue.address)
    if way.endswith("+df"):
        mail.alias.received(text)
    mail.wait_until_empty()
    forward.unlink()
    found = [(mail.sue.home / name).exists() for name in ("Mailbox", "mailed")]
    assert any(found) != way.endswith("+df")
    for name in "Mailbox", "mailed":
        (mail.sue.home / name).unlink(missing_ok=True)


@pytest.mark.parametrize("way", ["home", "home+df"])
def test_home_delivers_to_mailbox(mail: Instance, way: str) -> None:
    assert f"wrote control/defaultdelivery: {way}" in choose(mail, way)
    restart(mail)
    text = mail.send(mail.joe.address)
    until(lambda: (mail.joe.home / "Mailbox").exists() and text in (mail.joe.home / "Mailbox").read_text())
    (mail.joe.home / "Mailbox").unlink()
    check_forward(mail, way)


@pytest.mark.parametrize("way", ["proc", "proc+df"])
def test_proc_delivers_to_procmail(mail: Instance, way: str) -> None:
    assert f"wrote control/defaultdelivery: {way}" in choose(mail, way)
    restart(mail)
    content = mailed(mail.joe, mail.send(mail.joe.address))
    assert content.startswith("started with: \nFrom peer@far.example ")
    assert f"Delivered-To: {mail.joe.address}\n" in content
    check_forward(mail, way)


@pytest.mark.parametrize("way", [way.decode() for way in WAYS if way.startswith(b"binm")])
def test_binm_delivers_to_binmail_with_the_sender_and_the_user(mail: Instance, way: str) -> None:
    program, option = BINMAIL[way.removesuffix("+df").encode()]
    stand_in = os.fsencode(mail.home / "bin/binmail")
    mail.control("defaultdelivery", instructions(way.encode()).replace(program, stand_in).decode())
    restart(mail)
    content = mailed(mail.joe, mail.send(mail.joe.address))
    assert content.startswith(f"started with: {option.decode()} peer@far.example -d joe\nReturn-Path: <peer@far.ex")
    content = mailed(mail.joe, mail.send(mail.joe.address, sender=""))
    assert content.startswith(f"started with: {option.decode()} MAILER-DAEMON -d joe\n")
    check_forward(mail, way)


def test_without_a_choice_mail_goes_to_a_maildir(mail: Instance) -> None:
    for text in None, "":
        (mail.home / "control/defaultdelivery").unlink(missing_ok=True)
        if text is not None:
            (mail.home / "control/defaultdelivery").touch()
        restart(mail)
        mail.joe.received(mail.send(mail.joe.address))


def choose(mail: Instance, way: str) -> str:
    return mail.run("qmail-setup", "--delivery", way, mail.home).out.decode()


# -- without a running system --------------------------------------------------------------------


def test_all_ways_of_the_originals_are_there() -> None:
    plain = [b"home", b"proc", b"binm1", b"binm2", b"binm3"]
    assert sorted(WAYS) == sorted([*plain, *(way + b"+df" for way in plain)])
    assert len({instructions(way) for way in WAYS}) == len(WAYS)


@pytest.mark.parametrize("way", ["proc", "proc+df", "binm1", "binm2", "binm3+df"])
def test_a_program_that_is_missing_is_named_and_nothing_is_done(way: str, tmp_path: Path) -> None:
    done = run("qmail-setup", "--host", HOST, "--delivery", way, tmp_path / "home")
    if done.code == 0:
        pytest.skip(f"this machine has all that {way} needs")
    assert done.code == 111 and done.err.count(b"\n") == 1 and done.out == b""
    assert done.err.startswith(b"qmail-setup: fatal: the delivery %s needs " % way.encode())
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("words", [["maildir"], ["home+dg"], [""], ["home", "--check"], []])
def test_no_other_way_is_taken(words: list[str], tmp_path: Path) -> None:
    done = run("qmail-setup", "--delivery", *words, env={"QMAILHOME": str(tmp_path / "home")})
    assert done.code == 100 and b"usage" in done.err


@pytest.fixture
def home() -> Iterator[Path]:
    """Where a plain user can have a home."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        Path(scratch).chmod(0o755)
        if USER is not None:
            os.chown(scratch, USER, USER)
        yield Path(scratch) / "home"


WROTE = b"wrote control/defaultdelivery: home; it counts when qmail-send is started again\n"


def test_a_choice_stays_until_there_is_another(home: Path) -> None:
    file = home / "control/defaultdelivery"
    assert WROTE in setup(home, "--delivery", "home")
    assert setup(home) == setup(home, "--delivery", "home") == b""
    assert file.read_text() == "./Mailbox\n"
    shown = run("qmail-showctl", env={"QMAILHOME": str(home)}, user=USER, cwd="/").out
    assert b"\ndefaultdelivery: \nMail to users without a .qmail file: ./Mailbox\n" in shown
    file.write_text("./Other\n")
    assert setup(home) == b""
    assert file.read_text() == "./Other\n"
    assert setup(home, "--delivery", "home") == WROTE


def test_a_run_script_that_does_not_ask_for_the_choice_is_named(home: Path) -> None:
    setup(home)
    script = home / "service/qmail-send/run"
    script.write_text("#!/bin/sh\nexec qmail-start ./Maildir/\n")
    assert b"service/qmail-send/run: does not read control/defaultdelivery; " in setup(home, "--delivery", "home")
    assert script.read_text() == "#!/bin/sh\nexec qmail-start ./Maildir/\n"


def setup(home: Path, *words: str) -> bytes:
    """Run qmail-setup on a plain user's home."""
    done = run("qmail-setup", "--host", HOST, *words, home, user=USER, cwd="/")
    assert (done.code, done.err) == (0, b"")
    return done.out
