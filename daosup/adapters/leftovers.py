"""The mirrors that this host's supervisors had made, written down so that a later one finds what a crash left.

Invariants: a mirror is written down before its worker is started, and struck out once its file is gone. A file is
removed only if it is provably ours: written down in a folder that only this user writes, this user's, a segment that
calls itself the mirror of that very source, not held by a living writer. Whatever else is there stays. Semaphores that
others of the same name on this machine may use stay, too.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import NamedTuple, Optional

from daosup.adapters.segment_folder import SegmentFolder
from daosup.core.mirror_names import check_mirror_name, is_usual, mark_of
from daosup.core.types import MIRROR_PREFIX, SEGMENT_SUFFIX, Source
from daosup.errors import DaosupError, SegmentError
from daosup.shm.making import has_semaphores, semaphore_base, unlink_semaphores
from daosup.shm.memory import examine, open_file
from daosup.shm.mirror_mark import mark_at

_MOST_BYTES = 4096
#: What ``create_file`` calls a segment that it has not put in place yet.
_UNFINISHED = ".{name}.????????.new"


class _Entry(NamedTuple):
    """One mirror; ``has_own_semaphores``: there were none of its name before it."""

    path: str
    has_own_semaphores: bool


class MirrorLedger:
    """Which mirrors one supervisor, and those before it, had made.

    Args:
        folder: Holds a small file for each mirror; made when it is needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._entries: dict[Source, _Entry] = {}
        self._bases: Counter[str] = Counter()

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
                    self._add(*found)
        return tuple(sorted(self._entries))

    def note(self, source: Source, path: str) -> Optional[str]:
        """Write down that a mirror of ``source`` will be at ``path``; why it could not be, if it could not."""
        if source in self._entries and self._entries[source].path == path:
            return None
        # From when the segment folder, or what mirrors are called, was another one.
        for before in [each for each, entry in self._entries.items() if each == source or entry.path == path]:
            self.remove(before)
        has_own = is_usual(os.path.basename(path)) or not has_semaphores(path)
        self._add(source, _Entry(path, has_own))
        entry = self._folder / str(source)
        unfinished = entry.with_name(f".{entry.name}")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            unfinished.write_text(json.dumps({"source": str(source), "path": path, "has_own_semaphores": has_own}))
            unfinished.rename(entry)
        except OSError as error:
            return f"{entry}: {error.strerror}"
        return None

    def remove(self, source: Source) -> Optional[str]:
        """Remove a mirror's file and semaphores if it is ours; returns why they stay if they do."""
        entry = self._entries.pop(source, None)
        if entry is None:
            return "this daosupd did not make it"
        path = entry.path
        self._bases[semaphore_base(path)] -= 1
        with suppress(OSError):
            (self._folder / str(source)).unlink()
        try:
            with _held(path, source):
                with suppress(FileNotFoundError):
                    os.unlink(path)
                self._unlink_semaphores(entry)
                for unfinished in Path(path).parent.glob(_UNFINISHED.format(name=escape(Path(path).name))):
                    if unfinished.lstat().st_uid == os.geteuid():
                        unfinished.unlink()
        except SegmentError as error:
            if not _is_segment(path):  # what lies there now has no use for semaphores
                self._unlink_semaphores(entry)
            return str(error)
        except OSError as error:
            return f"{path}: cannot be removed: {error.strerror}"
        return None

    def _add(self, source: Source, entry: _Entry) -> None:
        self._entries[source] = entry
        self._bases[semaphore_base(entry.path)] += 1

    def _unlink_semaphores(self, entry: _Entry) -> None:
        """Remove a mirror's semaphores, unless others are or were called alike."""
        base, path = semaphore_base(entry.path), Path(entry.path)
        is_shared = not entry.has_own_semaphores or self._bases[base] > 0
        if not is_shared and not is_usual(path.name):
            is_shared = any(path.parent.glob(f"{escape(base)}.*{SEGMENT_SUFFIX}"))
        if not is_shared:
            unlink_semaphores(path)

    def strangers(self, folder: SegmentFolder) -> list[str]:
        """Files in a segment folder that call themselves mirrors and are not written down here, sorted.

        Of those that are not called as mirrors usually are, the ones that have been looked at.
        """
        known = {entry.path for entry in self._entries.values()}
        paths = {folder.path_of(name) for name in folder.mirrors}
        with suppress(OSError):
            usual = folder.folder.glob(f"{MIRROR_PREFIX}*{SEGMENT_SUFFIX}")
            paths.update(str(path) for path in usual if mark_at(str(path)) is not None)
        return sorted(paths - known)

    def close(self) -> None:
        """Remove the folder if nothing is written down any more."""
        with suppress(OSError):
            self._folder.rmdir()


def _is_private(facts: os.stat_result) -> bool:
    """Whether nobody but this user can have put something into a folder."""
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid() and not facts.st_mode & 0o022


def _read(entry: Path) -> Optional[tuple[Source, _Entry]]:
    """What an entry says; None if it was not written whole, or by something else."""
    try:
        with entry.open("rb") as file:
            said = json.loads(file.read(_MOST_BYTES))
        source, path, has_own = Source.parse(said["source"]), str(said["path"]), said["has_own_semaphores"] is True
        is_fit = os.path.isabs(path) and path.endswith(SEGMENT_SUFFIX)
        check_mirror_name(os.path.basename(path)[: -len(SEGMENT_SUFFIX)])
    except (OSError, ValueError, TypeError, KeyError, DaosupError):
        return None
    return (source, _Entry(path, has_own)) if is_fit and entry.name == str(source) else None


@contextmanager
def _held(path: str, source: Source) -> Iterator[None]:
    """Meanwhile no worker can take the mirror of ``source`` at ``path``; there may be none.

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
    if mark_at(path) != mark_of(os.path.basename(path)[: -len(SEGMENT_SUFFIX)], str(source)):
        raise SegmentError(f"{path}: no mirror (any more); somebody put something else there")
    fd = open_file(path, is_writable=False)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise SegmentError(f"{path}: another process writes it") from None
    finally:
        os.close(fd)


def _is_segment(path: str) -> bool:
    try:
        fd = open_file(path, is_writable=False)
    except SegmentError:
        return False
    try:
        examine(path, fd)
    except SegmentError:
        return False
    finally:
        os.close(fd)
    return True
