"""How many events a host tells: no more than agreed, and none uncounted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daosup.core.event_flow import MOST_OF_KIND, EventFlow
from daosup.core.repeats import MOST_WRITTEN, WINDOW_S


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 400), st.floats(0, 1.0)), max_size=800))
def test_what_is_not_told_is_counted_and_no_host_floods_the_others(steps: list[tuple[str, int, float]]) -> None:
    flow, now, told, counted = EventFlow(), 0.0, list[tuple[float, str, int]](), 0
    for name, number, pause_s in steps:
        now += pause_s
        counted += sum(each.count for each in flow.due(now))
        if flow.is_told(name, {"segment": number, "cause": now}, now):
            told.append((now, name, number))
    counted += sum(each.count for each in flow.due(float("inf")))
    assert len(told) + counted == len(steps)
    for began_s, name, number in told:
        within = [each for each in told if began_s <= each[0] < began_s + WINDOW_S]
        # Windows begin with their first event, so any time of that length may touch two of them.
        assert sum(each[1:] == (name, number) for each in within) <= 2 * MOST_WRITTEN
        assert sum(each[1] == name for each in within) <= 2 * MOST_OF_KIND


def test_a_thousand_workers_cost_two_hundred_events_and_a_count() -> None:
    flow = EventFlow()
    assert sum(flow.is_told("worker-ready", {"segment": f"wfs{i}"}, 0.0) for i in range(1500)) == MOST_OF_KIND
    assert flow.is_told("worker-died", {"segment": "wfs1"}, 0.0)
    (counted,) = flow.due(WINDOW_S)
    assert (counted.subject.kind, counted.count) == ("worker-ready", 1500 - MOST_OF_KIND)
