"""What is offered to somebody who mistyped a name; and which segments a pattern means."""

from __future__ import annotations

import pytest

from daosup.core.nearest import did_you_mean, did_you_mean_source
from daosup.core.segment_patterns import fits, fits_host
from daosup.core.types import Source

FLEET = {"rts": ["wfs", "dm", "wfs_slow"], "lab": ["scope"], "obs": []}


@pytest.mark.parametrize(
    ("word", "told"), [("wsf", "; did you mean 'wfs'?"), ("DM", "; did you mean 'dm'?"), ("thermometer", "")]
)
def test_the_name_that_is_most_like_it_is_offered(word: str, told: str) -> None:
    assert did_you_mean(word, FLEET["rts"]) == told
    assert did_you_mean(word, []) == ""


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("rts:wsf", "'rts:wfs'"),
        ("rst:wfs", "'rts:wfs'"),
        ("rts:scope", "'lab:scope'"),
        ("nowhere:scope", "'lab:scope'"),
        ("rst:wsf", "'rts:wfs'"),
        ("labb:thermometer", "host 'lab'"),
        ("lab:thermometer", None),
        ("zzz:thermometer", None),
    ],
)
def test_a_source_is_looked_for_by_name_and_by_host(source: str, told: str | None) -> None:
    expected = "" if told is None else f"; did you mean {told}?"
    assert did_you_mean_source(Source.parse(source), FLEET) == expected


def test_a_huge_fleet_is_not_compared_name_by_name() -> None:
    names = (f"name{number}" for number in range(10**9))  # nobody has the time
    assert did_you_mean("x", names) == ""


@pytest.mark.parametrize(
    ("pattern", "is_meant"),
    [
        ("*", True),
        ("rts:wfs", True),
        ("rts*:wfs*", True),
        ("wfs", True),
        ("w*", True),
        ("rts:", True),
        (":wfs", True),
        ("r?s:[vw]fs", True),
        ("rts:dm", False),
        ("lab:*", False),
        ("RTS:*", False),
        ("rts:wf", False),
    ],
)
def test_patterns_mean_segments_as_a_shell_means_files(pattern: str, is_meant: bool) -> None:
    assert fits(pattern, "rts", "wfs") == is_meant
    assert not is_meant or fits_host(pattern, "rts")


def test_a_pattern_may_leave_a_host_out_at_once() -> None:
    assert fits_host("wfs*", "anybody")
    assert not fits_host("rts*:wfs", "lab")
