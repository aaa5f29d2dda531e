"""Events of the fleet: what a host tells is what the others read, and nothing that stands in Redis does harm."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daosup.core.fleet_events import (
    LEVELS,
    MAX_EVENT_BYTES,
    MAX_TEXT_LENGTH,
    FleetEvent,
    Wanted,
    decode_event,
    encode_event,
    event_of,
)
from daosup.core.notices import EVENTS
from daosup.core.types import check_host, check_name
from daosup.errors import ProtocolError, UsageError


def _is_name(text: str) -> bool:
    try:
        return bool(check_name(text))
    except UsageError:
        return False


HOSTS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}\Z", fullmatch=True).map(check_host)
NAMES = st.text(max_size=120).filter(_is_name)
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=2000), st.just({"odd": 1}), st.binary()
)
FIELDS = st.dictionaries(st.from_regex(r"[a-z][a-z_]{0,12}\Z", fullmatch=True), VALUES, max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
#: An event as it is told; the tests spoil it.
SOUND = FleetEvent("rts", "worker-died", "error", "worker died", "run-1", 5, "wfs", "rts:wfs", "publisher", 7).as_json()


@given(st.sampled_from(EVENTS), HOSTS, NAMES, NAMES, st.integers(0, 2**31 - 1), FIELDS)
def test_what_a_host_tells_is_what_the_others_read(
    notice: Any, host: str, segment: str, name: str, pid: int, rest: dict[str, object]
) -> None:
    own = {"segment": segment, "source": f"{host}:{name}", "worker_kind": "mirror", "worker_pid": pid, "peer": host}
    event = event_of(notice, {**rest, **own, "cause_id": "run-7", "host": host}, host, "run-8")
    raw = encode_event(event)
    assert len(raw) <= MAX_EVENT_BYTES
    read = decode_event(raw)
    assert (read.host, read.name, read.level) == (host, notice.name, notice.level)
    assert (read.peer, read.worker_pid) == (host, pid)
    assert read == event or dict(read.fields) == {"is_cut": True}
    assert "host" not in read.fields
    assert all(str(value).isprintable() and len(str(value)) <= MAX_TEXT_LENGTH for value in read.fields.values())
    json.dumps(read.as_json(), allow_nan=False).encode()


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_do_harm(raw: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_event(raw)


@given(st.sampled_from([*SOUND, "fields", "other"]), JSON)
def test_an_event_that_was_spoilt_is_refused_or_harmless(field: str, value: object) -> None:
    raw = json.dumps({**SOUND, field: value}).encode()
    try:
        read = decode_event(raw)
    except ProtocolError:
        return
    told = read.as_json()
    json.dumps(told, allow_nan=False).encode()
    texts = [value for value in [*told.values(), *read.fields.values()] if isinstance(value, str)]
    assert all(text.isprintable() and len(text) <= MAX_TEXT_LENGTH for text in texts)
    assert all(Wanted(about).includes(read) in (True, False) for about in ("a", "a:b", "a:", ":"))


def test_what_is_too_long_is_not_even_parsed() -> None:
    with pytest.raises(ProtocolError, match="more than 4096 bytes"):
        decode_event(json.dumps({**SOUND, "fields": {"x": "y" * 5000}}).encode())


@pytest.mark.parametrize(
    ("about", "is_wanted"),
    [
        ("", True),
        ("wfs", True),
        ("w*", True),
        ("remote_rts_wfs", True),
        ("dm", False),
        ("rts:wfs", True),
        ("rts*:w?s", True),
        ("lab:remote_*", True),
        ("lab:wfs", False),
        ("rts:*", True),
        ("lab:", True),
        ("desk:*", False),
    ],
)
def test_an_event_of_a_mirror_is_found_by_any_of_its_names(about: str, is_wanted: bool) -> None:
    event = FleetEvent("lab", "link-down", "warning", "", "run-1", 5, "remote_rts_wfs", "rts:wfs", "mirror", peer="rts")
    assert Wanted(about).includes(event) is is_wanted


@pytest.mark.parametrize(("about", "is_wanted"), [("rts:*", True), ("rts:", True), ("*", False), ("rts:wfs", False)])
def test_an_event_of_a_host_is_found_by_the_host(about: str, is_wanted: bool) -> None:
    assert Wanted(about).includes(FleetEvent("rts", "role-changed", "info", "", "run-1")) is is_wanted


def test_levels_and_names_choose() -> None:
    event = FleetEvent("lab", "link-down", "warning", "", "run-1")
    assert [Wanted(least=level).includes(event) for level in LEVELS] == [True, True, False]
    assert Wanted(names=("worker-*", "link-*")).includes(event)
    assert not Wanted(names=("worker-*", "link")).includes(event)
