"""An old reader counts as long as it lives, however its beats and our looks fall, and not much longer."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from daosup.core.old_readership import MOST_HEARD, OldReadership
from daosup.core.readership import READER_TIMEOUT_S

PAIR = ("wfs", "old")
BEATS = st.lists(st.floats(0.1, 10.0), min_size=1, max_size=30)
LOOKS = st.lists(st.floats(0.1, 7.0), min_size=5, max_size=80)
#: The longest time between two looks that show different beats.
SLOWEST_S = 17.0


def is_reading(old: OldReadership) -> bool:
    return [reader.host for reader in old.of("wfs")] == ["old"] and old.names == {"wfs"}


@given(beats=BEATS, looks=LOOKS, has_asked=st.booleans(), is_expiring=st.booleans())
def test_who_beats_counts_and_who_is_silent_does_not(
    beats: list[float], looks: list[float], has_asked: bool, is_expiring: bool
) -> None:
    old = OldReadership()
    times = list(accumulate(beats))
    changes: list[float] = []
    if has_asked:
        assert old.asked(*PAIR, "10.0.0.7", 0.0)
        changes.append(0.0)
    seen = None
    for now in accumulate(looks):
        stamp = max((time for time in times if time <= now), default=None)
        is_there = stamp is not None and not (is_expiring and now > stamp + 75.0)
        if is_there and stamp != seen:
            if seen is not None or has_asked:
                changes.append(now)
            seen = stamp
        old.heard({PAIR: str(stamp)} if is_there else {}, now, lambda name, host: False)
        if now <= times[-1] and changes and now - changes[-1] <= SLOWEST_S:
            assert is_reading(old)
        if not changes or now > max(times[-1], 0.0) + SLOWEST_S + READER_TIMEOUT_S:
            assert not is_reading(old)


@given(looks=LOOKS)
def test_while_the_registry_is_away_nobody_s_time_runs(looks: list[float]) -> None:
    old = OldReadership()
    old.asked(*PAIR, "10.0.0.7", 0.0)
    for now in accumulate(look * 100 for look in looks):
        old.forgive(now)
        old.heard({}, now, lambda name, host: False)
        assert is_reading(old)


def test_whatever_lies_in_the_registry_is_followed_only_so_far() -> None:
    old = OldReadership()
    old.heard({("wfs", f"old{number}"): "now" for number in range(3 * MOST_HEARD)}, 1.0, lambda name, host: False)
    assert len(old.pairs) == MOST_HEARD
    assert old.asked("wfs", "one", "10.0.0.7", 2.0)  # who asks by himself is heard all the same
