"""Which segments a folder has.

Invariant: a file that is not a segment, or a mirror of another host's, is not listed; one that did not change since the
last look is not opened again.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from daosup.core.layout import CREATION_TIME, HEADER_BYTES
from daosup.core.types import MIRROR_PREFIX, SEGMENT_SUFFIX, SegmentFacts, check_name
from daosup.errors import SegmentError, UsageError
from daosup.shm.memory import examine, open_file

_Trace = tuple[int, int, int, int]


@dataclass
class _Known:
    trace: _Trace
    facts: Optional[SegmentFacts]


class SegmentFolder:
    """Looks through one folder again and again.

    Attributes:
        refused: Why files that look like segments by name are none, by name.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.refused: dict[str, str] = {}
        self._known: dict[str, _Known] = {}

    def path_of(self, name: str) -> str:
        """The file of the segment ``name``."""
        return str(self.folder / f"{name}{SEGMENT_SUFFIX}")

    def look(self) -> tuple[SegmentFacts, ...]:
        """The segments there now, by name; none if the folder cannot be read."""
        before, self._known, refused = self._known, {}, self.refused
        self.refused = {}
        try:
            entries = sorted(os.scandir(self.folder), key=lambda entry: entry.name)
        except OSError as error:
            self.refused = {str(self.folder): error.strerror or str(error)}
            return ()
        for entry in entries:
            if not entry.name.endswith(SEGMENT_SUFFIX) or entry.name.startswith(MIRROR_PREFIX):
                continue
            try:
                facts = entry.stat()
            except OSError:
                continue  # gone meanwhile, or a link to nothing
            trace = (facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
            known = before.get(entry.name)
            if known is None or known.trace != trace:
                known = _Known(trace, self._examine(entry.name[: -len(SEGMENT_SUFFIX)], entry.path))
            elif known.facts is None and entry.name in refused:
                self.refused[entry.name] = refused[entry.name]
            self._known[entry.name] = known
        return tuple(known.facts for known in self._known.values() if known.facts is not None)

    def _examine(self, name: str, path: str) -> Optional[SegmentFacts]:
        try:
            check_name(name)
            fd = open_file(path, is_writable=False)
            try:
                geometry, facts = examine(path, fd)
                created = os.pread(fd, HEADER_BYTES, 0)[CREATION_TIME : CREATION_TIME + 8]
            finally:
                os.close(fd)
        except (SegmentError, UsageError) as error:
            self.refused[name + SEGMENT_SUFFIX] = str(error)
            return None
        return SegmentFacts(
            name,
            geometry.shape,
            geometry.dtype,
            geometry.layout.value,
            geometry.depth,
            geometry.frame_bytes,
            f"{facts.st_ino}-{created.hex()}",
        )
