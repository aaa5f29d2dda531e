"""A reader's end of a stream.

Invariants: of what has arrived only the newest message is handed on, and what a full queue held back counts as arrived;
so a reader that was stopped, or takes a frame now and then, goes on with the present. Whoever reads is told of each
message that is passed over.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Callable, Optional

import zmq

from daosup.core.header import MAGIC, MAX_FRAME_BYTES
from daosup.core.writing import is_answer
from daosup.stream.sender import share_libzmq
from daosup.stream.sockets import RECEIVED_FRAMES, RECEIVING, put_options

#: While frames pour in faster than they are taken out, one is handed on after so long at the latest.
PASS_OVER_S = 0.02
#: What a queue had no room for comes so soon.
REFILL_MS = 1
#: A stream is asked to describe itself again at most so often.
ASK_PAUSE_S = 0.05
#: A second subscription below the first one's topic, which no message has, only to be noticed by the sender.
_NONCE_BYTES = 4


class Receiver:
    """Takes the newest message from a sender; what is in it is the caller's to judge.

    Attributes:
        address: Of the socket, for ``Window.take_frames``.

    Args:
        endpoint: ``tcp://HOST:PORT``; it does not matter whether anybody listens there yet.
        on_passed_over: Called with each message that is passed over.
        on_answer: Called with each answer to a writer.
    """

    def __init__(
        self,
        endpoint: str,
        on_passed_over: Callable[[memoryview], None],
        on_answer: Optional[Callable[[memoryview], None]] = None,
    ) -> None:
        share_libzmq()
        self._on_passed_over = on_passed_over
        self._on_answer = on_answer
        self._context = zmq.Context(io_threads=1)
        self._socket = self._context.socket(zmq.SUB)
        most_bytes = MAX_FRAME_BYTES + 16 * 1024 * 1024
        put_options(self._socket, {**RECEIVING, zmq.MAXMSGSIZE: most_bytes})
        self._socket.setsockopt(zmq.SUBSCRIBE, MAGIC)
        self._endpoint = endpoint
        self._socket.connect(endpoint)
        self.address = int(self._socket.underlying)
        self._asked = 0.0

    def receive(self) -> Optional[memoryview]:
        """Wait a moment for a message, and return the newest one that is there by then; None if none came."""
        newest: Optional[memoryview] = None
        for message in self._arrived():
            if self._on_answer is not None and is_answer(message):
                self._on_answer(message)
                continue
            if newest is not None:
                self._on_passed_over(newest)
            newest = message
        return newest

    def _arrived(self) -> Iterator[memoryview]:
        """All that waits to be taken; if nothing does, the next message that comes.

        Behind a queue that was full there may be more, in the kernel and at the sender, all of it older than what is
        written just now.
        """
        until_s = time.monotonic() + PASS_OVER_S
        count = 0
        while count == 0 or time.monotonic() < until_s:
            try:
                yield self._socket.recv(zmq.NOBLOCK, copy=False).buffer
                count += 1
            except zmq.Again:
                if count == 0:
                    with suppress(zmq.Again):
                        yield self._socket.recv(copy=False).buffer
                    return
                if count < RECEIVED_FRAMES or not self._socket.poll(REFILL_MS):
                    return

    def subscribe(self, topic: bytes) -> None:
        """Have messages that begin so, too."""
        self._socket.setsockopt(zmq.SUBSCRIBE, topic)

    def connect_anew(self) -> None:
        """Begin another connection: an owner that is gone without a word is not noticed by libzmq."""
        self._socket.disconnect(self._endpoint)
        self._socket.connect(self._endpoint)

    def ask_description(self) -> None:
        """Let the sender notice us, so that it describes itself and sends the newest frame."""
        now = time.monotonic()
        if now < self._asked + ASK_PAUSE_S:
            return
        self._asked = now
        topic = MAGIC + b"\xff" + os.urandom(_NONCE_BYTES)
        self._socket.setsockopt(zmq.SUBSCRIBE, topic)
        self._socket.setsockopt(zmq.UNSUBSCRIBE, topic)

    def close(self) -> None:
        """Disconnect."""
        self._socket.close()
        self._context.term()
