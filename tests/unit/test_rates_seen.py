"""The rate that is told of a worker: that of its frames, however its stamps and the looks at them fall together."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from daosup.supervisor.workers_seen import Seen
from daosup.workers.statistics import Statistics, StatisticsReader

RATE_HZ = 500.0
FRAME_BYTES = 560
PID = 17


def stamped(stamps_s: list[float], now_s: float) -> Statistics:
    """The page as it is at a moment: as of the last stamp."""
    beat_s = max(each for each in stamps_s if each <= now_s)
    frames = int(beat_s * RATE_HZ)
    return Statistics(pid=PID, beat_ns=int(beat_s * 1e9), frames=frames, payload_bytes=frames * FRAME_BYTES)


@given(
    stamps=st.lists(st.floats(0.05, 0.5), min_size=40, max_size=40),
    looks=st.lists(st.floats(0.6, 1.2), min_size=2, max_size=10),
)
def test_a_steady_stream_is_told_at_its_rate(stamps: list[float], looks: list[float]):
    seen = Seen(StatisticsReader(Path("/nonexistent")))
    stamps_s = [0.0, *accumulate(stamps)]
    rates = []
    for now_s in accumulate(looks):
        if now_s > stamps_s[-1]:
            break  # it has ended
        seen.take(stamped(stamps_s, now_s), None, now_s)
        rates.append((seen.rate_hz, seen.bytes_per_s))
    for rate_hz, bytes_per_s in rates[1:]:
        assert abs(rate_hz - RATE_HZ) < 25  # a frame more or less between two stamps
        assert abs(bytes_per_s - RATE_HZ * FRAME_BYTES) < 25 * FRAME_BYTES


def test_a_worker_without_a_new_stamp_has_no_rate():
    seen = Seen(StatisticsReader(Path("/nonexistent")))
    page = stamped([0.0, 0.9], 1.0)
    seen.take(page, None, 1.0)
    seen.take(page, None, 2.0)
    assert (seen.rate_hz, seen.bytes_per_s) == (0.0, 0.0)


def test_the_first_look_at_a_new_process_tells_no_rate():
    seen = Seen(StatisticsReader(Path("/nonexistent")))
    seen.take(stamped([0.0, 0.9], 1.0), None, 1.0)
    seen.take(stamped([0.0, 0.9, 1.9], 2.0)._replace(pid=PID + 1), None, 2.0)
    assert (seen.rate_hz, seen.bytes_per_s) == (0.0, 0.0)


def test_a_share_of_a_cpu_is_told_since_the_last_sample_and_not_of_a_moment():
    seen = Seen(StatisticsReader(Path("/nonexistent")))
    assert seen.cpu_share(1_000, 10.0) is None  # never sampled
    seen.take(None, 5_000_000_000, 10.0)
    assert seen.cpu_share(5_250_000_000, 10.5, 0.1) == 0.5
    assert seen.cpu_share(5_050_000_000, 10.05, 0.1) is None
    assert seen.cpu_share(None, 10.5, 0.1) is None
    seen.take(None, 5_250_000_000, 11.0)
    assert seen.cpu == 0.25
