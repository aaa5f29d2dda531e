"""The two ends of a stream: the owner's, which sends a segment to one reader; the reader's, which fills a mirror."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from contextlib import suppress
from typing import Optional

import numpy as np

from tests.dnet_service import wire
from tests.dnet_service.segments import Segment
from tests.dnet_service.wire import Header
from tests.old_daemon.segments import DTYPES, create, identity

POLL_S = 0.0005
HEARTBEAT_S = 1.0
SILENCE_S = 4.0
RECONNECT_S = (0.25, 2.0)

NET_KEYWORDS = ("NET_REPLICA", "NET_LINK", "NET_AGE_US", "NET_DROPPED", "NET_SRC_CNT", "NET_SRC_TIME")


class Broken(ConnectionError):
    """The link is broken, and why."""


class Link:
    """What both ends do: whole messages over one connection, heartbeats, and giving up on who is silent."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(SILENCE_S)
        self.sent_s = self.heard_s = time.monotonic()
        self.is_mute = False
        self.sequence = 0

    def send(self, header: Header, *payload: bytes) -> None:
        self.sequence += 1
        header = header._replace(seq=self.sequence, size=sum(map(len, payload)))
        self.connection.sendall(b"".join((header.pack(), *payload)))
        self.sent_s = time.monotonic()

    def beat(self) -> None:
        now = time.monotonic()
        if now >= self.sent_s + HEARTBEAT_S and not self.is_mute:
            self.send(Header(wire.HEARTBEAT))
        if now >= self.heard_s + SILENCE_S:
            raise Broken(f"silent for {SILENCE_S:g} s")

    def has_more(self, wait_s: float) -> bool:
        return bool(select.select([self.connection], [], [], wait_s)[0])

    def read(self, count: int) -> bytes:
        found = bytearray(count)
        self.read_into(memoryview(found))
        return bytes(found)

    def read_into(self, memory: memoryview) -> None:
        """Fill ``memory``, and let go of it whatever happens: an error on its way would hold on to it."""
        done = 0
        with memory:
            while done < len(memory):
                with memory[done:] as rest:
                    count = self.connection.recv_into(rest)
                if not count:
                    raise Broken("closed by the other end")
                done += count
        self.heard_s = time.monotonic()


