"""Certificates for tests, made by openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path


def openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)


class Authority:
    """Somebody who vouches for certificates, in *folder*; its own is `ca.pem`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "ca.pem"
        self.key = folder / "ca.key"
        names = ["-subj", "/CN=Authority of the tests", "-addext", "keyUsage=critical,keyCertSign,cRLSign"]
        openssl("req", "-x509", *KEY, "-keyout", self.key, "-out", self.file, "-days", "30", *names)

    def certify(self, name: str, file: Path | None = None) -> Path:
        """A certificate for *name* with its key, in one file."""
        file = file or self.folder / f"{name}.pem"
        key, request, made, more = (self.folder / f"made.{ending}" for ending in ("key", "csr", "crt", "ext"))
        more.write_text(f"subjectAltName=DNS:{name}\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
        openssl("req", "-new", *KEY, "-keyout", key, "-out", request, "-subj", f"/CN={name}/O=Tests")
        signing = ["-CA", self.file, "-CAkey", self.key, "-CAcreateserial", "-days", "30", "-extfile", more]
        openssl("x509", "-req", "-in", request, "-out", made, *signing)
        draft = file.with_name(file.name + ".new")
        draft.write_bytes(made.read_bytes() + key.read_bytes())
        draft.rename(file)
        return file


KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
