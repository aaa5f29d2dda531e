"""What a segment's file says of itself, its keywords included, read without mapping it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Optional

from daosup.core.layout import KEYWORD_BYTES, Geometry
from daosup.errors import SegmentError
from daosup.shm.keywords import Keyword, decode
from daosup.shm.memory import examine, open_file


@dataclass(frozen=True)
class SegmentLook:
    """A file as it is now: what it holds, and those of its keywords that are used; or why it is no segment."""

    geometry: Optional[Geometry] = None
    keywords: tuple[Keyword, ...] = ()
    error: Optional[str] = None


def look_at(path: str) -> SegmentLook:
    """Read the file at ``path``."""
    try:
        fd = open_file(path, is_writable=False)
        try:
            geometry = examine(path, fd)[0]
            raw = os.pread(fd, geometry.keyword_count * KEYWORD_BYTES, geometry.keywords_offset)
        finally:
            os.close(fd)
    except (SegmentError, OSError) as error:
        return SegmentLook(error=str(error))
    slots = (raw[at : at + KEYWORD_BYTES] for at in range(0, len(raw) - KEYWORD_BYTES + 1, KEYWORD_BYTES))
    found = (decode(slot) for slot in slots)
    return SegmentLook(geometry, tuple(each for each in found if each is not None and each.name))
