"""The file with the secret by which hosts know each other's orders.

Invariant: a secret that others than root and the service's own group could have read or written is none.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from daosup.errors import ConfigError

LEAST_BYTES = 32
_MOST_BYTES = 4096


def read_secret(path: Path) -> bytes:
    """The secret: what is in the file, without blanks and line ends around it.

    Raises:
        ConfigError: If it cannot be read, is too short, or is anybody else's to read or write.
    """
    where = f"control.secret_file: {path}"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ConfigError(f"{where} cannot be read ({error.strerror}); make it, mode 0640, {_owned()}") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ConfigError(f"{where} is not a file")
        mode, own = stat.S_IMODE(found.st_mode), os.geteuid()
        is_others_group = mode & 0o070 and found.st_gid not in (0, os.getegid())
        if mode & 0o027 or is_others_group or found.st_uid not in (0, own):
            raise ConfigError(
                f"{where} has mode {mode:04o}, owner {found.st_uid} and group {found.st_gid}, so that others could "
                f"read or write it; make it mode 0640, {_owned()}, and take a new secret"
            )
        secret = os.read(descriptor, _MOST_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(secret) > _MOST_BYTES:
        raise ConfigError(f"{where} has more than {_MOST_BYTES} bytes; it holds nothing but the secret")
    secret = secret.strip()
    if len(secret) < LEAST_BYTES:
        raise ConfigError(
            f"{where} holds {len(secret)} bytes, less than {LEAST_BYTES}; make one: head -c 32 /dev/urandom | base64"
        )
    return secret


def _owned() -> str:
    return f"owner root and group {os.getegid()}" if os.geteuid() else "owner and group root"
