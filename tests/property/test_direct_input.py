"""Whatever a reader says to a direct sender: messages come out whole and in order; nonsense ends that reader alone."""

from __future__ import annotations

import socket
from typing import Optional

from hypothesis import given
from hypothesis import strategies as st

from daosup.shm._native import DirectSender
from tests.integration.direct_links import AGAIN, ASK, BYE, FRAME, HEADER, HEARTBEAT, META, WRITE, message

FRAME_BYTES = 24
MOST_BYTES = 100

good = st.one_of(
    st.tuples(st.sampled_from([HEARTBEAT, AGAIN]), st.just(b"")),
    st.tuples(st.just(WRITE), st.binary(min_size=FRAME_BYTES, max_size=FRAME_BYTES)),
    st.tuples(st.just(WRITE), st.binary(max_size=3 * MOST_BYTES)),
    st.tuples(st.just(ASK), st.binary(max_size=MOST_BYTES)),
)
bad = st.one_of(
    st.just(message(HEARTBEAT, b"x")),
    st.just(message(AGAIN, b"x")),
    st.just(message(META)),
    st.just(message(FRAME, bytes(FRAME_BYTES + 8))),
    st.just(message(ASK, size=MOST_BYTES + 1)),
    st.just(message(WRITE, size=2**64 - 1)),
    st.just(message(HEARTBEAT, magic=0)),
    st.binary(min_size=HEADER.size, max_size=HEADER.size).filter(lambda raw: raw[:4] != b"DNET"),
)


def tended(sender: DirectSender, near_id: int) -> tuple[list[tuple[int, bytes]], bool]:
    """What a reader said, until nothing more comes; whether it is gone."""
    heard: list[tuple[int, bytes]] = []
    while said := sender.tend():
        for id, kind, payload in said:
            assert id == near_id
            if kind == 0:
                return heard, True
            heard.append((kind, payload))
    return heard, False


def pieces(raw: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in cuts)})
    return [raw[start:end] for start, end in zip(places, places[1:])]


@given(st.lists(good, max_size=8), st.one_of(st.none(), bad, st.just(message(BYE))), st.lists(st.integers(0, 5000)))
def test_messages_come_out_whole_however_they_were_cut_until_one_is_none(
    said: list[tuple[int, bytes]], end: Optional[bytes], cuts: list[int]
) -> None:
    near, far = socket.socketpair()
    sender = DirectSender(MOST_BYTES)
    with far:
        sender.begin(FRAME_BYTES, message(META), message(META))
        id = sender.add(near.detach(), True, may_write=True)
        raw = b"".join(message(kind, payload) for kind, payload in said) + (end or b"")
        heard: list[tuple[int, bytes]] = []
        is_gone = False
        for piece in pieces(raw, cuts):
            if is_gone:
                break
            far.sendall(piece)
            more, is_gone = tended(sender, id)
            heard += more
        wanted = [
            (kind, payload) for kind, payload in said if kind == ASK or (kind == WRITE and len(payload) == FRAME_BYTES)
        ]
        assert heard == wanted
        assert is_gone == (end is not None)
        assert sender.count == (end is None)
    sender.close()


@given(st.binary(max_size=500), st.booleans())
def test_no_bytes_do_more_than_end_their_reader(raw: bytes, may_write: bool) -> None:
    near, far = socket.socketpair()
    near_other, other = socket.socketpair()
    sender = DirectSender(MOST_BYTES)
    with far, other:
        sender.begin(FRAME_BYTES, message(META), message(META))
        sender.add(near.detach(), False, may_write=may_write)
        kept = sender.add(near_other.detach(), True)
        far.sendall(raw)
        far.shutdown(socket.SHUT_WR)
        sender.tend()
        assert [facts[0] for facts in sender.readers()] == [kept]
        assert other.recv(1000) == message(META)
    sender.close()
