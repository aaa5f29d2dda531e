"""Latencies in buckets: the native part and the core agree on them, and what is said from them is true."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daosup.core.latency import BOUNDS_NS, BUCKETS, LATENCY_BYTES, Latencies, read_latencies
from daosup.shm import _native

NOW_NS = 1_800_000_000 * 10**9
LAST_NS = BOUNDS_NS[-1]
NOTHING = bytes(LATENCY_BYTES)
#: Spread over the buckets, and their bounds themselves.
latency_ns = st.one_of(
    st.integers(0, 2000), st.floats(0, 60).map(lambda exponent: int(2**exponent)), st.sampled_from(BOUNDS_NS)
)
any_counts = st.dictionaries(st.integers(0, 1 + BUCKETS), st.integers(0, 2**64 - 1), max_size=6).map(
    lambda counts: struct.pack(f"={2 + BUCKETS}Q", *(counts.get(index, 0) for index in range(2 + BUCKETS)))
)
int64 = st.integers(-(2**63), 2**63 - 1)


def counts(latencies_ns: list[int]) -> bytes:
    place = bytearray(LATENCY_BYTES)
    for each in latencies_ns:
        _native.note_latency(place, NOW_NS - each, NOW_NS)
    return bytes(place)


def counted(latencies_ns: list[int]) -> Latencies:
    return read_latencies(counts(latencies_ns))


def bucket_of(ns: int) -> int:
    return next((index for index, bound in enumerate(BOUNDS_NS) if ns < bound), BUCKETS - 1)


def test_there_is_room_for_just_the_buckets() -> None:
    assert _native.LATENCY_BYTES == LATENCY_BYTES == 8 * (2 + BUCKETS)
    assert BOUNDS_NS[0] == 1024
    assert LAST_NS == 2**34


def test_no_bucket_is_wider_than_a_quarter() -> None:
    assert all(low < high <= low * 5 // 4 for low, high in zip(BOUNDS_NS, BOUNDS_NS[1:]))


@given(latency_ns)
def test_each_is_counted_in_its_bucket(ns: int) -> None:
    found = counted([ns])
    assert [index for index, frames in enumerate(found.frames) if frames] == [bucket_of(ns)]
    assert found[:2] == (0, min(ns, LAST_NS))


@given(st.lists(latency_ns, min_size=1, max_size=60), st.floats(0, 1))
def test_a_quantile_is_in_the_bucket_of_the_true_one(latencies_ns: list[int], share: float) -> None:
    rank = max(1, -int(-share * len(latencies_ns) // 1))
    true = bucket_of(sorted(latencies_ns)[rank - 1])
    _, _, [quantile_s] = _native.latencies_since(NOTHING, counts(latencies_ns), (share,))
    low_ns, high_ns = BOUNDS_NS[true - 1] if true else 0, BOUNDS_NS[min(true, BUCKETS - 2)]
    assert low_ns <= quantile_s * 1e9 * (1 + 1e-9)
    assert quantile_s * 1e9 <= high_ns * (1 + 1e-9)


def test_within_a_bucket_frames_are_taken_to_be_spread_evenly() -> None:
    _, _, quantiles_s = _native.latencies_since(NOTHING, counts([4096] * 4), (0.25, 0.5, 1.0))
    assert quantiles_s == [4352e-9, 4608e-9, 5120e-9]


@given(st.lists(latency_ns, max_size=40), st.lists(latency_ns, min_size=1, max_size=40), st.floats(0, 1))
def test_what_came_since_is_what_came_since(first: list[int], second: list[int], share: float) -> None:
    since = _native.latencies_since(counts(first), counts(first + second), (share,))
    assert since == _native.latencies_since(NOTHING, counts(second), (share,))
    assert since[:2] == (len(second), 0)


@given(any_counts, any_counts)
def test_whatever_the_counts_are_each_share_has_a_latency(before: bytes, now: bytes) -> None:
    frames, ahead, quantiles_s = _native.latencies_since(before, now, (0.0, 0.5, 1.0))
    assert frames >= 0 <= ahead
    assert 0 <= quantiles_s[0] <= quantiles_s[1] <= quantiles_s[2] <= LAST_NS / 1e9


def test_what_are_no_counts_and_no_shares_is_refused() -> None:
    for wrong in (b"", NOTHING[1:], NOTHING + b"\0"):
        with pytest.raises(ValueError, match="counts of latencies"):
            _native.latencies_since(wrong, NOTHING, ())
        with pytest.raises(ValueError, match="counts of latencies"):
            _native.latencies_since(NOTHING, wrong, ())
    with pytest.raises(TypeError):
        _native.latencies_since(NOTHING, NOTHING, ("half",))  # type: ignore[list-item]


@given(st.lists(latency_ns, max_size=40), st.sampled_from([1, 4, 8]))
def test_cumulative_counts_are_those_below_each_bound(latencies_ns: list[int], step: int) -> None:
    found = list(counted(latencies_ns).cumulative(range(0, len(BOUNDS_NS), step)))
    assert [count for _, count in found] == [sum(ns < bound for ns in latencies_ns) for bound in BOUNDS_NS[::step]]
    assert [bound_s for bound_s, _ in found] == [bound / 1e9 for bound in BOUNDS_NS[::step]]


def test_without_frames_quantiles_are_zero() -> None:
    assert _native.latencies_since(NOTHING, NOTHING, (0.5, 0.99)) == (0, 0, [0.0, 0.0])


@given(int64, int64)
def test_whatever_time_a_frame_states_it_is_counted_once_or_not_at_all(written_ns: int, now_ns: int) -> None:
    place = bytearray(LATENCY_BYTES)
    _native.note_latency(place, written_ns, now_ns)
    found = read_latencies(bytes(place))
    has_time = written_ns > 0 and now_ns >= 0
    assert found.total == has_time
    assert found.ahead == (has_time and written_ns > now_ns)
    assert 0 <= found.total_ns <= LAST_NS
