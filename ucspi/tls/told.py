"""What a program hears of TLS, in the names that Apache's mod_ssl gives them."""

from __future__ import annotations

import ssl
from base64 import b64encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

SHORT = {
    "countryName": "C",
    "stateOrProvinceName": "ST",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "commonName": "CN",
    "title": "T",
    "initials": "I",
    "givenName": "G",
    "surname": "S",
    "description": "D",
    "userId": "UID",
    "emailAddress": "Email",
}
LINE = 64  # characters of a line in PEM


def variables(tls: ssl.SSLObject) -> bytes:
    """The variables about a connection: each `NAME=value` and NUL, then one NUL more."""
    entries = [f"{name}={clean(value)}" for name, value in told(tls)]
    return b"".join([entry.encode("utf-8", "surrogateescape") + b"\0" for entry in entries]) + b"\0"


def clean(value: str) -> str:
    """*value* as a variable can hold it: what a certificate says is its owner's choice."""
    return value.replace("\0", "?")


def told(tls: ssl.SSLObject) -> Iterator[tuple[str, str]]:
    """The variables and their values."""
    yield "SSL_PROTOCOL", tls.version() or ""
    cipher = tls.cipher()
    if cipher:
        name, _, bits = cipher
        yield "SSL_CIPHER", name
        yield "SSL_CIPHER_USEKEYSIZE", str(bits)
        yield "SSL_CIPHER_ALGKEYSIZE", str(bits)
        yield "SSL_CIPHER_EXPORT", "true" if bits < 56 else "false"
    yield "SSL_SESSION_ID", tls.session.id.hex() if tls.session else ""
    yield "SSL_SESSION_RESUMED", "Resumed" if tls.session_reused else "Initial"
    yield "SSL_VERSION_INTERFACE", "pyqmail"
    yield "SSL_VERSION_LIBRARY", ssl.OPENSSL_VERSION
    name_asked = getattr(tls, "asked", None) or tls.server_hostname
    if name_asked:
        yield "SSL_TLS_SNI", name_asked
    yield from of_peer(tls, "CLIENT" if tls.server_side else "SERVER")


def of_peer(tls: ssl.SSLObject, side: str) -> Iterator[tuple[str, str]]:
    """What the certificate of the other *side* says, as far as somebody vouches for it."""
    coded = tls.getpeercert(binary_form=True)
    found: Any = tls.getpeercert()  # empty if nobody has been asked who vouches
    yield f"SSL_{side}_VERIFY", "SUCCESS" if found else "NONE"
    if coded:
        yield f"SSL_{side}_CERT", pem(coded)
    if not found:
        return
    yield f"SSL_{side}_M_VERSION", str(found["version"])
    yield f"SSL_{side}_M_SERIAL", found["serialNumber"]
    yield f"SSL_{side}_V_START", found["notBefore"]
    yield f"SSL_{side}_V_END", found["notAfter"]
    for letter, names in (("S", found["subject"]), ("I", found["issuer"])):
        pairs = [(SHORT.get(name, name), value) for group in names for name, value in group]
        yield f"SSL_{side}_{letter}_DN", "".join(f"/{name}={value}" for name, value in pairs)
        yield from {f"SSL_{side}_{letter}_DN_{name}": value for name, value in reversed(pairs)}.items()


def pem(coded: bytes) -> str:
    """A certificate as text."""
    text = b64encode(coded).decode()
    lines = [text[at : at + LINE] for at in range(0, len(text), LINE)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])