class Sources:
    """What all readers of one segment share: the one lock, and how the owner is to misbehave."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.is_torn = self.is_cut = False


class OwnerLink(Link):
    """Sends one segment to one reader, and takes its writes."""

    def __init__(self, connection: socket.socket, path: str, reader: str, source: Sources) -> None:
        super().__init__(connection)
        self.path, self.reader, self.source = path, reader, source
        self.frames = self.dropped = self.written = self.ignored = 0
        self._echo = -1

    def run(self) -> None:
        segment = self._open()
        last = segment.counter - 1 if segment.counter else 0
        try:
            while True:
                if identity(self.path) != segment.identity:
                    with suppress(ValueError):  # else it is just being made
                        again = self._open()
                        segment.close()
                        segment, last = again, 0
                if segment.keywords != self._keywords:
                    self._describe(segment)
                if segment.counter != last:
                    last = self._send_frame(segment, last)
                if self.has_more(POLL_S):
                    self._take(segment)
                self.beat()
        finally:
            segment.close()

    def _open(self) -> Segment:
        segment = Segment(self.path)
        self._describe(segment)
        return segment

    def _describe(self, segment: Segment) -> None:
        self._keywords = segment.keywords
        self.send(Header(wire.META, cnt0=segment.counter), segment.meta.pack())

    def _send_frame(self, segment: Segment, last: int) -> int:
        counter = segment.counter
        frame = segment.read().tobytes()
        after = segment.counter
        self.dropped += max(0, counter - last - 1)
        flags = wire.ECHO if counter == self._echo else 0
        header = Header(wire.FRAME, flags, self.dropped, counter, atime_ns=segment.atime_ns)
        if self.source.is_torn:
            after += 1
        if self.source.is_cut:
            self.source.is_cut = False
            whole = header._replace(size=len(frame) + 8).pack() + frame
            self.connection.sendall(whole[: wire.HEADER.size + len(frame) // 2])
            raise Broken("was told to stop in the middle of a frame")
        self.send(header, frame, wire.COUNTER.pack(after))
        self.frames += 1
        return counter

    def _take(self, segment: Segment) -> None:
        header = wire.unpack_header(self.read(wire.HEADER.size))
        if header.type == wire.BYE:
            raise Broken("BYE")
        if header.size > segment.frame_bytes + wire.SLACK_BYTES:
            raise Broken(f"message of {header.size} bytes")
        payload = self.read(header.size)
        if header.type != wire.WRITE:
            return
        if len(payload) != segment.frame_bytes:
            self.ignored += 1
            return
        frame = np.frombuffer(payload, segment.dtype).reshape(segment.shape)
        with self.source.lock:
            segment.write(frame, self._note_echo)
        self.written += 1

    def _note_echo(self, counter: int) -> None:
        self._echo = counter


class ReaderLink(Link):
    """Fills a mirror from its owner, and sends it what is written here."""

    def __init__(self, connection: socket.socket, path: str) -> None:
        super().__init__(connection)
        self.path = path
        self.frames = self.torn = self.echoes = self.sent = self.metas = self.dropped = 0
        self.counter = -1
        self._segment: Optional[Segment] = None
        self._known = 0

    def run(self) -> None:
        try:
            while True:
                if self.has_more(POLL_S):
                    self._take()
                segment = self._segment
                if segment is not None and segment.counter != self._known:
                    self._known = segment.counter
                    self.send(Header(wire.WRITE, cnt0=self._known, atime_ns=segment.atime_ns), segment.read().tobytes())
                    self.sent += 1
                self.beat()
        finally:
            if self._segment is not None:
                self._say(0, 0, 0)
                self._segment.close()

    def _take(self) -> None:
        header = wire.unpack_header(self.read(wire.HEADER.size))
        if header.type == wire.BYE:
            raise Broken("BYE")
        if header.type == wire.META:
            self._adopt(wire.Meta.unpack(self.read(header.size)))
        elif header.type == wire.FRAME:
            self._fill(header)
        else:
            self.read(header.size)

    def _adopt(self, meta: wire.Meta) -> None:
        self.metas += 1
        own = b"".join(wire.keyword(name, 0) for name in NET_KEYWORDS)
        if self._segment is not None:
            self._segment.close()
        before = Segment(self.path) if os.path.exists(self.path) else None
        is_same = (
            before is not None
            and before.meta[1:3] == meta[1:3]
            and len(before.keywords) == len(meta.keywords) + len(own)
        )
        if before is not None:
            before.close()
        if not is_same:
            create(self.path, meta.shape, DTYPES[meta.atype - 1], keywords=meta.keywords + own)
        self._segment = Segment(self.path)
        for index in range(len(meta.keywords) // wire.KEYWORD.size):
            begin = index * wire.KEYWORD.size
            self._segment.put_keyword(index, meta.keywords[begin : begin + wire.KEYWORD.size])
        self._own_from = len(meta.keywords) // wire.KEYWORD.size
        self._known = self._segment.counter

    def _fill(self, header: Header) -> None:
        segment = self._segment
        assert segment is not None, "FRAME before META"
        assert header.size == segment.frame_bytes + 8, f"FRAME of {header.size} bytes"
        self.dropped = header.dropped
        if header.flags & wire.ECHO:
            self.read(header.size)
            self.echoes += 1
            self.counter = header.cnt0
            return
        self.read_into(segment.frame_view())  # the weakness: nobody can tell that it is only half here
        (after,) = wire.COUNTER.unpack(self.read(8))
        if after != header.cnt0:
            self.torn += 1
            return
        self._known = segment.publish(header.atime_ns)
        self.counter = header.cnt0
        self.frames += 1
        self._say(1, header.cnt0, header.atime_ns)

    def _say(self, link: int, counter: int, atime_ns: int) -> None:
        assert self._segment is not None
        age_us = max(0, time.time_ns() - atime_ns) // 1000 if atime_ns else 0
        values = (1, link, age_us, self.dropped, counter, atime_ns)
        for index, (name, value) in enumerate(zip(NET_KEYWORDS, values)):
            self._segment.put_keyword(self._own_from + index, wire.keyword(name, value))
