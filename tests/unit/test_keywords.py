"""Keywords: named numbers and words at the end of a segment, as DAO's programs have them."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daosup.errors import UsageError
from daosup.shm import Keyword, Keywords, Segment
from daosup.shm.keywords import decode, encode


def keywords_of(count: int) -> Keywords:
    return Keywords(memoryview(bytearray(b"\0" * 16 + b"N" + b"\0" * 103) * count), count)


@pytest.mark.parametrize(
    ("keyword", "kind", "value"),
    [
        (Keyword("COUNT", -5, "how many"), b"L", struct.pack("<q", -5)),
        (Keyword("GAIN", 1.5), b"D", struct.pack("<d", 1.5)),
        (Keyword("MODE", "fast"), b"S", b"fast"),
        (Keyword("X" * 16, "y" * 16, "z" * 80), b"S", b"y" * 16),
        (Keyword("FLAG", True), b"L", struct.pack("<q", 1)),
        (Keyword("BIG", np.int64(2**62 + 1)), b"L", struct.pack("<q", 2**62 + 1)),  # type: ignore[arg-type]
        (Keyword("HALF", np.float32(0.5)), b"D", struct.pack("<d", 0.5)),  # type: ignore[arg-type]
    ],
)
def test_a_keyword_lies_as_the_library_has_it(keyword: Keyword, kind: bytes, value: bytes) -> None:
    raw = encode(keyword)
    assert len(raw) == 120
    assert raw[:16] == keyword.name.encode().ljust(16, b"\0")
    assert (raw[16:17], raw[24:40]) == (kind, value.ljust(16, b"\0"))
    assert raw[40:] == keyword.comment.encode().ljust(80, b"\0")
    assert decode(raw) == keyword


@pytest.mark.parametrize(
    ("name", "value", "comment"),
    [
        ("", 1, ""),
        ("X" * 17, 1, ""),
        ("é" * 9, 1, ""),
        ("A\0B", 1, ""),
        ("A", 2**63, ""),
        ("A", -(2**63) - 1, ""),
        ("A", "y" * 17, ""),
        ("A", "y\0", ""),
        ("A", "\ud800", ""),
        ("A", 1, "z" * 81),
        ("A", 1, "a\0b"),
        ("A", None, ""),
        ("A", [1], ""),
        ("A", 1j, ""),
    ],
)
def test_what_would_not_read_back_is_refused(name: str, value: Any, comment: str) -> None:
    with pytest.raises(UsageError, match="keyword"):
        encode(Keyword(name, value, comment))


@pytest.mark.parametrize("kind", [b"N", b"\0", b"X", b"\xff"])
def test_unused_and_unknown_slots_are_none(kind: bytes) -> None:
    assert decode(b"NAME".ljust(16, b"\0") + kind + bytes(103)) is None


def test_bytes_that_are_no_text_do_not_fail() -> None:
    keyword = decode(b"\xff" * 16 + b"S" + b"\xff" * 103)
    assert keyword is not None
    assert keyword.name == "�" * 16
    assert math.isnan(decode(b"A".ljust(16, b"\0") + b"D" + b"\xff" * 103).value)  # type: ignore[union-attr, arg-type]


def test_they_are_a_mapping() -> None:
    keywords = keywords_of(3)
    assert (len(keywords), list(keywords)) == (0, [])
    keywords["A"], keywords["B"] = 1, "two"
    assert dict(keywords) == {"A": 1, "B": "two"}
    keywords["A"] = 1.5
    assert keywords["A"] == 1.5
    del keywords["A"]
    assert dict(keywords) == {"B": "two"}
    keywords["C"] = 3
    assert list(keywords) == ["C", "B"]  # the slot that became free
    for use in (lambda: keywords["A"], lambda: keywords.pop("A")):
        with pytest.raises(KeyError):
            use()


def test_a_changed_value_keeps_its_comment() -> None:
    keywords = keywords_of(1)
    keywords.put(Keyword("GAIN", 1.5, "e-/ADU"))
    keywords["GAIN"] = 2.0
    assert keywords.slots() == [Keyword("GAIN", 2.0, "e-/ADU")]


def test_when_all_slots_are_in_use_the_error_says_so() -> None:
    for count in (0, 1):
        keywords = keywords_of(count)
        if count:
            keywords["A"] = 1
        with pytest.raises(UsageError, match=f"'B': all {count} keyword slots are in use"):
            keywords["B"] = 2


def test_what_one_object_writes_another_reads(segment_path: Path) -> None:
    with (
        Segment.create(segment_path, (3,), "uint8", depth=3, keywords=2) as writer,
        Segment.open(segment_path) as reader,
    ):
        writer.keywords["GAIN"] = 4
        assert dict(reader.keywords) == {"GAIN": 4}
        writer.write(np.full(3, 255, "uint8"))
        assert dict(reader.keywords) == {"GAIN": 4}
        raw = reader.keywords.raw()
        assert segment_path.read_bytes().endswith(raw)
        writer.keywords.replace_raw(120, raw[:120])
        assert [slot.name for slot in reader.keywords.slots() if slot] == ["GAIN", "GAIN"]
        with pytest.raises(ValueError, match="differ"):
            writer.keywords.replace_raw(240, raw[:120])


def test_a_segment_without_keywords_has_none(segment_path: Path) -> None:
    with Segment.create(segment_path, (3,), "uint8") as segment:
        assert dict(segment.keywords) == {}
