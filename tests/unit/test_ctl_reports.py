"""What daosupctl prints for people: units, tables, reports."""

from __future__ import annotations

import re
from typing import Any

import pytest

from daosup.ctl.reports import is_well, status_report
from daosup.ctl.tables import Column, Style, table
from daosup.ctl.units import count, duration, percent, quantity, shape
from daosup.ctl.worker_table import trouble_of
from tests.status_samples import a_status, a_worker

PLAIN = Style(False)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (500.0, "Hz", "500 Hz"),
        (57.6e6, "B/s", "57.6 MB/s"),
        (0.0021, "s", "2.1 ms"),
        (0.99996, "s", "1 s"),
        (999.6, "Hz", "1 kHz"),
        (999.4, "Hz", "999 Hz"),
        (9.996, "Hz", "10 Hz"),
        (1e15, "B", "1000 TB"),
        (35e-6, "s", "35 µs"),
        (1e-9, "s", "0 s"),
        (0, "B", "0 B"),
        (-0.002, "s", "-2 ms"),
        (None, "Hz", "-"),
        (float("nan"), "Hz", "-"),
        ("many", "Hz", "-"),
    ],
)
def test_quantity(value: object, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.002, "2 ms"),
        (59.4, "59.4 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (7400, "2 h 3 min"),
        (86400 * 5 + 4 * 3600 + 59, "5 d 4 h"),
        (86400 * 400, "400 d"),
        (None, "-"),
    ],
)
def test_duration(seconds: object, text: str) -> None:
    assert duration(seconds) == text


def test_counts_and_shapes() -> None:
    assert [percent(value) for value in (0.0341, 1.2, 0.0, None)] == ["3.41 %", "120 %", "0 %", "-"]
    assert [count(value) for value in (0, 99_999, 123_456, None)] == ["0", "99999", "123k", "-"]
    assert [shape(value) for value in ([240, 240], [97, 1], (5,), [], None)] == ["240x240", "97x1", "5", "-", "-"]


def test_a_table_fits_the_terminal_by_shortening_names_only() -> None:
    columns = (Column("NAME", is_name=True), Column("RATE", is_number=True))
    lines = table(columns, [("a" * 100, "500 Hz"), ("b", "1 Hz")], PLAIN, 40)
    assert [len(line) for line in lines] == [40, 40, 40]
    assert lines[1] == "a" * 31 + "…  500 Hz"
    assert lines[2] == "b" + " " * 35 + "1 Hz"
    assert table(columns, [("a" * 100, "500 Hz")], PLAIN, None)[1] == "a" * 100 + "  500 Hz"


def test_a_table_for_a_tiny_terminal_keeps_its_numbers() -> None:
    lines = table((Column("NAME", is_name=True), Column("RATE", is_number=True)), [("a" * 100, "500 Hz")], PLAIN, 5)
    assert lines[1] == "aaaaaaa…  500 Hz"


def test_colours_do_not_move_columns() -> None:
    columns = (Column("STATE"), Column("NAME"))
    rows = [("running", "a"), ("down", "b")]
    coloured = table(columns, rows, Style(True), None, {"running": "good", "down": "bad"})
    assert [re.sub(r"\033\[\d*m", "", line) for line in coloured] == table(columns, rows, PLAIN, None)
    assert coloured[1].startswith("\033[32mrunning")


def test_a_status_report_says_everything_in_80_columns() -> None:
    lines = status_report(a_status(), PLAIN, 80)
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    for told in ("rts  master, up 2 h 3 min", "registry up", "valkey 8.1", "240x240", "115 kB", "lab, obs"):
        assert told in text
    for told in ("500 Hz", "2.1 ms", "1.2 ms", "running"):
        assert told in text
    assert "\033" not in text


