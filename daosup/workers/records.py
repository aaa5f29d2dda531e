"""A worker's record: a file beside its statistics page that says who it is and what it was told.

Invariants: a worker holds an exclusive lock on its record as long as it lives, and the kernel lets go of it however it
ends. So a record that is not locked is a dead worker's, and a second worker of one key can never run beside a first.
A record is believed only if it is locked and its process is the one that was started at the time it says.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from daosup import __version__
from daosup.adapters.process_handle import start_time_of
from daosup.core.checked_json import as_object, parse_json
from daosup.core.types import Source, WorkerKey, WorkerKind, check_host, check_name
from daosup.errors import ProtocolError, UnavailableError, UsageError
from daosup.stream.handing import place_of
from daosup.workers.orders import Order, fields_of
from daosup.workers.statistics import FORMAT

PAGE_SUFFIX = ".statistics"
RECORD_SUFFIX = ".worker"
WORDS_SUFFIX = ".words"
OUTPUT_SUFFIX = ".output"
MAX_RECORD_BYTES = 65536
#: Whoever looks whether a record is locked holds its lock for a moment.
_CLAIM_S = 0.25
_CLAIM_PAUSE_S = 0.01


class TakenError(UnavailableError):
    """Another process does this work already."""

    exit_code = 75


def page_name(key: WorkerKey) -> str:
    """The name of a worker's statistics page."""
    return f"{key.kind.value}.{key.source.host}.{key.source.name}{PAGE_SUFFIX}"


@dataclass(frozen=True)
class Record:
    """What a living worker says of itself."""

    key: WorkerKey
    pid: int
    start_time: int
    version: str
    page_format: int
    order: dict[str, Any]


def claim(order: Order) -> None:
    """Become the one worker of the order's key, until this process ends.

    Raises:
        TakenError: If another process is.
        OSError: If the record cannot be written.
    """
    path = order.page.with_suffix(RECORD_SUFFIX)
    deadline = time.monotonic() + _CLAIM_S
    while (fd := _lock(path, os.O_RDWR | os.O_CREAT)) is None:
        if time.monotonic() >= deadline:
            raise TakenError(f"another process does the work of {order.key} already; see: fuser {path}")
        time.sleep(_CLAIM_PAUSE_S)
    pid = os.getpid()
    record = {
        "pid": pid,
        "start_time": start_time_of(pid),
        "version": __version__,
        "page_format": FORMAT,
        "order": fields_of(order),
    }
    os.ftruncate(fd, 0)
    os.pwrite(fd, json.dumps(record).encode(), 0)  # and it stays open, for its lock


def living(folder: Path) -> Iterator[Record]:
    """The workers that live; what dead ones left is removed, and what is no record is passed over."""
    for path in sorted(folder.glob(f"*{RECORD_SUFFIX}")):
        with suppress(OSError, ProtocolError):
            if not remove_dead(path):
                yield _read(path)


def remove_dead(record: Path) -> bool:
    """Remove what a worker left behind; False if it lives.

    Raises:
        OSError: If there is no such record, or it is none.
    """
    fd = _lock(record, os.O_RDWR)
    if fd is None:
        return False
    try:
        # The record last: its lock keeps the next worker out.
        place_of(record.with_suffix(PAGE_SUFFIX)).unlink(missing_ok=True)
        for suffix in (OUTPUT_SUFFIX, WORDS_SUFFIX, PAGE_SUFFIX, RECORD_SUFFIX):
            record.with_suffix(suffix).unlink(missing_ok=True)
    finally:
        os.close(fd)
    return True


def written_by(record: Path) -> tuple[Optional[WorkerKey], int]:
    """Whose files are beside a record, alive or dead: key and pid; None and 0 if it does not say."""
    try:
        told = _parse(record)
        pid = told.get("pid")
        return read_key(as_object(told.get("order"), "worker's order").get("key")), pid if type(pid) is int else 0
    except (OSError, ProtocolError):
        return None, 0


def is_dead(record: Path) -> bool:
    """Whether there is a record, and nobody who lives holds it."""
    try:
        fd = _lock(record, os.O_RDWR)
    except OSError:
        return False
    if fd is not None:
        os.close(fd)
    return fd is not None


def _parse(path: Path) -> Mapping[str, Any]:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        raw = os.read(fd, MAX_RECORD_BYTES)
    finally:
        os.close(fd)
    return as_object(parse_json(raw), "worker's record")


def _lock(path: Path, flags: int) -> Optional[int]:
    """The locked record; None if somebody has it."""
    while True:
        fd = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(fd), os.lstat(path)):
                    return fd
        except BlockingIOError:
            os.close(fd)
            return None
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # it was removed meanwhile, and the lock with it


def _read(path: Path) -> Record:
    """A locked record.

    Raises:
        ProtocolError: If it is not one of a living worker.
        OSError: If it cannot be read.
    """
    record = _parse(path)
    order = as_object(record.get("order"), "worker's order")
    key = read_key(order.get("key"))
    pid, start_time, version = record.get("pid"), record.get("start_time"), record.get("version")
    page_format = record.get("page_format")
    if path.name != Path(page_name(key)).with_suffix(RECORD_SUFFIX).name:
        raise ProtocolError(f"{path} is the record of {key}")
    if type(pid) is not int or pid <= 1 or type(start_time) is not int or start_time_of(pid) != start_time:
        raise ProtocolError(f"{path}: no such process")
    if not isinstance(version, str) or type(page_format) is not int:
        raise ProtocolError(f"{path}: no version")
    return Record(key, pid, start_time, version, page_format, dict(order))


def read_key(value: object) -> WorkerKey:
    """A key as ``key_fields`` writes it.

    Raises:
        ProtocolError: If it is none.
    """
    if not isinstance(value, list) or len(value) != 3 or not all(isinstance(each, str) for each in value):
        raise ProtocolError("not a worker's key")
    try:
        return WorkerKey(WorkerKind(value[0]), Source(check_host(value[1]), check_name(value[2])))
    except (ValueError, UsageError):
        raise ProtocolError("not a worker's key") from None
