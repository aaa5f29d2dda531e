"""The mirrors that this host's supervisors had made, written down so that a later one finds what a crash left.

Invariants: a mirror is written down before its worker is started, and struck out once its file is gone. A file is
removed only if it is provably ours: written down in a folder that only this user writes, under the name that its source
gives it, this user's, a segment that calls itself a mirror, not held by a living writer. Whatever else is there stays.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Optional

from daosup.core.layout import KEYWORD_BYTES, SEMAPHORE_COUNT
from daosup.core.types import MIRROR_PREFIX, REPLICA_KEYWORD, SEGMENT_SUFFIX, Source
from daosup.errors import DaosupError, SegmentError
from daosup.shm._native import unlink_semaphores
from daosup.shm.keywords import Keyword, decode
from daosup.shm.making import semaphore_base, unlink_segment
from daosup.shm.memory import examine, open_file

_MOST_BYTES = 4096
#: What ``create_file`` calls a segment that it has not put in place yet.
_UNFINISHED = ".{name}.????????.new"


class MirrorLedger:
    """Which mirrors one supervisor, and those before it, had made.

    Args:
        folder: Holds a small file for each mirror; made when it is needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._paths: dict[Source, str] = {}

    def find(self) -> tuple[Source, ...]:
        """What the supervisors before this one left, sorted; to be asked once, at the start."""
        with suppress(OSError):
            if not _is_private(os.lstat(self._folder)):
                return ()
            for entry in self._folder.iterdir():
                found = _read(entry)
                if found is None:
                    entry.unlink()
                else:
                    self._paths[found[0]] = found[1]
        return tuple(sorted(self._paths))

    def note(self, source: Source, path: str) -> Optional[str]:
        """Write down that a mirror of ``source`` will be at ``path``; why it could not be, if it could not."""
        if self._paths.get(source) == path:
            return None
        if source in self._paths:  # from when the segment folder was another one
            self.remove(source)
        self._paths[source] = path
        entry = self._folder / source.mirror_name
        unfinished = entry.with_suffix(".new")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            unfinished.write_text(json.dumps({"source": str(source), "path": path}))
            unfinished.rename(entry)
        except OSError as error:
            return f"{entry}: {error.strerror}"
        return None

    def remove(self, source: Source) -> Optional[str]:
        """Remove a mirror's file and semaphores if it is ours; returns why they stay if they do."""
        path = self._paths.pop(source, None)
        if path is None:
            return "this daosupd did not make it"
        with suppress(OSError):
            (self._folder / source.mirror_name).unlink()
        try:
            with _held(path):
                unlink_segment(path)
                for unfinished in Path(path).parent.glob(_UNFINISHED.format(name=Path(path).name)):
                    if unfinished.lstat().st_uid == os.geteuid():
                        unfinished.unlink()
        except SegmentError as error:
            if _keywords_of(path) is None:  # what lies there now has no use for semaphores
                unlink_semaphores(semaphore_base(path), SEMAPHORE_COUNT)
            return str(error)
        except OSError as error:
            return f"{path}: cannot be removed: {error.strerror}"
        return None

    def strangers(self, folder: Path) -> list[str]:
        """Files in a segment folder that call themselves mirrors and are not written down here, sorted."""
        known = set(self._paths.values())
        with suppress(OSError):
            paths = sorted(str(path) for path in folder.glob(f"{MIRROR_PREFIX}*{SEGMENT_SUFFIX}"))
            return [path for path in paths if path not in known and _is_replica(path)]
        return []

    def close(self) -> None:
        """Remove the folder if nothing is written down any more."""
        with suppress(OSError):
            self._folder.rmdir()


def _is_private(facts: os.stat_result) -> bool:
    """Whether nobody but this user can have put something into a folder."""
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid() and not facts.st_mode & 0o022


def _read(entry: Path) -> Optional[tuple[Source, str]]:
    """What an entry says; None if it was not written whole, or by something else."""
    try:
        with entry.open("rb") as file:
            said = json.loads(file.read(_MOST_BYTES))
        source, path = Source.parse(said["source"]), str(said["path"])
    except (OSError, ValueError, TypeError, KeyError, DaosupError):
        return None
    is_fit = os.path.isabs(path) and os.path.basename(path) == f"{source.mirror_name}{SEGMENT_SUFFIX}"
    return (source, path) if is_fit and entry.name == source.mirror_name else None


@contextmanager
def _held(path: str) -> Iterator[None]:
    """Meanwhile no worker can take the mirror at ``path``; there may be none.

    Raises:
        SegmentError: If the file is not provably ours.
    """
    try:
        facts = os.lstat(path)
    except FileNotFoundError:
        yield
        return
    if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid():
        raise SegmentError(f"{path}: not a file of this user")
    if not _is_replica(path):
        raise SegmentError(f"{path}: no mirror (any more); somebody put something else there")
    fd = open_file(path, is_writable=False)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise SegmentError(f"{path}: another process writes it") from None
    finally:
        os.close(fd)


def _is_replica(path: str) -> bool:
    """Whether a file is a segment that says of itself that it mirrors another."""
    return any(slot.name == REPLICA_KEYWORD and slot.value == 1 for slot in _keywords_of(path) or ())


def _keywords_of(path: str) -> Optional[list[Keyword]]:
    """The keywords of a segment; None if there is none."""
    try:
        fd = open_file(path, is_writable=False)
    except SegmentError:
        return None
    try:
        geometry, _ = examine(path, fd)
        raw = os.pread(fd, geometry.keyword_count * KEYWORD_BYTES, geometry.keywords_offset)
    except (SegmentError, OSError):
        return None
    finally:
        os.close(fd)
    slots = (decode(raw[at : at + KEYWORD_BYTES]) for at in range(0, len(raw) - KEYWORD_BYTES + 1, KEYWORD_BYTES))
    return [slot for slot in slots if slot is not None]
