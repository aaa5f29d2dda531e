"""The old readers that write to a segment, as its publisher is told of them while it runs: a file beside its page.

Invariant: the file is whole, for it is replaced and never changed; to look whether it is another one costs one system
call. What in it is no list of writers counts as no writer.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from daosup.core.checked_json import as_object, parse_json
from daosup.core.old_writers import MOST_WRITERS, old_writer
from daosup.core.types import OldWriter, check_name
from daosup.errors import ProtocolError, UsageError

SUFFIX = ".writers"
_MAX_BYTES = 65536


class OldWriters:
    """The reading side, of a publisher.

    Args:
        page: The publisher's statistics page.
    """

    def __init__(self, page: Path) -> None:
        self._path = page.with_suffix(SUFFIX)
        self._identity: Optional[tuple[int, int, int]] = None

    def poll(self) -> Optional[tuple[OldWriter, ...]]:
        """All writers, if they may be others than at the last call; else None. Before the first call there are none."""
        try:
            facts = os.stat(self._path, follow_symlinks=False)
            identity = facts.st_ino, facts.st_mtime_ns, facts.st_size
        except OSError:
            identity = None
        if identity == self._identity:
            return None
        self._identity = identity
        try:
            return read_old_writers(self._path)[1]
        except (OSError, ProtocolError):
            return ()


def read_old_writers(path: Path) -> tuple[str, tuple[OldWriter, ...]]:
    """The name of a segment, and who writes to it.

    Raises:
        OSError: If there is no such file.
        ProtocolError: If it says something else.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        raw = os.read(fd, _MAX_BYTES)
    finally:
        os.close(fd)
    told = as_object(parse_json(raw), "list of old writers")
    name, listed = told.get("name"), told.get("writers")
    if not isinstance(listed, list) or len(listed) > MOST_WRITERS:
        raise ProtocolError("not a list of old writers")
    if not all(isinstance(each, list) and len(each) == 3 for each in listed):
        raise ProtocolError("not a list of old writers")
    try:
        return check_name(str(name)), tuple(old_writer(*each) for each in listed)
    except UsageError as error:
        raise ProtocolError(str(error)) from None


def encode_old_writers(name: str, writers: Sequence[OldWriter]) -> bytes:
    """What ``read_old_writers`` reads."""
    return json.dumps({"name": name, "writers": [[each.host, each.ip, each.port] for each in writers]}).encode()
