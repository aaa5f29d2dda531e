"""Segments: the files ``NAME.im.shm`` through which DAO programs of one host exchange frames.

NumPy is imported with `Segment`, and not before: who only looks at segments, as the supervisor does, starts without it.
"""

from __future__ import annotations

from daosup.shm.keywords import Keyword, Keywords

TYPE_CHECKING = False
if TYPE_CHECKING:
    from daosup.shm.segment import Segment

__all__ = ["Keyword", "Keywords", "Segment"]


def __getattr__(name: str) -> object:
    if name != "Segment":
        raise AttributeError(f"module 'daosup.shm' has no attribute {name!r}")
    from daosup.shm.segment import Segment

    globals()[name] = Segment
    return Segment
