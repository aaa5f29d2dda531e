"""What became of a frame that was written into a mirror: whether the owner of its source has it.

The mirror's worker says so in two of the mirror's keywords, each the counter of a frame of the mirror; what is here
reads them.
"""

from __future__ import annotations

import struct
import time
from typing import Optional

from daosup.core.layout import KEYWORD_BYTES
from daosup.core.mirror_names import FRESHNESS
from daosup.errors import DeniedError, NoAnswerError, UnavailableError, UnsupportedError
from daosup.shm.keywords import Keywords, decode

#: Instead of the counter of the newest frame that the owner took: what is written here goes nowhere; or it does, but
#: the owner runs the existing daemon, which never says what it took.
NOT_WRITTEN_BACK = -1
UNACKNOWLEDGED = -2
#: Between two looks. An answer takes some hundred microseconds on a local network.
_PAUSE_S = 0.00005
_VALUE_AT = 24
_VALUE = struct.Struct("<q")
_LINK, _DROPPED, _WRITTEN, _REFUSED = (
    FRESHNESS.index(name) for name in ("NET_LINK", "NET_DROPPED", "NET_WRITTEN", "NET_REFUSED")
)


def is_mirror(keywords: Keywords) -> bool:
    """Whether these are the keywords of a mirror."""
    raw = keywords.raw(len(FRESHNESS))
    slots = [decode(raw[start : start + KEYWORD_BYTES]) for start in range(0, len(raw), KEYWORD_BYTES)]
    return tuple(slot.name for slot in slots if slot is not None) == FRESHNESS


def link_of(keywords: Keywords) -> Optional[bool]:
    """Whether a mirror is linked to its source, as its keywords tell; None of a segment that is no mirror."""
    if not is_mirror(keywords):
        return None
    return bool(_VALUE.unpack_from(keywords.raw(len(FRESHNESS)), _LINK * KEYWORD_BYTES + _VALUE_AT)[0])


def skipped_of(keywords: Keywords) -> int:
    """How many frames of its source a mirror did not get, as its keywords tell; 0 of a segment that is no mirror."""
    if not is_mirror(keywords):
        return 0
    return int(_VALUE.unpack_from(keywords.raw(len(FRESHNESS)), _DROPPED * KEYWORD_BYTES + _VALUE_AT)[0])


def is_written_back(keywords: Keywords) -> bool:
    """Whether what is written into a mirror goes to its source, as its keywords tell."""
    raw = keywords.raw(len(FRESHNESS))
    return bool(_VALUE.unpack_from(raw, _WRITTEN * KEYWORD_BYTES + _VALUE_AT)[0] != NOT_WRITTEN_BACK)


def wait_until_written(keywords: Keywords, counter: int, timeout_s: float, path: str) -> None:
    """Wait until the owner has the frame with this counter of the mirror at ``path``, or a newer one written here.

    Raises:
        UnsupportedError: If what is written here goes nowhere.
        DeniedError: If the owner did not take the frame.
        UnavailableError: If there is no link to the owner.
        NoAnswerError: If there was no answer within ``timeout_s``: the frame may still arrive, or not.
    """
    deadline_s = time.monotonic() + timeout_s
    while True:
        raw = keywords.raw(len(FRESHNESS))
        has_link, written, refused = (
            _VALUE.unpack_from(raw, index * KEYWORD_BYTES + _VALUE_AT)[0] for index in (_LINK, _WRITTEN, _REFUSED)
        )
        if written == UNACKNOWLEDGED:
            raise UnsupportedError(
                f"{path}: frame {counter} was sent, but its owner runs the existing daemon, which never answers"
            )
        if written < 0:
            raise UnsupportedError(
                f"{path}: this mirror is not written back; ask for that with `daosupctl mirror HOST:NAME --write-back` "
                "or daosup.open(..., write_back=True)"
            )
        if written >= counter:
            return
        if refused >= counter:
            raise DeniedError(f"{path}: frame {counter} was not taken by its owner; `daosupctl status` says why")
        if not has_link:
            raise UnavailableError(f"{path}: frame {counter} was not taken, as there is no link to its owner")
        if time.monotonic() >= deadline_s:
            raise NoAnswerError(
                f"{path}: no word of frame {counter} within {timeout_s:g} s; it may still arrive, or not"
            )
        time.sleep(_PAUSE_S)