def test_with_160_columns_there_is_all_that_is_known_of_a_worker_and_with_80_what_matters() -> None:
    wide = status_report(a_status(), PLAIN, 160)
    assert max(map(len, wide)) <= 160
    assert wide[-3].split() == [
        *("WORKER", "SOURCE", "STATE", "PEER", "TRANSPORT", "RATE", "DATA", "AGE"),
        *("P50", "P99", "SKIP", "GAPS", "RESTARTS", "CPU", "MEMORY", "PID"),
    ]
    for told in ("57.6 MB/s", "310 µs", "1.2 ms", "3.41 %", "34.6 MB", "1234"):
        assert told in wide[-2]
    left_out = [
        len(wide[-3].split()) - len(status_report(a_status(), PLAIN, width)[-3].split()) for width in range(60, 161)
    ]
    assert left_out == sorted(left_out, reverse=True)
    narrow = status_report(a_status(), PLAIN, 80)[-3].split()
    assert narrow == ["WORKER", "SOURCE", "STATE", "PEER", "RATE", "AGE", "P99", "SKIP", "RESTARTS"]


def test_since_when_it_is_degraded_is_told_and_why() -> None:
    reasons = ["the registry is away: connection refused", f"2 workers waiting: {', '.join(['mirror rts:wfs'] * 9)}"]
    lines = status_report(a_status(degraded={"since_s": 200.0, "reasons": reasons}), PLAIN, 80)
    at = lines.index("degraded for 3 min 20 s")
    assert lines[at + 1] == "  the registry is away: connection refused"
    assert max(map(len, lines)) <= 80
    assert "degraded" not in "\n".join(status_report(a_status(), PLAIN, 80))


def test_with_v_times_are_absolute_as_well() -> None:
    degraded = {"since_s": 60.0, "reasons": ["it is"]}
    text = "\n".join(status_report(a_status(degraded=degraded), PLAIN, 80, is_verbose=True))
    day = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    for told in ("up 2 h 3 min", "for 2 h 3 min", "degraded for 1 min"):
        assert re.search(f"{told}, since {day}", text)


def test_a_status_report_of_an_idle_or_older_daemon_is_still_one() -> None:
    assert "no workers: nothing is read from here or mirrored to here" in status_report(
        a_status(workers=[], segments=[]), PLAIN, 80
    )
    assert status_report({}, PLAIN, None)
    assert status_report({"workers": [{}], "segments": [{}], "registry": {}}, PLAIN, None)


def test_well_is_all_running_and_the_registry_up() -> None:
    assert is_well(a_status())
    assert is_well(a_status(workers=[]))
    assert not is_well(a_status(workers=[a_worker(), a_worker(state="waiting")]))
    assert not is_well(a_status(registry={"state": "down"}))
    assert not is_well({})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, ""),
        ({"state": "waiting", "reason": "waiting for host rts"}, "waiting for host rts"),
        ({"restarts": 2, "last_exit": "killed by SIGKILL"}, "restarted 2x, last: killed by SIGKILL"),
        (
            {"restarts": 3, "hangs": 2, "last_exit": "hung: its loop stood still for 1.3 s"},
            "restarted 3x (2 hung), last: hung: its loop stood still for 1.3 s",
        ),
        (
            {"state": "failed", "reason": "exited with code 1", "last_exit": "exited with code 1", "restarts": 9}
            | {"next_try_s": 42.3},
            "exited with code 1; next try in 42.3 s; restarted 9x",
        ),
        ({"warning": "nice -5 cannot be set: Permission denied"}, "nice -5 cannot be set: Permission denied"),
        ({"link": "down"}, "link down"),
        ({"rejected": 7}, "7 messages rejected"),
        ({"latency": {"p50_s": 1e-6, "p99_s": 1e-6, "frames": 1000, "ahead": 10}}, ""),
        (
            {"latency": {"p50_s": 1e-6, "p99_s": 1e-6, "frames": 1000, "ahead": 11}},
            "frames seem to come before they were written: the clocks of the two hosts differ",
        ),
        ({"write_back": {"state": "open", "reason": None}}, ""),
        (
            {"write_back": {"state": "refused", "reason": "rts:wfs is read-only on rts"}, "refused": 3},
            "not written back: rts:wfs is read-only on rts; 3 writes refused",
        ),
    ],
)
def test_a_workers_trouble_is_told_in_words(changes: dict[str, Any], told: str) -> None:
    worker = a_worker(**changes)
    assert trouble_of(worker) == told
    for width in (40, 80, None):
        lines = status_report(a_status(workers=[worker]), PLAIN, width)
        said = " ".join(line.strip() for line in lines)
        assert (f"mirror rts:wfs: {told}" in said) == bool(told)
        assert ("mirror rts:wfs: " in said) == bool(told)
        told_from = next((at for at, line in enumerate(lines) if line.startswith("mirror rts:wfs:")), len(lines))
        assert all(width is None or len(line) <= width for line in lines[told_from:])


