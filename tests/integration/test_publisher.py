"""A publisher's loop around the pump: what it tells, and what readers get of it, while the frames need nobody."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import zmq

from daosup.core.header import MAGIC, Flag, Header, Kind, decode_header
from daosup.core.layout import CNT0, WRITE
from daosup.shm import Segment
from tests.integration.fleet import Fleet
from tests.integration.streams import Stream, filming, stream
from tests.waiting import wait_until

#: Shorter than what a publisher takes for one.
PAUSE_NS = 15_000_000


def set_field(segment: Segment, offset: int, raw: bytes) -> None:
    """What another program does to the file."""
    with open(segment.path, "r+b") as file:
        file.seek(offset)
        file.write(raw)


@contextlib.contextmanager
def reader_of(one: Stream) -> Iterator[zmq.Socket[bytes]]:
    """A reader of its own at the publisher's port."""
    row = one.hosts.rts.worker(one.source)
    assert row is not None
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVTIMEO, 3000)
        socket.setsockopt(zmq.SUBSCRIBE, MAGIC)
        socket.connect(f"tcp://127.0.0.1:{row['port']}")
        yield socket


def test_while_frames_flow_each_is_sent_once_and_the_stream_is_described(hosts: Fleet) -> None:
    with stream(hosts, "flowing") as one, filming(one.segment, 0.002), reader_of(one) as socket:
        headers = [decode_header(socket.recv())]
        until_ns = headers[0].send_time_ns + 2_500_000_000
        while len(headers) < 500 or headers[-1].send_time_ns < until_ns:
            headers.append(decode_header(socket.recv()))
    began_ns = headers[0].send_time_ns
    # A writer that was kept waiting leaves a pause, in which the stream is described without a frame.
    assert all(
        _has_frame(now) or now.send_time_ns > last.send_time_ns + PAUSE_NS for last, now in zip(headers, headers[1:])
    )
    headers = [header for header in headers if _has_frame(header)]
    described = [header for header in headers if header.kind == Kind.DESCRIBE]
    # At first the subscription is answered, and then the stream is described once a second.
    assert described[0].send_time_ns < began_ns + 500_000_000
    lasted_s = (headers[-1].send_time_ns - began_ns) / 1e9
    assert 1 <= sum(header.send_time_ns > began_ns + 700_000_000 for header in described) <= lasted_s + 0.5
    # What describes stands for a frame: each is sent once, however often the loop looked around meanwhile.
    flowing = [header for header in headers if header.send_time_ns > began_ns + 700_000_000]
    counters = [header.counter for header in flowing]
    assert counters == sorted(set(counters))
    assert len(counters) > 200
    # A reader that was kept waiting misses some; but nothing else than a frame ever takes a number.
    steps = [(now.sequence - last.sequence, now.counter - last.counter) for last, now in zip(flowing, flowing[1:])]
    assert all(0 < of_sequence <= of_counter for of_sequence, of_counter in steps)


def _has_frame(header: Header) -> bool:
    return header.kind != Kind.DESCRIBE or bool(header.flags & Flag.HAS_FRAME)


def test_a_new_reader_of_a_flowing_stream_is_answered_at_once(hosts: Fleet) -> None:
    with stream(hosts, "asked") as one, filming(one.segment, 0.002):
        for _ in range(5):
            with reader_of(one) as socket:
                headers = [decode_header(socket.recv())]
                while headers[-1].kind != Kind.DESCRIBE:
                    headers.append(decode_header(socket.recv()))
                header = headers[-1]
                # What its owner does at once may take a while where others have the machine: it is told by frames.
                assert len(headers) < 100
                assert header.flags & Flag.HAS_FRAME


def test_a_writer_that_died_while_writing_is_told_of_though_readers_ask_all_the_time(hosts: Fleet) -> None:
    with stream(hosts, "dead_writer") as one, reader_of(one) as socket:
        log = hosts.rts.log_file

        def is_told(what: str) -> bool:
            socket.setsockopt(zmq.SUBSCRIBE, MAGIC + b"\xff?")
            socket.setsockopt(zmq.UNSUBSCRIBE, MAGIC + b"\xff?")
            return f"publisher {what}" in log.read_text()

        set_field(one.segment, WRITE, b"\x01")
        set_field(one.segment, CNT0, (one.segment.counter + 1).to_bytes(8, "little"))
        wait_until(lambda: is_told("finds no whole frame"), 5.0, "the operator to be told")
        assert "publisher finds whole frames again" not in log.read_text()
        one.segment.write(np.full((16, 16), 5, "uint16"))
        wait_until(lambda: is_told("finds whole frames again"), 5.0, "the operator to be told that it is over")
        one.check_going()
