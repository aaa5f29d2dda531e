"""What `daosupctl ls` makes of what the registry knows and what hosts answer."""

from __future__ import annotations

from typing import Any

import pytest

from daosup.ctl.options import Options
from daosup.ctl.segments import joined
from daosup.ctl.segments_report import segments_report
from daosup.ctl.tables import Style

PLAIN = Style(False)
MACHINES: list[dict[str, Any]] = [
    {
        "hostname": "lab",
        "ip": "10.0.0.2",
        "role": "minion",
        "last_connect": "2026-11-20T12:00:00+00:00",
        "segments": [{"name": "scope", "shape": [1024], "dtype": "float32", "readers": 0}],
    },
    {
        "hostname": "rts",
        "ip": "10.0.0.1",
        "role": "master",
        "last_connect": "2026-11-20T12:00:00+00:00",
        "segments": [
            {"name": "dm", "shape": [97], "dtype": "float32", "readers": 1},
            {"name": "wfs", "shape": [240, 240], "dtype": "uint16", "readers": 2},
        ],
    },
]


def a_segment(name: str = "wfs", **changes: object) -> dict[str, Any]:
    segment = {
        "name": name,
        "shape": [240, 240],
        "dtype": "uint16",
        "layout": "fifo",
        "depth": 10,
        "nbytes": 115200,
        "rate_hz": 499.8,
        "age_s": 0.002,
        "counter": 12345,
        "user": "ao",
        "readers": ["lab", "obs"],
        "writers": [],
        "writing": "open",
    }
    return {**segment, **changes}


def ok(*segments: dict[str, Any], host: str = "rts", writes_to: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"ok": True, "result": {"host": host, "segments": list(segments), "writes_to": list(writes_to)}}


SILENT = {"ok": False, "error": {"kind": "no_answer", "message": "no answer within 3 s"}, "known": None}
ANSWERS = {
    "rts": ok(a_segment(), a_segment("dm", shape=[97], dtype="float32", readers=["lab"], depth=1)),
    "lab": ok(host="lab", writes_to=("rts:dm",)),
}


def lines(
    answers: dict[str, Any], pattern: str | None = None, width: int | None = 80, *, is_verbose: bool = False
) -> list[str]:
    options = Options(words=["ls", pattern] if pattern else ["ls"], verbose=is_verbose)
    return segments_report(joined(MACHINES, answers, pattern or "*"), options, PLAIN, width)


def line_of(source: str, told: list[str]) -> list[str]:
    (line,) = [line for line in told if line.startswith(source)]
    return line.split()


def test_hosts_come_first_then_segments_in_the_words_that_mirror_takes() -> None:
    told = lines(ANSWERS, width=None)
    assert line_of("rts ", told)[:3] == ["rts", "master", "10.0.0.1"]
    assert line_of("rts ", told)[-4:] == ["ago", "2", "from", "them"]
    assert line_of("rts:wfs", told) == [
        *("rts:wfs", "240x240", "uint16", "fifo", "x10", "500", "Hz", "115", "kB", "lab,", "obs", "-")
    ]
    assert told.index(next(line for line in told if line.startswith("rts:dm"))) > told.index("")


def test_who_writes_is_known_from_the_hosts_that_do() -> None:
    assert line_of("rts:dm", lines(ANSWERS))[-1] == "lab"
    closed = {"rts": ok(a_segment(writing="read_only")), "lab": ok(host="lab")}
    assert line_of("rts:wfs", lines(closed))[-1] == "read-only"


def test_a_silent_host_is_listed_with_what_the_registry_knows_and_it_is_said_why() -> None:
    told = lines({"rts": ANSWERS["rts"], "lab": SILENT}, width=None)
    assert line_of("lab:scope", told) == ["lab:scope", "1024", "float32", "-", "-", "-", "0", "-"]
    assert told[-1] == "lab: no answer within 3 s; shown is what the registry knows"
    everybody = lines({"": {"ok": False, "error": {"kind": "unsupported", "message": "too old"}}})
    assert everybody[-1] == "lab, rts: too old; shown is what the registry knows"


def test_a_pattern_leaves_the_rest_out_and_the_hosts_unless_more_is_asked_for() -> None:
    told = lines(ANSWERS, "r*:w*")
    assert len(told) == 2
    assert told[1].startswith("rts:wfs")
    assert line_of("rts ", lines(ANSWERS, "r*:w*", None, is_verbose=True))[1] == "master"
    assert line_of("rts:wfs", lines(ANSWERS, "wfs", None, is_verbose=True))[-3:] == ["just", "now", "ao"]


@pytest.mark.parametrize("width", [80, 160])
def test_it_fits(width: int) -> None:
    answers = {"rts": ok(a_segment(), a_segment("a_rather_long_name", rate_hz=1234.5, readers=["lab", "obs", "desk"]))}
    assert max(map(len, lines(answers, width=width))) <= width
    assert ("LAYOUT" in "".join(lines(answers, width=width))) == (width == 160)


def test_what_was_just_made_is_told_although_the_registry_does_not_know_it_yet() -> None:
    hosts = joined(MACHINES, {"rts": ok(a_segment("new"))}, "rts:new")
    assert [segment["name"] for host in hosts for segment in host["segments"]] == ["new"]
    assert hosts[1]["segments"][0]["readers"] == 2


def test_no_hosts_and_no_segments_are_told() -> None:
    assert segments_report([], Options(words=["ls"], verbose=False), PLAIN, 80) == ["no hosts in the registry"]
    nothing = joined([{**MACHINES[0], "segments": []}], {"lab": ok(host="lab")}, "*")
    assert segments_report(nothing, Options(words=["ls"], verbose=False), PLAIN, 80)[-1] == "no segments on any of them"


EVIL = "\033]0;owned\a\033[2Jx\n\u202e"


@pytest.mark.parametrize(
    "result",
    [
        {"segments": [a_segment(name=EVIL, dtype=EVIL, layout=EVIL, user=EVIL, readers=[EVIL], writers=[EVIL])]},
        {"segments": [dict.fromkeys(a_segment(), EVIL)]},
        {"segments": [dict.fromkeys(a_segment(), 1)]},
        {"segments": [{key: {} for key in a_segment()}]},
        {"segments": [dict.fromkeys(a_segment())]},
        {"segments": [[], 7, None], "writes_to": [{}, 7]},
        {"segments": 7, "writes_to": 7},
        {},
        [],
        None,
    ],
)
def test_what_another_host_answers_does_no_harm(result: object) -> None:
    for line in lines({"rts": {"ok": True, "result": result}, "lab": SILENT}, is_verbose=True):
        assert line.isprintable()
