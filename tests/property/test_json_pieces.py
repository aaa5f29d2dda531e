"""JSON in pieces: together they are what is written at once, and none of many items holds up the others."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daosup.core.json_pieces import MANY, json_pieces

plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=4)
        | inner.map(lambda item: [item] * MANY)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(values)
def test_the_pieces_are_what_is_written_at_once(value: object) -> None:
    assert "".join(json_pieces(value)) == json.dumps(value, separators=(",", ":"))


def test_each_item_of_a_long_list_is_a_piece() -> None:
    row = {"kind": "mirror", "peers": [{"host": "rts"}] * 3}
    status = {"lab": {"ok": True, "result": {"workers": [row] * 1000}}}
    pieces = list(json_pieces(status))
    assert len(pieces) > 1000
    assert max(map(len, pieces)) <= 1 + len(json.dumps(row))


def test_what_json_does_not_have_is_refused() -> None:
    for number in (math.nan, math.inf, [math.nan] * MANY):
        with pytest.raises(ValueError, match="not JSON compliant"):
            list(json_pieces({"number": number}))
    with pytest.raises(TypeError):
        list(json_pieces({"what": object()}))


def test_what_changes_meanwhile_does_no_harm() -> None:
    rows = [1] * MANY
    status = {"rows": rows, "more": 1}
    pieces = []
    for piece in json_pieces(status):
        pieces.append(piece)
        rows.append(2)
        status[f"new{len(pieces)}"] = 1
    assert json.loads("".join(pieces))["more"] == 1
