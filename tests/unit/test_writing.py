"""What goes upstream and what is answered: the messages, and who may write."""

from __future__ import annotations

import os
import struct

import pytest

from daosup.core.header import HEADER_BYTES, Flag, Kind, pack_header
from daosup.core.types import Writing
from daosup.core.writing import (
    FRAME_AT,
    HOLD_S,
    MOST_WRITERS,
    SHARED_WAY,
    TAKEN_MODULUS,
    Answer,
    Ask,
    Verdict,
    Write,
    Writers,
    ask_header,
    decode_answer,
    decode_upstream,
    encode_answer,
    is_answer,
    topic_of,
    write_header,
    writer_of,
)
from daosup.errors import ProtocolError

LAB, DESK = writer_of("lab"), writer_of("desk")
FRAME = bytes(range(100))


def asking(host: str = "lab", *, is_leaving: bool = False) -> bytes:
    message = bytearray(FRAME_AT + len(host))
    message[HEADER_BYTES:] = writer_of(host) + host.encode()
    pack_header(message, ask_header(7, 8, 5, host, is_leaving=is_leaving))
    return bytes(message)


def writing(frame: bytes = FRAME) -> bytes:
    message = bytearray(HEADER_BYTES) + LAB + frame
    pack_header(message, write_header(7, 8, 41, 42, 43, 44, len(frame)))
    return bytes(message)


def test_a_write_says_whose_it_is_and_which() -> None:
    header, write = decode_upstream(writing(), len(FRAME))
    assert write == Write(LAB, 41, 42, 43)
    assert (header.epoch, header.layout_id) == (7, 8)
    assert writing()[FRAME_AT:] == FRAME


@pytest.mark.parametrize("is_leaving", [False, True])
def test_a_question_says_whose_it_is(is_leaving: bool) -> None:
    assert decode_upstream(asking(is_leaving=is_leaving), len(FRAME))[1] == Ask(LAB, "lab", is_leaving, 5)


def changed(message: bytes, offset: int, piece: bytes) -> bytes:
    return message[:offset] + piece + message[offset + len(piece) :]


