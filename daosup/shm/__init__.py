"""Segments: the files ``NAME.im.shm`` through which DAO programs of one host exchange frames."""

from daosup.shm.keywords import Keyword, Keywords
from daosup.shm.segment import Segment

__all__ = ["Keyword", "Keywords", "Segment"]
