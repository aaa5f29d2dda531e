"""What daosupctl doctor prints, for people and for programs."""

from __future__ import annotations

from dataclasses import replace

from daosup.ctl.doctor import as_json, report
from daosup.ctl.doctor.findings import Finding, Level, ok, problem, skipped, warning
from daosup.ctl.tables import Style
from tests import doctor_samples as some

FINDINGS = [
    ok("daemon", "it answers"),
    warning("layouts", "old", "renew"),
    skipped("limits", "not to be seen", "use sudo"),
    problem("clock", "off", "set it"),
    ok("fleet", "in it"),
]


def test_people_see_what_is_wrong_the_worst_first_and_how_much_is_fine() -> None:
    assert report("rts", FINDINGS, Style(False), False) == [
        "problem  clock         off: set it",
        "warning  layouts       old: renew",
        "rts: 1 problem, 1 warning, 1 not checked, 2 fine; -v shows all",
    ]


def test_with_v_they_see_all() -> None:
    lines = report("rts", FINDINGS, Style(False), True)
    assert lines[2:] == [
        "skipped  limits        not to be seen: use sudo",
        "ok       daemon        it answers",
        "ok       fleet         in it",
        "rts: 1 problem, 1 warning, 1 not checked, 2 fine",
    ]


def test_nothing_from_outside_writes_to_the_terminal() -> None:
    evil = "\033[2Jx\n\u202e"
    findings = [problem("mirrors", evil, evil)]
    for line in report(evil, findings, Style(False), True):
        assert line.isprintable()


def test_programs_get_each_finding_and_the_counts() -> None:
    said = as_json(some.facts(), FINDINGS)
    assert said.keys() == {"host", "instance", "version", "findings", "counts"}
    assert (said["host"], said["instance"]) == ("rts", "master")
    assert said["counts"] == {"ok": 2, "skipped": 1, "warning": 1, "problem": 1}
    assert said["findings"][1] == {"check": "layouts", "level": "warning", "message": "old", "advice": "renew"}
    assert [each["level"] for each in said["findings"]] == ["ok", "warning", "skipped", "problem", "ok"]
    assert as_json(replace(some.facts(), settings=None, status={}), [])["host"] is None


def test_a_finding_has_a_level_of_four() -> None:
    assert [level.value for level in Level] == ["ok", "skipped", "warning", "problem"]
    assert Finding("a", Level.OK, "b").advice == ""