def test_a_source_that_is_written_to_is_marked_and_the_table_stays_narrow() -> None:
    peers = [{"host": "rts", "protocol": 1}]
    for state, told in (("open", "rts (protocol 1, written)"), ("asking", "rts (protocol 1)")):
        worker = a_worker(peers=peers, write_back={"state": state, "reason": None})
        assert f"  {told}  " in status_report(a_status(workers=[worker]), PLAIN, None)[-1]
        assert len(status_report(a_status(workers=[worker]), PLAIN, 80)[-1]) <= 80


def test_the_last_words_of_one_that_failed_are_shown() -> None:
    last_words = "Traceback (most recent call last):\n  ...\nValueError: no"
    failed = a_worker(state="failed", reason="exited with code 1", last_details=last_words)
    lines = status_report(a_status(workers=[failed]), PLAIN, 80)
    assert lines[-3:] == ["  Traceback (most recent call last):", "    ...", "  ValueError: no"]
    assert "ValueError: no" not in "\n".join(
        status_report(a_status(workers=[a_worker(last_details=last_words)]), PLAIN, 80)
    )


def test_hostile_names_cannot_write_to_the_terminal() -> None:
    evil = "\033]0;owned\a\033[2Jx\n\u202e"
    status = a_status(
        host=evil, workers=[a_worker(source=evil, state="failed", reason=evil, peer=evil, last_details=evil)]
    )
    for line in status_report(status, PLAIN, None):
        assert line.isprintable()


def test_whoever_speaks_the_old_protocol_is_marked() -> None:
    peers = [{"host": "gui", "protocol": 2}, {"host": "oldlab", "protocol": 1}]
    text = "\n".join(status_report(a_status(workers=[a_worker(peer="gui, oldlab", peers=peers)]), PLAIN, None))
    assert "  gui, oldlab (protocol 1)  " in text
    text = "\n".join(status_report(a_status(workers=[a_worker()]), PLAIN, None))  # of a daemon that says none
    assert "  rts  " in text
    assert "protocol" not in text


def test_how_long_the_loop_and_redis_keep_others_waiting_is_told() -> None:
    told = "delays   loop 300 µs, worst 12.1 ms; Redis 450 µs, worst 3.2 ms (last minute)"
    assert told in status_report(a_status(), PLAIN, 80)
    long = a_status(loop={"lag_s": 0.0, "worst_lag_s": 2.5})
    coloured = next(line for line in status_report(long, Style(has_colours=True), 80) if line.startswith("delays"))
    assert "\033[33mloop 0 s, worst 2.5 s\033[0m; Redis 450" in coloured
    without = {name: value for name, value in a_status().items() if name != "loop"}  # of an older version
    assert not [line for line in status_report(without, PLAIN, 80) if line.startswith("delays")]


def test_where_metrics_are_served_is_told() -> None:
    served = a_status(metrics={"listen": "*:9777", "error": None})
    assert "metrics  at *:9777" in status_report(served, PLAIN, 80)
    taken = a_status(metrics={"listen": "*:9777", "error": "Address already in use"})
    assert "metrics  not served at *:9777: Address already in use" in status_report(taken, PLAIN, 80)
    assert not [line for line in status_report(a_status(), PLAIN, 80) if line.startswith("metrics")]
