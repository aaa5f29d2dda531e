"""Certificates made for a test, by the openssl command that every Debian has."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Authority:
    """Somebody who signs certificates.

    Attributes:
        file: Its own certificate, which those trust who trust what it signed.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self.file = folder / f"{name}.pem"
        _run(
            "req", "-x509", *_NEW_KEY, "-keyout", str(self._key), "-out", str(self.file), "-days", "2",
            "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE",
            "-addext", "keyUsage=critical,keyCertSign",
        )  # fmt: skip

    @property
    def _key(self) -> Path:
        return self._folder / f"{self._name}.key"

    def sign(self, name: str, *names: str, days: int = 2) -> Path:
        """A new certificate for the names (``DNS:…``, ``IP:…``) and its key, both in one file; its key alone beside."""
        key, request = self._folder / f"{name}.key", self._folder / f"{name}.csr"
        extensions, both = self._folder / f"{name}.ext", self._folder / f"{name}.pem"
        _run("req", "-new", *_NEW_KEY, "-keyout", str(key), "-out", str(request), "-subj", f"/CN={name}")
        extensions.write_text(f"subjectAltName={','.join(names)}\n" if names else "")
        _run(
            "x509", "-req", "-in", str(request), "-CA", str(self.file), "-CAkey", str(self._key), "-CAcreateserial",
            "-days", str(days), "-extfile", str(extensions), "-out", str(both),
        )  # fmt: skip
        both.write_text(both.read_text() + key.read_text())
        return both


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _run(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
