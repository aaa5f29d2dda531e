"""Frames of the old protocol: two parts, the topic and the array pickled.

Invariant: what was received is never unpickled, and what is sent is never pickled; see ``core/pickled.py``.
"""

from __future__ import annotations

from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from daosup.core.pickle_machine import Buffer
from daosup.core.pickled import PickledArray, read_pickled

Array = npt.NDArray[Any]

#: The first part of each message, which old readers subscribe to.
OLD_TOPIC = b"frameData"


class OldFrames:
    """Decodes the frames of one stream.

    A frame that is pickled like the one before is recognised by what stands around its elements, and not read through.
    """

    def __init__(self) -> None:
        self._known: Optional[PickledArray] = None
        self._begin = self._end = b""
        self._message_bytes = 0

    def decode(self, message: Buffer) -> Array:
        """The array in a pickle.

        Returns:
            The frame, in C order, for reading only; a view of the message if it could be.

        Raises:
            ProtocolError: If there is anything but one plain array that a segment can hold.
        """
        known, view = self._known, memoryview(message)
        if known is not None and len(view) == self._message_bytes:
            start, stop = known.start, known.start + known.geometry.frame_bytes
            if view[:start] == self._begin and view[stop:] == self._end:
                return _array(known, view[start:stop])
        self._known = None
        found = read_pickled(message)
        if found.start >= 0:
            self._known = found._replace(elements=b"")  # and not the whole message
            self._begin = bytes(view[: found.start])
            self._end = bytes(view[found.start + found.geometry.frame_bytes :])
            self._message_bytes = len(view)
        return _array(found, found.elements)


def _array(found: PickledArray, elements: Buffer) -> Array:
    frame = np.frombuffer(elements, found.geometry.dtype).reshape(found.memory_shape)
    return np.ascontiguousarray(frame.transpose(found.axes))
