"""What is needed to speak TLS with Redis, read from files.

Invariant: what a file holds when a connection is begun counts, so a renewed certificate needs no restart; files that
did not change are not read again.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Optional

from daosup.config import Verify
from daosup.errors import UnavailableError


@dataclass(frozen=True)
class Tls:
    """How to speak TLS: whom to trust (None: whom this machine trusts) and how to show who we are."""

    ca_file: Optional[Path] = None
    cert_file: Optional[Path] = None
    key_file: Optional[Path] = None
    verify: Verify = Verify.FULL


def tls_context(tls: Tls) -> ssl.SSLContext:
    """The context for a connection that begins now.

    Raises:
        UnavailableError: If a file cannot be read or does not hold what it should.
    """
    return _context(tls, tuple(_state_of(file) for file in (tls.ca_file, tls.cert_file, tls.key_file)))


def _state_of(file: Optional[Path]) -> Optional[tuple[int, int, int]]:
    if file is None:
        return None
    try:
        state = file.stat()
    except OSError as error:
        raise UnavailableError(f"{file} cannot be read: {error.strerror}; see [redis]") from error
    return state.st_ino, state.st_mtime_ns, state.st_size


@lru_cache(maxsize=4)
def _context(tls: Tls, state: object) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=None if tls.ca_file is None else str(tls.ca_file))
    except (ssl.SSLError, OSError) as error:
        raise _unfit(f"ca_file {tls.ca_file}", "certificates in PEM form", error) from error
    context.check_hostname = tls.verify is Verify.FULL
    context.verify_mode = ssl.CERT_NONE if tls.verify is Verify.NONE else ssl.CERT_REQUIRED
    if tls.cert_file is not None:
        key = f" and key_file {tls.key_file}" if tls.key_file else ""
        try:
            # A password would be asked for on the terminal.
            context.load_cert_chain(str(tls.cert_file), tls.key_file and str(tls.key_file), password=lambda: b"")
        except (ssl.SSLError, OSError) as error:
            what = "a certificate and its key in PEM form, the key without a password"
            raise _unfit(f"cert_file {tls.cert_file}{key}", what, error) from error
    return context


def _unfit(found: str, allowed: str, error: OSError) -> UnavailableError:
    reason = getattr(error, "reason", None) or error.strerror or error
    return UnavailableError(f"{found} in [redis] cannot be used: {reason}; needed: {allowed}, readable for us")
