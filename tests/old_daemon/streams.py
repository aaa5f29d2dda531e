"""The old stream's two ends, as threads."""

from __future__ import annotations

import os
import pickle
import threading
import traceback
from typing import Any, Callable, Optional

import numpy as np
import zmq

from tests.old_daemon.segments import Segment, create, identity

TOPIC = b"frameData"
_RECEIVE_MS = 50


class Thread:
    """A loop in a thread: ``turn`` is called until it is stopped; an error is kept and the loop goes on."""

    def __init__(self, turn: Callable[[], None], period_s: float) -> None:
        self.error: Optional[str] = None
        self._turn, self._period_s = turn, period_s
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                self._turn()
            except Exception:  # one bad turn must not end the daemon, and tests see what it was
                self.error = traceback.format_exc()
            self._ending.wait(self._period_s)

    def stop(self) -> None:
        self._ending.set()
        self._thread.join()


class Written:
    """The counters of frames that came from the other side, so that they are not sent back to it.

    Not known: whether and how the existing daemon avoids to echo; without something like this a bidirectional pair of
    them would never come to rest.
    """

    def __init__(self) -> None:
        self.last = -1

    def note(self, counter: int) -> None:
        self.last = counter


class Publisher:
    """Sends each new frame of a segment: the counter is polled."""

    def __init__(self, path: str, poll_s: float, port: int = 0, received: Optional[Written] = None) -> None:
        self.frames = 0
        self._path, self._received = path, received
        self._segment = Segment(path)
        self._last = self._segment.counter
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(f"tcp://*:{port or '*'}")
        self.port = int(self._socket.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])
        self.thread = Thread(self._turn, poll_s)

    def _turn(self) -> None:
        if not os.path.exists(self._path):
            return
        # Not known: how the existing daemon notices that a segment was made anew. Its frames then have the new shape.
        if identity(self._path) != self._segment.identity:
            self._segment.close()
            self._segment = Segment(self._path)
            self._last = 0
        counter = self._segment.counter
        if counter == self._last:
            return
        self._last = counter
        if self._received is not None and counter == self._received.last:
            return
        self._socket.send_multipart([TOPIC, pickle.dumps(self._segment.read())])
        self.frames += 1

    def stop(self) -> None:
        self.thread.stop()
        self._socket.close()
        self._context.term()
        self._segment.close()


class Subscriber:
    """Writes each frame that comes into a segment."""

    def __init__(self, path: str, address: str, port: int, received: Written) -> None:
        self.frames = 0
        self.port = port
        self._path, self._received = path, received
        self._segment = Segment(path)
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RCVTIMEO, _RECEIVE_MS)
        self._socket.setsockopt(zmq.SUBSCRIBE, TOPIC)
        self._socket.connect(f"tcp://{address}:{port}")
        self.thread = Thread(self._turn, 0.0)

    def _turn(self) -> None:
        try:
            topic, pickled = self._socket.recv_multipart()
        except zmq.Again:
            return
        assert topic == TOPIC, f"topic {topic!r}"
        frame: np.ndarray[Any, Any] = pickle.loads(pickled)
        if (frame.shape, frame.dtype.name) != (tuple(self._segment.shape), self._segment.dtype):
            self._segment.close()
            create(self._path, frame.shape, frame.dtype.name)
            self._segment = Segment(self._path)
        self._segment.write(frame, self._received.note)
        self.frames += 1

    def stop(self) -> None:
        self.thread.stop()
        self._socket.close()
        self._context.term()
        self._segment.close()
