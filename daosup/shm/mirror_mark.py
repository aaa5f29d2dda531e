"""How a mirror's file says that it is one.

Invariants: a file has its mark from the moment it has its name; the mark names the file itself and the source. So it is
neither inherited by a segment to which somebody copies keywords nor mistaken for that of another service.
"""

from __future__ import annotations

import os
from typing import Optional

from daosup.core.layout import KEYWORD_BYTES, Geometry
from daosup.core.mirror_names import FRESHNESS, mark_of
from daosup.errors import SegmentError
from daosup.shm.keywords import Keyword, decode
from daosup.shm.memory import examine, open_file


def mark(name: str, source: str) -> Keyword:
    """The keyword by which a mirror ``name`` says that it mirrors ``source``."""
    return Keyword(FRESHNESS[0], 1, mark_of(name, source))


def read_mark(fd: int, geometry: Geometry) -> Optional[str]:
    """What a segment's file says that it mirrors, as ``mark_of`` has it; None if it does not call itself a mirror."""
    index = geometry.keyword_count - len(FRESHNESS)
    if index < 0:
        return None
    try:
        raw = os.pread(fd, KEYWORD_BYTES, geometry.keywords_offset + index * KEYWORD_BYTES)
    except OSError:
        return None
    keyword = decode(raw) if len(raw) == KEYWORD_BYTES else None
    is_mark = keyword is not None and keyword.name == FRESHNESS[0] and keyword.value == 1
    return keyword.comment if is_mark and keyword is not None else None


def mark_at(path: str) -> Optional[str]:
    """The same of the file at ``path``; None also if there is no segment, or none that may be read."""
    try:
        fd = open_file(path, is_writable=False)
    except SegmentError:
        return None
    try:
        return read_mark(fd, examine(path, fd)[0])
    except SegmentError:
        return None
    finally:
        os.close(fd)
