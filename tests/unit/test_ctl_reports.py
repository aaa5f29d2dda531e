"""What daosupctl prints for people: units, tables, reports."""

from __future__ import annotations

import re
from typing import Any

import pytest

from daosup.ctl.reports import is_well, machines_report, status_report, trouble_of
from daosup.ctl.tables import Column, Style, table
from daosup.ctl.units import count, duration, quantity, shape
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
    for told in ("500 Hz", "57.6 MB/s", "2.1 ms", "running"):
        assert told in text
    assert "\033" not in text


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
    assert (f"mirror rts:wfs: {told}" in status_report(a_status(workers=[worker]), PLAIN, 40)) == bool(told)


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
    machine: dict[str, Any] = {
        "hostname": evil,
        "ip": evil,
        "role": evil,
        "last_connect": evil,
        "segments": [{"name": evil}],
    }
    for line in [*status_report(status, PLAIN, None), *machines_report([machine], PLAIN, None)]:
        assert line.isprintable()


def test_machines_are_told_in_the_words_that_mirror_takes() -> None:
    machines: list[dict[str, Any]] = [
        {
            "hostname": "rts",
            "ip": "10.0.0.1",
            "role": "master",
            "last_connect": "2026-11-20T12:00:00+00:00",
            "segments": [{"name": "wfs", "shape": [240, 240], "dtype": "uint16", "readers": 2}],
        },
        {"hostname": "lab", "ip": "10.0.0.2", "role": "minion", "last_connect": None, "segments": []},
    ]
    lines = machines_report(machines, PLAIN, 80)
    assert lines[1].split() == ["rts", "master", "10.0.0.1", "2026-11-20T12:00:00+00:00"]
    assert lines[-1].split() == ["rts:wfs", "240x240", "uint16", "2"]
    assert machines_report([], PLAIN, 80) == ["no hosts in the registry"]
    assert machines_report(machines[1:], PLAIN, 80)[-1] == "no segments on any of them"


def test_whoever_speaks_the_old_protocol_is_marked() -> None:
    peers = [{"host": "gui", "protocol": 2}, {"host": "oldlab", "protocol": 1}]
    text = "\n".join(status_report(a_status(workers=[a_worker(peer="gui, oldlab", peers=peers)]), PLAIN, None))
    assert "  gui, oldlab (protocol 1)  " in text
    text = "\n".join(status_report(a_status(workers=[a_worker()]), PLAIN, None))  # of a daemon that says none
    assert "  rts  " in text
    assert "protocol" not in text
