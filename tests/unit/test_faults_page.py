"""The table of faults says what was measured, and never that what failed is well."""

from __future__ import annotations

import pytest

from tests.faults import catalogue, page
from tests.faults.fault import BY_BOTH, FAULTS, Fault
from tests.faults.page import Result
from tests.faults.scene import DIRECT
from tests.faults.soak import choices


def a_fault(name: str = "worker killed", theme: str = "A worker", limit_s: float = 0.5) -> Fault:
    return Fault(name, theme, "kill -9 | by hand", "it comes back", "the kill", limit_s, lambda _: 0.0)


@pytest.mark.parametrize(
    ("times_s", "failures", "verdict"),
    [
        ((0.1, 0.5), (), "healed"),
        ((0.1, 0.6), (), "late"),
        ((), (), "late"),
        ((0.1,), ("no frame came\nand more of it",), "failed: no frame came"),
    ],
)
def test_a_verdict_is_good_only_if_all_healed_in_time(
    times_s: tuple[float, ...], failures: tuple[str, ...], verdict: str
) -> None:
    result = Result(a_fault(), "zmq", times_s, failures)
    assert result.verdict == verdict
    assert result.is_failed == (verdict != "healed")


def test_the_page_has_a_chapter_for_each_theme_and_a_row_for_each_fault() -> None:
    results = [
        Result(a_fault(), "direct", (0.1, 0.2, 0.4), ()),
        Result(a_fault("Redis gone", "The registry", 2.0), "zmq", (1.2345, 1.0), ()),
        Result(a_fault("worker hangs"), "direct", (), ("it hung",)),
    ]
    lines = page.page(results, {"cpu": "a cpu"}, 3).splitlines()
    assert [line for line in lines if line.startswith("## ")] == ["## A worker", "## The registry"]
    rows = [line for line in lines if line.startswith("| ") and not line.startswith("| fault")]
    cells = "kill -9 \\| by hand | it comes back | the kill"
    assert rows == [
        f"| worker killed | direct | {cells} | 200 ms | 400 ms | 3 | 500 ms | healed |",
        f"| worker hangs | direct | {cells} | - | - | 0 | 500 ms | failed: it hung |",
        f"| Redis gone | zmq | {cells} | 1.1 s | 1.2 s | 2 | 2.0 s | healed |",
    ]


def test_the_text_for_a_terminal_has_one_line_for_each() -> None:
    results = [Result(a_fault(), "direct", (0.1,), ()), Result(a_fault("worker hangs"), "zmq", (), ("it hung",))]
    assert page.text(results).splitlines() == [
        "worker killed  direct  100 ms  100 ms  1  500 ms  healed",
        "worker hangs   zmq     -  -  0  500 ms  failed: it hung",
    ]


def test_each_fault_of_the_catalogue_is_told_in_full() -> None:
    assert len(FAULTS) >= 65
    for each in FAULTS.values():
        assert all((each.theme, each.how, each.what, each.since)), each.name
        assert 0 < each.limit_s <= 12.0, each.name
        assert each.transports in (BY_BOTH, (DIRECT,)), each.name
    themes = list(dict.fromkeys(each.theme for each in FAULTS.values()))
    assert len(themes) == len(catalogue.THEMES)


def test_a_soak_takes_no_fault_that_hits_the_stream_that_must_not_notice() -> None:
    assert len(choices()) > 40
    assert not [each.name for each in choices() if each.is_wide or each.is_final]
