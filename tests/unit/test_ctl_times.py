"""Times as people write and read them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from daosup.ctl.times import ago, clock, moment, stamp
from daosup.errors import UsageError

#: 2026-11-20 12:30:15 in Chile, where the Sun is highest at about 13:30 in summer.
NOW_S = 1795188615.0


@pytest.fixture(autouse=True)
def _in_chile(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "<-03>3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "seconds_ago"),
    [
        ("now", 0),
        ("10min", 600),
        ("10 min ago", 600),
        ("90s", 90),
        ("2h", 7200),
        ("1h30min", 5400),
        ("1.5 hours", 5400),
        ("2 days", 172800),
        ("1w", 604800),
        ("today", 12 * 3600 + 30 * 60 + 15),
        ("yesterday", 36 * 3600 + 30 * 60 + 15),
        ("12:30", 15),
        ("12:30:05", 10),
        ("2026-11-20 12:00", 1815),
        ("2026-11-20T12:00:15", 1800),
        ("2026-11-20", 12 * 3600 + 30 * 60 + 15),
    ],
)
def test_what_is_written_is_understood(text: str, seconds_ago: float) -> None:
    assert NOW_S - moment(text, NOW_S) == seconds_ago


@pytest.mark.parametrize("text", ["", "soon", "10", "10 parsecs", "-1h", "25:00", "2026-13-01", "99999-01-01"])
def test_what_means_nothing_is_told_how_to_be_written(text: str) -> None:
    with pytest.raises(UsageError, match="is not a time; write 10min, 2h, today, 12:00 or 2026-11-20 12:00"):
        moment(text, NOW_S)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(-5, "0 s ago"), (0.4, "0 s ago"), (59.9, "59 s ago"), (60, "1 min ago"), (3599, "59 min ago"),
     (3600, "1 h ago"), (86399, "23 h ago"), (86400, "1 d ago"), (40 * 86400, "40 d ago")],
)  # fmt: skip
def test_how_long_ago_it_was(seconds: float, told: str) -> None:
    assert ago(seconds) == told


def test_moments() -> None:
    assert stamp(NOW_S) == "2026-11-20 12:30:15 -0300"
    assert clock(NOW_S - 60, NOW_S) == "12:29:15"
    assert clock(NOW_S - 86400, NOW_S) == "11-19 12:30"
