"""Questions and answers of hosts as bytes: what is signed, what is refused, what anything may cost."""

from __future__ import annotations

import dataclasses
import json
import zlib

import pytest

from daosup.core import questions
from daosup.core.questions import Answer, Kind, Purpose, Question, decode_answer, decode_question, unseal
from daosup.errors import ProtocolError

SECRET, OTHER_SECRET = b"s" * 32, b"o" * 32
IDENT = "0123456789abcdef" * 2
QUESTION = Question(IDENT, "lab", "rts", "instance", 1_700_000_000_000, 5, "restart", {"name": "wfs", "wait_s": 2.5})
ANSWER = Answer(IDENT, "rts", "lab", Kind.RESULT, {"state": "running", "rate_hz": 1e3, "reason": "é\n"})


@pytest.mark.parametrize("secret", [None, SECRET])
def test_a_question_arrives_as_it_was_asked(secret: bytes | None) -> None:
    sealed = unseal(Purpose.QUESTION, questions.encode_question(QUESTION, secret))
    assert decode_question(sealed) == QUESTION
    assert sealed.is_signed_by(SECRET) == (secret is not None)
    assert not sealed.is_signed_by(OTHER_SECRET)


@pytest.mark.parametrize("secret", [None, SECRET])
def test_an_answer_arrives_as_it_was_given(secret: bytes | None) -> None:
    sealed = unseal(Purpose.ANSWER, questions.encode_answer(ANSWER, secret))
    assert dataclasses.replace(decode_answer(sealed), size_bytes=0) == ANSWER
    assert sealed.is_signed_by(SECRET) == (secret is not None)


def test_whichever_byte_is_altered_the_signature_is_wrong() -> None:
    raw = questions.encode_question(QUESTION, SECRET)
    for place in range(len(raw)):
        altered = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        try:
            sealed = unseal(Purpose.QUESTION, altered)
        except ProtocolError:
            continue
        assert not sealed.is_signed_by(SECRET), place


def test_an_answer_is_no_question_and_is_not_the_answer_to_another() -> None:
    raw = questions.encode_answer(ANSWER, SECRET)
    assert not unseal(Purpose.QUESTION, raw).is_signed_by(SECRET)
    assert not unseal(Purpose.ANSWER, raw.replace(IDENT.encode(), b"f" * 32)).is_signed_by(SECRET)


@pytest.mark.parametrize(
    "raw", [b"", b"1", b"1 - x {}", b"2 - " + IDENT.encode() + b" {}", b"1 " + b"0" * 70, b"\xff" * 90]
)
def test_what_has_no_envelope_is_refused(raw: bytes) -> None:
    for purpose in Purpose:
        with pytest.raises(ProtocolError):
            unseal(purpose, raw)


def test_what_is_too_long_is_refused_before_it_is_read() -> None:
    begin = f"1 - {IDENT} ".encode()
    with pytest.raises(ProtocolError):
        unseal(Purpose.QUESTION, begin + b" " * questions.MAX_QUESTION_BYTES)
    with pytest.raises(ProtocolError):
        unseal(Purpose.ANSWER, begin + b" " * questions.MAX_ANSWER_BYTES)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"from": "lab"},
        {"from": "l b"},
        {"wait_s": 1e9},
        {"wait_s": -1},
        {"time_ms": "now"},
        {"command": "rm -rf"},
        {"command": 1},
        {"arguments": []},
        {"instance": ""},
    ],
)
def test_a_question_with_anything_odd_in_it_is_none(body: dict[str, object]) -> None:
    whole = json.loads(unseal(Purpose.QUESTION, questions.encode_question(QUESTION, None)).body)
    odd = {**whole, **body} if body else body
    if body == {"from": "lab"}:
        del odd["to"]
    with pytest.raises(ProtocolError):
        decode_question(unseal(Purpose.QUESTION, f"1 - {IDENT} {json.dumps(odd)}".encode()))


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[]",
        b"\xff",
        b'{"from": "rts", "to": "lab", "kind": "maybe"}',
        b'{"from": "rts", "to": "lab", "kind": "result", "value": NaN}',
        b'{"from": "rts", "to": "lab", "kind": "result", "value": 1e999}',
        b'{"from": "rts", "to": "lab", "kind": "result", "value": ' + b"1" * 5000 + b"}",
        b"[" * 100_000,
    ],
)
def test_an_answer_with_anything_odd_in_it_is_none(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_answer(unseal(Purpose.ANSWER, f"1 - {IDENT} ".encode() + zlib.compress(body)))


def test_an_answer_unpacks_to_no_more_than_its_bound() -> None:
    bomb = zlib.compress(b" " * (questions.MAX_UNPACKED_BYTES + 1))
    assert len(bomb) < questions.MAX_ANSWER_BYTES
    for packed in (bomb, bomb[:1000], b"x"):
        with pytest.raises(ProtocolError):
            decode_answer(unseal(Purpose.ANSWER, f"1 - {IDENT} ".encode() + packed))


def test_who_has_too_much_to_say_is_told() -> None:
    with pytest.raises(ProtocolError, match="too many"):
        questions.encode_answer(dataclasses.replace(ANSWER, value="x" * questions.MAX_UNPACKED_BYTES), None)
