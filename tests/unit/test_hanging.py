"""Which workers hang: the rule, and what it excuses."""

from __future__ import annotations

from typing import Optional

from hypothesis import given
from hypothesis import strategies as st

from daosup.core.hanging import (
    BEGIN_S,
    BEGIN_STARVED_S,
    LATE_S,
    OWN_MEMORY_S,
    STARVED_S,
    STOPPED,
    TRACED,
    HangWatch,
    Late,
)
from daosup.core.types import Source, WorkerKey, WorkerKind

TICK_S = 0.25
STATES = st.sampled_from(["R", "S", "D", STOPPED, TRACED, ""])


def late(
    number: int = 0,
    age_s: float = LATE_S + 0.01,
    has_begun: bool = True,
    state: str = "S",
    cpu_share: Optional[float] = None,
) -> Late:
    key = WorkerKey(WorkerKind.MIRROR, Source("rts", f"s{number}"))
    return Late(key, 100 + number, age_s, has_begun, state, cpu_share)


def watch(*turns_s: float) -> HangWatch:
    made = HangWatch(TICK_S)
    for turn_s in turns_s or (10.0,):
        made.turn(turn_s)
    return made


def hanging(*those: Late, count: int = 10, turns_s: tuple[float, ...] = (10.0,)) -> list[Late]:
    return list(watch(*turns_s).hanging(those, count, turns_s[-1]))


def test_a_loop_that_stands_still_hangs() -> None:
    assert hanging(late(), count=1) == [late()]
    assert hanging(late(age_s=LATE_S), count=1) == []


def test_a_loop_that_has_not_begun_has_more_time() -> None:
    assert hanging(late(age_s=BEGIN_S, has_begun=False)) == []
    assert hanging(late(age_s=BEGIN_S + 0.1, has_begun=False)) == [late(age_s=BEGIN_S + 0.1, has_begun=False)]


def test_two_may_hang_of_few_but_three_are_the_machines_fault() -> None:
    assert len(hanging(late(1), late(2), count=2)) == 2
    three = [late(number) for number in range(3)]
    assert hanging(*three, count=3) == []
    assert hanging(*three, late(3, age_s=STARVED_S + 0.1), count=4) == [late(3, age_s=STARVED_S + 0.1)]


def test_one_in_ten_may_hang_of_many_but_more_are_the_machines_fault() -> None:
    those = [late(number) for number in range(151)]
    assert len(hanging(*those[:150], count=1500)) == 150
    assert hanging(*those, count=1500) == []


def test_a_supervisor_that_was_late_itself_forgives_for_a_while() -> None:
    lag = (10.0, 10.0 + TICK_S + 0.51)
    assert hanging(late(), turns_s=lag) == []
    regular = tuple(lag[-1] + TICK_S * number for number in range(1, 1 + int(OWN_MEMORY_S / TICK_S)))
    assert hanging(late(), turns_s=lag + regular[:-1]) == []
    assert hanging(late(), turns_s=lag + regular) == [late()]
    assert hanging(late(), turns_s=(10.0, 10.0 + TICK_S + 0.49)) == [late()]


def test_what_passed_while_the_supervisor_was_away_is_held_against_nobody() -> None:
    """As after Ctrl-Z and fg, or when a machine wakes: all beats are old, and the supervisor may be the first back."""
    away = (10.0, 100.0)
    assert hanging(late(age_s=89.0), late(1, age_s=90.0, state=STOPPED), turns_s=away) == []
    regular = [away[-1] + TICK_S * number for number in range(1, 60)]
    for number, turn_s in enumerate(regular):
        turns_s = (*away, *regular[: number + 1])
        stopped, hung = late(age_s=turn_s - 11.0, state=STOPPED), late(1, age_s=turn_s - 11.0)
        assert (hanging(stopped, turns_s=turns_s) == [stopped]) == (turn_s - away[-1] > LATE_S)
        assert (hanging(hung, turns_s=turns_s) == [hung]) == (turn_s - away[-1] >= OWN_MEMORY_S)


def test_one_that_was_stopped_is_never_excused_and_excuses_no_other() -> None:
    stopped = [late(number, state=STOPPED) for number in range(5)]
    assert hanging(*stopped, count=5) == stopped
    assert hanging(*stopped, count=5, turns_s=(10.0, 12.0)) == stopped
    assert hanging(*stopped, late(7), count=6) == [*stopped, late(7)]


def test_one_that_is_traced_does_not_hang() -> None:
    assert hanging(late(age_s=1e6, state=TRACED), late(1, 1e6, has_begun=False, state=TRACED)) == []


def test_one_that_could_run_and_gets_no_turn_is_excused_but_not_one_that_goes_round_in_circles() -> None:
    waiting, spinning = late(1, state="R", cpu_share=0.01), late(2, state="R", cpu_share=0.4)
    unknown, sleeping = late(3, state="R"), late(4, state="S", cpu_share=0.0)
    assert hanging(waiting, spinning) == [spinning]
    assert hanging(unknown, sleeping) == [sleeping]
    long = waiting._replace(age_s=STARVED_S + 0.1)
    assert hanging(long) == [long]


@given(
    st.lists(
        st.builds(late, st.integers(0, 999), st.floats(0, 100), st.booleans(), STATES, st.none() | st.floats(0, 2)),
        max_size=20,
    ),
    st.integers(0, 100),
    st.booleans(),
)
def test_the_rule(those: list[Late], others: int, was_late: bool) -> None:
    found = hanging(*those, count=len(those) + others, turns_s=(0.0, 3.0) if was_late else (0.0, 0.1))
    for each in those:
        if each.state == TRACED or each.age_s <= LATE_S:
            assert each not in found
        elif each.state == STOPPED or each.age_s > BEGIN_STARVED_S or (each.has_begun and each.age_s > STARVED_S):
            assert each in found
    assert set(found) <= set(those)
    if was_late:
        assert all(each.age_s > STARVED_S or each.state == STOPPED for each in found)