HOSTILE = {
    "noise": os.urandom(200),
    "a header alone": writing()[:HEADER_BYTES],
    "a frame that is cut": writing()[:-1],
    "a smaller frame": writing(FRAME[1:]),
    "a larger frame": writing(FRAME + b"x"),
    "a frame where a name should be": changed(writing(), 6, struct.pack("<H", Flag.NONE)),
    "another kind": changed(writing(), 5, bytes([Kind.FRAME])),
    "a name where a frame should be": changed(asking(), 6, struct.pack("<H", Flag.HAS_FRAME)),
    "no name": asking("x")[:-1],
    "a name too long": asking("x" * 64),
    "a name that is none": asking("a b"),
    "another's name": changed(asking(), HEADER_BYTES, DESK),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_neither_is_refused(what: str) -> None:
    with pytest.raises(ProtocolError):
        decode_upstream(HOSTILE[what], len(FRAME))


@pytest.mark.parametrize("verdict", Verdict)
def test_an_answer_comes_back_as_it_was(verdict: Verdict) -> None:
    answer = Answer(verdict, 2**63, "because ä", 65535)
    message = encode_answer(LAB, answer)
    assert is_answer(message)
    assert message.startswith(topic_of(LAB))
    assert decode_answer(message, LAB) == answer


def test_an_answer_for_another_or_of_an_unknown_kind_is_refused() -> None:
    message = encode_answer(LAB, Answer(Verdict.WRITTEN, 1, ""))
    for wrong in (message[:-1], message + bytes(500), changed(message, 12, b"\3"), changed(message, 13, b"\x63")):
        with pytest.raises(ProtocolError):
            decode_answer(wrong, LAB)
    with pytest.raises(ProtocolError, match="another writer"):
        decode_answer(message, DESK)


def test_a_long_reason_is_cut() -> None:
    assert len(decode_answer(encode_answer(LAB, Answer(Verdict.HELD, 1, "x" * 1000)), LAB).reason) == 400


# -- who may write


def ask(writers: Writers, host: str, now: float, *, is_leaving: bool = False) -> Answer:
    return writers.asked(Ask(writer_of(host), host, is_leaving), now)


def write(writers: Writers, host: str, now: float) -> Answer:
    return writers.wrote(Write(writer_of(host), 5, 0, 0), now)


def test_where_it_is_open_everybody_writes() -> None:
    writers = Writers("rts:dm", Writing.OPEN)
    assert write(writers, "lab", 0.0).verdict is Verdict.WRITTEN  # its question may have been lost
    assert ask(writers, "lab", 0.0) == Answer(Verdict.WRITTEN, 0, "")
    assert ask(writers, "desk", 0.0).verdict is Verdict.WRITTEN
    assert write(writers, "desk", 1.0) == Answer(Verdict.WRITTEN, 5, "")
    assert writers.hosts == ("desk", "lab")


def test_where_it_is_read_only_nobody_writes() -> None:
    writers = Writers("rts:dm", Writing.READ_ONLY)
    for answer in (ask(writers, "lab", 0.0), write(writers, "lab", 0.0)):
        assert answer.verdict is Verdict.READ_ONLY
        assert "rts:dm is read-only" in answer.reason


def test_of_two_the_first_writes_and_the_other_is_told_who_that_is() -> None:
    writers = Writers("rts:dm", Writing.SINGLE_WRITER)
    assert ask(writers, "lab", 0.0).verdict is Verdict.WRITTEN
    refused = ask(writers, "desk", 0.0)
    assert refused.verdict is Verdict.HELD
    assert "single writer, at present lab" in refused.reason
    assert write(writers, "desk", 0.1).verdict is Verdict.HELD
    assert write(writers, "lab", 0.1).verdict is Verdict.WRITTEN


def test_who_leaves_makes_room_at_once() -> None:
    writers = Writers("rts:dm", Writing.SINGLE_WRITER)
    ask(writers, "lab", 0.0)
    ask(writers, "lab", 0.1, is_leaving=True)
    assert writers.hosts == ()
    assert ask(writers, "desk", 0.1).verdict is Verdict.WRITTEN


def test_who_falls_silent_makes_room_after_a_while_and_has_to_ask_again() -> None:
    writers = Writers("rts:dm", Writing.SINGLE_WRITER)
    ask(writers, "lab", 0.0)
    ask(writers, "desk", HOLD_S - 0.1)
    assert write(writers, "desk", HOLD_S - 0.1).verdict is Verdict.HELD
    assert write(writers, "desk", HOLD_S).verdict is Verdict.WRITTEN
    assert write(writers, "lab", HOLD_S).verdict is Verdict.STALE
    assert ask(writers, "lab", HOLD_S).verdict is Verdict.HELD


def test_to_write_is_a_sign_of_life() -> None:
    writers = Writers("rts:dm", Writing.SINGLE_WRITER)
    ask(writers, "lab", 0.0)
    write(writers, "lab", HOLD_S - 0.1)
    assert ask(writers, "desk", HOLD_S + 1).verdict is Verdict.HELD


def test_there_are_not_more_than_so_many() -> None:
    writers = Writers("rts:dm", Writing.OPEN)
    for number in range(MOST_WRITERS):
        assert ask(writers, f"host{number}", 0.0).verdict is Verdict.WRITTEN
    assert ask(writers, "one-more", 1.0).verdict is Verdict.UNWRITABLE
    assert ask(writers, "one-more", HOLD_S).verdict is Verdict.WRITTEN


def test_a_writer_is_heard_by_one_way_at_a_time() -> None:
    writers = Writers("rts:dm", Writing.OPEN)
    assert writers.is_heard(LAB, SHARED_WAY)
    assert not writers.is_heard(LAB, 7)  # which nobody has by that name
    writers.connected("lab", 7)
    assert [writers.is_heard(LAB, way) for way in (SHARED_WAY, 7, 8)] == [False, True, False]
    assert writers.is_heard(DESK, SHARED_WAY)
    writers.connected("lab", 8)
    writers.disconnected(7)
    assert [writers.is_heard(LAB, way) for way in (SHARED_WAY, 7, 8)] == [False, False, True]
    writers.disconnected(8)
    assert [writers.is_heard(LAB, way) for way in (SHARED_WAY, 8)] == [True, False]


def test_what_was_taken_of_a_writer_is_counted_for_as_long_as_it_is_known() -> None:
    writers = Writers("rts:dm", Writing.OPEN)
    ask(writers, "lab", 0.0)
    for _ in range(TAKEN_MODULUS + 2):
        writers.took(writer_of("lab"))
    ask(writers, "lab", 1.0)
    assert writers.taken_of(writer_of("lab")) == 2
    writers.took(writer_of("stranger"))
    assert writers.taken_of(writer_of("stranger")) == 0
    writers.expire(1.0 + HOLD_S)
    assert writers.taken_of(writer_of("lab")) == 0
