"""Certificates and keys, found by the name that a client asks for, and read again when they change.

The files are named by variables, as ucspi-ssl has them:

    CERTFILE    the certificate, with those that vouch for it behind it, in PEM
    KEYFILE     its key; without it, the key is in CERTFILE too
    CERTDIR     a folder: a client that asks for mail.example.org (SNI) gets mail.example.org.pem there, or else
                *.example.org.pem; each file has certificates and key
    CAFILE      certificates of those who may vouch for a client
    CADIR       a folder of such certificates, by hash
    CIPHERS     which ciphers are spoken up to TLS 1.2, as openssl-ciphers(1) writes them
    DHFILE      parameters for Diffie-Hellman
"""

from __future__ import annotations

import os
import ssl
import time

from supervise.errors import Temporary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Writings = tuple[
        int | tuple[int, int, int] | None, ...
    ]  # the day, and what tells one writing of a file from the next

FOR_THE_LIBRARY = {  # what it says without saying what is wrong
    "callback failed": b"the name that the client asks for is not ASCII",  # `choose` is not even called
    "pem lib": b"it lacks the certificate or the key, in PEM",
}
ENDING = b".pem"
DAY = 86400.0  # seconds


class Certificates:
    """Contexts for handshakes with clients.

    Args:
        variables: see above.
        ask: whether a client is asked for a certificate.
        require: whether it must have one that somebody vouches for.
        warn: is told, in a line, which change of a file is not followed, and why.

    Raises:
        Temporary: the files of CERTFILE cannot be read, or are wrong.
    """

    def __init__(
        self, variables: Mapping[bytes, bytes], ask: bool, require: bool, warn: Callable[[bytes], object]
    ) -> None:
        self.variables, self.warn = dict(variables), warn
        self.verify = ssl.CERT_REQUIRED if require else ssl.CERT_OPTIONAL if ask else ssl.CERT_NONE
        self.folder = self.variables.get(b"CERTDIR")
        file = self.variables.get(b"CERTFILE")
        if not file:
            raise Temporary(b"CERTFILE is not set")
        self.default = file
        self.number = 0  # of changes
        writings = self.writings(file)
        self.context = self.make(file)  # for a client that asks for no name; finds the one for any other
        self.seen: dict[bytes, Writings] = {file: writings}  # how we have seen each file of a certificate
        self.named: dict[bytes, ssl.SSLContext] = {}  # by the file in the folder
        self.renew()

    def renew(self) -> int:
        """Read again what has changed, as far as it is right; a number that grows with each change."""
        there = [self.default, *self.in_folder()]
        for file in there:
            writings = self.writings(file)
            if self.seen.get(file) != writings:
                self.seen[file] = writings
                self.read(file)
                self.number += 1
        for file in self.seen.keys() - set(there):
            del self.seen[file]
            self.named.pop(file, None)
            self.number += 1
        return self.number

    def read(self, file: bytes) -> None:
        """Have the certificate in *file* used from now on, if it is right."""
        try:
            context = self.make(file)
        except Temporary as trouble:
            followed = file == self.default or file in self.named
            self.warn(trouble.line + (b", so what was there before is used" if followed else b""))
            return
        if file == self.default:
            self.context = context
        else:
            self.named[file] = context

    def in_folder(self) -> list[bytes]:
        """The files of certificates in the folder; if it cannot be read, those that were there."""
        if not self.folder:
            return []
        try:
            return [self.folder + b"/" + name for name in os.listdir(self.folder) if name.endswith(ENDING)]
        except OSError:
            return [*self.named]

    def choose(self, connection: ssl.SSLObject, name: str | None, first: ssl.SSLContext) -> None:
        """Have *connection* go on with the certificate for *name*, which it can tell as `asked` from now on."""
        connection.asked = name  # type: ignore[attr-defined]
        for file in self.files_for(name):
            if file in self.named:
                connection.context = self.named[file]
                return

    def files_for(self, name: str | None) -> list[bytes]:
        """The files in the folder that would have the certificate for *name*."""
        if not self.folder or not name:
            return []
        host = name.lower().encode("idna" if not name.isascii() else "ascii", "replace")
        parent = host.partition(b".")[2]
        return [self.folder + b"/" + each + ENDING for each in (host, b"*." + parent)]

    def writings(self, file: bytes) -> Writings:
        """What tells that one of the files has changed, or that the context has to be made anew: once a day, since
        it has the secret with which clients take up what they once agreed on.
        """
        names = (file, self.key_of(file), self.variables.get(b"CAFILE"), self.variables.get(b"DHFILE"))
        return int(time.time() // DAY), *(writing_of(name) for name in names if name)

    def key_of(self, file: bytes) -> bytes:
        """The file of the key for the certificate in *file*."""
        return (file == self.default and self.variables.get(b"KEYFILE")) or file

    def make(self, file: bytes) -> ssl.SSLContext:
        """A context for the certificate in *file*.

        Raises:
            Temporary: a file cannot be read, or is wrong.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF  # else we could not go on to speak after it
        context.verify_mode = self.verify
        context.sni_callback = self.choose
        step(b"use certificate in " + file, lambda: context.load_cert_chain(file, self.key_of(file), no_password))
        use_choices(context, self.variables)
        parameters = self.variables.get(b"DHFILE")
        if parameters:
            step(b"use parameters in " + parameters, lambda: context.load_dh_params(os.fsdecode(parameters)))
        return context


def use_choices(context: ssl.SSLContext, variables: Mapping[bytes, bytes]) -> None:
    """Have *context* trust those in CAFILE and CADIR, and speak CIPHERS, as far as *variables* has them.

    Raises:
        Temporary: a file cannot be read, or is wrong.
    """
    ca_file, ca_folder = variables.get(b"CAFILE") or None, variables.get(b"CADIR") or None
    if ca_file or ca_folder:
        what = b"use certificates in " + (ca_file or ca_folder or b"")
        step(what, lambda: context.load_verify_locations(ca_file, ca_folder))
    ciphers = variables.get(b"CIPHERS")
    if ciphers:
        step(b"use ciphers " + ciphers, lambda: context.set_ciphers(ciphers.decode("latin-1")))


def no_password() -> str:
    """Nobody is there who could be asked for the password of a key."""
    raise ssl.SSLError(0, "the key has a password")


def step(what: bytes, call: Callable[[], object]) -> None:
    """Do *call*; if it fails, we are unable to do *what*."""
    try:
        call()
    except ssl.SSLError as error:
        raise Temporary(b"unable to %s: %s" % (what, said_by(error))) from None
    except OSError as error:
        raise Temporary(b"unable to " + what, error) from None


def said_by(error: ssl.SSLError) -> bytes:
    """What the library said, in the words of the house."""
    text = str(error.args[-1]).rpartition("] ")[2].partition(" (_ssl.c")[0]  # [SSL] text (_ssl.c:line)
    said = (getattr(error, "reason", None) or text.rstrip(".")).lower().replace("_", " ")
    if said in FOR_THE_LIBRARY:
        return FOR_THE_LIBRARY[said]
    why = getattr(error, "verify_message", "").rstrip(".").replace("\n", " ")
    return (f"{said}: {why}" if why else said).encode("ascii", "replace")


def writing_of(file: bytes) -> tuple[int, int, int] | None:
    """What tells one writing of *file* from the next; None: there is none."""
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
