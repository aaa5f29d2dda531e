"""The arithmetic behind the numbers of ``python -m bench``."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest

from bench.figures import (
    Goal,
    Judged,
    Noise,
    Point,
    Row,
    Verdict,
    differences,
    is_same_or_newer,
    longest_gap_s,
    median,
    percentile,
    ratios,
    recovery_s,
    steps_between,
)
from bench.machine import CoreTimes, cpu_time_s
from bench.report import cells, page, text
from bench.results import Results


def test_percentile_interpolates_between_sorted_samples() -> None:
    samples = [40.0, 10.0, 30.0, 20.0]
    assert percentile(samples, 0) == 10
    assert percentile(samples, 100) == 40
    assert percentile(samples, 50) == 25
    assert percentile(samples, 10) == pytest.approx(13)
    assert samples == [40.0, 10.0, 30.0, 20.0]


def test_median_of_odd_even_and_one() -> None:
    assert median([3.0, 1.0, 2.0]) == 2
    assert median([4.0, 1.0, 2.0, 3.0]) == 2.5
    assert median([7.0]) == 7


@pytest.mark.parametrize(("samples", "percent"), [([], 50), ([1.0], -1), ([1.0], 101)])
def test_percentile_of_nothing_or_outside_is_an_error(samples: list[float], percent: float) -> None:
    with pytest.raises(ValueError, match=r"samples|percentage"):
        percentile(samples, percent)


def test_pairs_are_compared_in_turn() -> None:
    assert ratios([2.0, 9.0], [1.0, 3.0]) == (2.0, 3.0)
    assert differences([5.0, 9.0], [1.0, 3.0]) == (4.0, 6.0)
    with pytest.raises(ValueError, match="do not pair"):
        ratios([1.0], [])


def test_frame_values_wrap() -> None:
    assert steps_between(65535, 1) == 2
    assert steps_between(5, 5) == 0
    assert is_same_or_newer(3, than=65530)
    assert is_same_or_newer(7, than=7)
    assert not is_same_or_newer(65530, than=3)


def test_longest_gap_counts_the_windows_edges() -> None:
    arrivals = [0.5, 1.0, 1.1, 1.4, 9.0]
    assert longest_gap_s(arrivals, 1.0, 2.0) == pytest.approx(0.6)
    assert longest_gap_s(arrivals, 0.9, 1.45) == pytest.approx(0.3)
    assert longest_gap_s([], 1.0, 3.0) == pytest.approx(2.0)


def test_recovery_is_the_end_of_the_outage_and_not_a_frame_that_was_on_its_way() -> None:
    arrivals = [0.98, 1.0, 1.001, 1.25, 1.252, 1.254]
    assert recovery_s(arrivals, 1.0005) == pytest.approx(0.2495)


def test_recovery_without_frames_in_flight_and_without_any() -> None:
    assert recovery_s([0.9, 1.4, 1.41], 1.0) == pytest.approx(0.4)
    assert recovery_s([1.4], 1.0) == pytest.approx(0.4)
    assert recovery_s([0.9], 1.0) is None


def test_goal_on_median_worst_and_strictly() -> None:
    assert Row("x", "ms", (1.0, 2.0, 9.0), Goal(2.0)).verdict is Verdict.MET
    assert Row("x", "ms", (1.0, 2.0, 9.0), Goal(2.0, is_strict=True)).verdict is Verdict.MISSED
    assert Row("x", "ms", (1.0, 2.0, 9.0), Goal(8.0, Judged.WORST)).verdict is Verdict.MISSED
    assert Row("x", "ms", (1.0,)).verdict is Verdict.NONE


def test_what_was_not_measured_failed() -> None:
    row = Row("x", "ms", (), Goal(2.0))
    assert row.verdict is Verdict.FAILED
    assert Row("x", "ms", ()).verdict is Verdict.FAILED
    assert "failed" in cells(row)


def test_core_times_leave_out_guest_time() -> None:
    earlier = CoreTimes.parse("cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 1 1 1 1\n")
    later = CoreTimes.parse("cpu  140 0 110 730 110 0 0 10 90 0\n")
    assert earlier.total == 1000
    assert later.shares_since(earlier) == pytest.approx((0.1, 0.6))
    assert earlier.shares_since(earlier)[0] == 0


def test_cpu_time_counts_all_threads_of_a_process() -> None:
    before = cpu_time_s(os.getpid())
    own_s: list[float] = []

    def spin() -> None:
        while time.thread_time() < 0.05:
            pass
        own_s.append(time.thread_time())

    thread = threading.Thread(target=spin)
    thread.start()
    thread.join()
    assert cpu_time_s(os.getpid()) - before >= own_s[0] * 0.99


def test_cpu_time_of_nobody_is_an_error() -> None:
    with pytest.raises(ProcessLookupError):
        cpu_time_s(2**22 + 1)


def test_every_sample_and_verdict_reach_the_reports() -> None:
    rows = [
        Row(
            "latency",
            "ms",
            (90.0, 110.5),
            Goal(100.0, is_strict=True),
            1.5,
            "bare",
            noise=Noise((9.0, 12.0), 0.01, 0.5),
        ),
        Row("torn", "", (0.0,), Goal(0)),
    ]
    machine = {"cpu": "some cpu", "cores": "2"}
    table = text(rows, machine).splitlines()
    assert table[0] == "cpu some cpu, cores 2"
    assert "< 100 ms" in table[3]
    assert "100.2 ms" not in table[3]
    assert "missed" in table[3]
    assert "1.50 x bare" in table[3]
    assert table[4].split()[:4] == ["torn", "<=", "0", "0"]
    assert "met" in table[4]
    results = Results(machine)
    results.add("some", rows)
    parsed = json.loads(results.as_json())["measurements"]["some"]
    assert parsed[0]["samples"] == [90.0, 110.5]
    assert [row["verdict"] for row in parsed] == ["missed", "met"]
    markdown = page("Performance", results, {"some": "How it is done."}, "python -m bench", {})
    assert markdown.count("\n| ") == 4
    assert "How it is done." in markdown
    assert "\n- latency: 100 ms, goal < 100 ms\n" in markdown


def test_results_are_the_same_when_they_are_read_again(tmp_path: Path) -> None:
    row = Row("a", "us", (1.0, 2.0), Goal(0.9, Judged.WORST, is_least=True), point=Point("f", "line", 560.0))
    first, second = Results({"cpu": "some"}), Results({"cpu": "some"})
    first.add("latency", [row, Row("b", "", (1.0,))])
    second.add("latency", [Row("b", "", (2.0,))])
    files = [tmp_path / "first.json", tmp_path / "second.json"]
    for file, results in zip(files, (first, second)):
        file.write_text(results.as_json())
    joined = Results.joined(files)
    assert joined.machine == {"cpu": "some"}
    assert joined.rows == {"latency": [row, Row("b", "", (2.0,))]}
    told = "Joined from runs made one by one"
    assert [told in page("Title", each, {"latency": ""}, "bench", {}) for each in (first, joined)] == [False, True]


def test_what_is_no_result_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(ValueError, match=r"other.json: not the result of a bench"):
        Results.joined([tmp_path / "other.json"])


def test_a_goal_can_be_a_least_value() -> None:
    goal = Goal(0.9, is_least=True)
    assert goal.is_met((0.8, 0.9, 1.0))
    assert not goal.is_met((0.8, 0.89, 1.0))
    assert not Goal(0.9, Judged.WORST, is_least=True).is_met((0.8, 0.9, 1.0))
