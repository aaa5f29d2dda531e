"""The files of a segment folder: which there are, and what each is.

Invariant: a file that is a mirror of another host's segment is not listed, whatever it is called: it is known by its
name, or by its mark, which it has from the beginning; one that did not change since it was looked at is not listed as
changed. Nothing here decides what follows.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional

from daosup.core.layout import CREATION_TIME, HEADER_BYTES
from daosup.core.mirror_names import is_mark_of
from daosup.core.types import MIRROR_PREFIX, SEGMENT_SUFFIX, SegmentFacts, check_name
from daosup.errors import SegmentError, UsageError
from daosup.shm.memory import examine, open_file
from daosup.shm.mirror_mark import read_mark

_Trace = tuple[int, int, int, int]


class SegmentFolder:
    """Looks at the files of one folder; segments go by their names without folder and suffix.

    Attributes:
        folder: Which.
        mirrors: Those of the files that have been looked at that are mirrors, though not called as mirrors usually are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mirrors: set[str] = set()
        self._traces: dict[str, Optional[_Trace]] = {}

    def path_of(self, name: str) -> str:
        """The file of the segment ``name``."""
        return str(self.folder / f"{name}{SEGMENT_SUFFIX}")

    @staticmethod
    def name_of(file: str) -> Optional[str]:
        """The name of the segment that a file could be; None if it is none of this host's by its name."""
        if not file.endswith(SEGMENT_SUFFIX) or file.startswith((MIRROR_PREFIX, ".")):
            return None
        return file[: -len(SEGMENT_SUFFIX)]

    def scan(self) -> list[str]:
        """Names of all files that are not as they were when they were looked at, or are gone since; sorted.

        A folder that cannot be read has no files.
        """
        changed, there = [], set()
        try:
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    name = self.name_of(entry.name)
                    if name is not None:
                        there.add(name)
                        if name not in self._traces or _trace_at(entry.path) != self._traces[name]:
                            changed.append(name)
        except OSError:
            there.clear()
        return sorted(changed + [name for name in self._traces if name not in there])

    def look(self, name: str) -> tuple[Optional[SegmentFacts], Optional[str]]:
        """What a file is: a segment, or why it is none; neither if there is no file, or a mirror."""
        path = self.path_of(name)
        self.mirrors.discard(name)
        if not os.path.lexists(path):
            self._traces.pop(name, None)
            return None, None
        try:
            check_name(name)
            fd = open_file(path, is_writable=False)
            try:
                geometry, facts = examine(path, fd)
                created = os.pread(fd, HEADER_BYTES, 0)[CREATION_TIME : CREATION_TIME + 8]
                said = read_mark(fd, geometry)
            finally:
                os.close(fd)
        except (SegmentError, UsageError) as error:
            self._traces[name] = _trace_at(path)
            return None, str(error)
        self._traces[name] = _trace(facts)
        if said is not None and is_mark_of(said, name):
            self.mirrors.add(name)
            return None, None
        return SegmentFacts(
            name,
            geometry.shape,
            geometry.dtype,
            geometry.layout.value,
            geometry.depth,
            geometry.frame_bytes,
            f"{facts.st_ino}-{created.hex()}",
        ), None


def _trace_at(path: str) -> Optional[_Trace]:
    try:
        return _trace(os.stat(path))
    except OSError:
        return None


def _trace(facts: os.stat_result) -> _Trace:
    return facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns
