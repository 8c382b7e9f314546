"""checkpassword-pam - become the user whom PAM lets in by a name and a password, and run a program

Usage: checkpassword-pam [ -deH ] [ -s service ] [ --stdout ] [ -- ] [ prog ... ]
       checkpassword-pam -h | -V

checkpassword-pam reads a name, a password and a timestamp from descriptor 3, as checkpassword does, and lets PAM find
out whether they are good, by the modules of a service: a file in /etc/pam.d such as

    auth     required  pam_unix.so
    account  required  pam_unix.so
    session  required  pam_permit.so

It authenticates the user, checks the account, sets credentials, and opens and closes a session. The password is the
answer to each question that a module would have typed without an echo; other questions get none. Modules learn
TCPREMOTEIP, if it is set, as PAM_RHOST, and with it a PAM_TTY that is no terminal: checkpassword-pam.

Then it takes the user's groups, gid and uid, changes to the home folder, sets USER, HOME and SHELL, and runs prog; or
exits with 0 when there is none. It needs root to do that:

    tcpserver 0 pop3 qmail-popup pop.example checkpassword-pam -s pop3 -- qmail-pop3d Maildir

It needs the Python package pamela: pip install 'pyqmail[pam]'.

Options:
    -s service, --service  whose modules are asked; else PAM_SERVICE says that
    -e, --noenv            only check: stay who and where we are, for users whom the password file does not have
    -H, --no-chdir-home    do not change to the home folder
    -d, --debug            tell each step, too
    --stdout               tell on descriptor 2 and not syslog, where the service is the tag of lines about trouble
    -h, --help             show this text
    -V, --version          show the version

The password appears nowhere. Trouble that is none of the user's, such as no service or no pamela, is told on descriptor
2 in any case, for syslog may have nobody who listens.

What differs from the original: options end at the first other word; a user without a password is nobody's, whatever
nullok says; what modules only have to say, such as that a password will expire soon, keeps nobody out; a module may
change the user's name; trouble of the machine is 111, also when the home folder or prog is missing.

Exit status:
    0    PAM lets the user in, and there is no prog
    1    it does not, or the login has more than 512 bytes
    2    wrong usage, no service, no login, or a user whom the password file does not have, without -e
    111  PAM, the user's rights, the home folder or prog is not to be had, which is described on descriptor 2

See also: checkpassword, checkpassword-cdb, qmail-popup
"""

from __future__ import annotations

import os

from mta.pop3.checkpassword import MISUSED, Misused, Unacceptable, enter, name_and_password
from mta.pop3.pam import let_in
from supervise.account import find_account
from supervise.command import Argv, Become, command, say
from supervise.errors import PRINTABLE, Trouble
from supervise.fd import write_all
from supervise.options import options
from supervise.program import show_page

LETTERS = b"deHhs:V"
WORDS = {
    b"debug": b"d",
    b"help": b"h",
    b"no-chdir-home": b"H",
    b"noenv": b"e",
    b"service": b"s:",
    b"stdout": b"1",
    b"version": b"V",
}
ARGUMENTS = b"[ -deH ] [ -s service ] [ --stdout ] [ -- ] [ prog ... ]"


@command(b"checkpassword-pam", ARGUMENTS, usage_code=MISUSED)
def main(argv: Argv) -> int:
    chosen, prog = options(argv, LETTERS, WORDS)
    given = dict(chosen)
    if b"h" in given:
        return show_page(main)
    if b"V" in given:
        return show_version()
    service = given.get(b"s") or os.environb.get(b"PAM_SERVICE", b"")
    log = Log(service, b"1" in given, b"d" in given)
    try:
        user = log_in(service, log)
        if b"e" not in given:
            become_user(user, b"H" not in given)
    except Trouble as trouble:
        if trouble.line:
            log.tell(trouble.line, ours=not isinstance(trouble, Unacceptable))
        log.trace(b"exiting with status %d" % trouble.code)
        return trouble.code
    if not prog:
        return 0
    log.trace(b"running " + prog[0])
    raise Become(prog)


class Log:
    """Where lines go: those about trouble, and others if anybody wants to *debug*.

    Args:
        service: syslog's tag.
        here: they go to descriptor 2 and not to syslog.
    """

    def __init__(self, service: bytes, here: bool, debug: bool) -> None:
        self.service, self.here, self.debug = service, here, debug

    def tell(self, line: bytes, ours: bool) -> None:
        """Tell of trouble, which is *ours* or the user's."""
        self.write("LOG_ERR", line)
        if ours and not self.here:
            self.say(line)

    def trace(self, line: bytes) -> None:
        """Tell what was done."""
        if self.debug:
            self.write("LOG_DEBUG", line)

    def write(self, level: str, line: bytes) -> None:
        if self.here:
            self.say(line)
            return
        import syslog

        syslog.openlog((self.service or b"checkpassword-pam").decode(errors="replace"), syslog.LOG_PID, syslog.LOG_AUTH)
        syslog.syslog(getattr(syslog, level), line.translate(PRINTABLE).decode("ascii"))
        syslog.closelog()  # its descriptor is not for what we become

    def say(self, line: bytes) -> None:
        """Tell it here, with nothing in it that a client has sent to be taken for another line."""
        say(b"checkpassword-pam: " + line.translate(PRINTABLE))


def log_in(service: bytes, log: Log) -> bytes:
    """Have the modules of *service* check what descriptor 3 says; the user's name.

    Raises:
        Trouble: the user is not let in.
    """
    if not service:
        raise Misused(b"there is no service: say -s or set PAM_SERVICE")
    name, password = name_and_password()
    log.trace(b"asking the modules of %s about %s" % (service, name))
    return let_in(service, name, password, log.trace)


def become_user(name: bytes, at_home: bool) -> None:
    """Be the user *name* of the password file.

    Raises:
        Misused: there is none.
        Temporary: we cannot.
    """
    account = find_account(name)
    if account is None:
        raise Misused(b"the password file does not have %s, which takes -e" % name)
    enter(account, at_home)


def show_version() -> int:
    """Say which version this is; an exit code."""
    from importlib.metadata import version

    write_all(1, b"checkpassword-pam (pyqmail) %s\n" % version("pyqmail").encode())
    return 0
