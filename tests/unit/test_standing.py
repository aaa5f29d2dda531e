"""How a host stands with the registry, one sentence after the other."""

from __future__ import annotations

from daosup.core.actions import ConnectRegistry, Report
from daosup.core.standing import HEALTHY_S, MAX_PAUSE_S, RegistryPhase, Standing


def told(reports: object) -> list[str]:
    return [report.notice.text for report in reports if isinstance(report, Report)]  # type: ignore[attr-defined]


def up(at_s: float = 100.0) -> Standing:
    standing = Standing()
    assert list(standing.tick(at_s)) == [ConnectRegistry()]
    assert told(standing.connected("valkey", at_s)) == ["registry connected"]
    return standing


def test_before_the_first_try_has_ended_it_connects() -> None:
    standing = Standing()
    assert standing.phase is RegistryPhase.CONNECTING
    assert list(standing.tick(5.0)) == [ConnectRegistry()]
    assert list(standing.tick(6.0)) == []
    assert (standing.phase, standing.since_s) == (RegistryPhase.CONNECTING, 5.0)


def test_an_outage_counts_from_its_beginning_however_often_it_is_tried_again() -> None:
    standing = up()
    assert told(standing.lost("gone", 200.0)) == ["registry away; streams go on"]
    for second in range(201, 300):
        assert list(standing.tick(second)) == [ConnectRegistry()]
        assert told(standing.lost("gone", second + 0.1)) == []
    assert (standing.phase, standing.since_s, standing.error) == (RegistryPhase.DOWN, 200.0, "gone")
    assert told(standing.connected("valkey", 300.0)) == ["registry connected"]
    assert (standing.phase, standing.since_s, standing.error) == (RegistryPhase.UP, 300.0, None)


def test_the_pause_between_two_tries_is_short_at_first_and_never_long() -> None:
    standing = up()
    now, pauses = 200.0, []
    for _ in range(20):
        list(standing.lost("gone", now))
        lost_s = now
        while not list(standing.tick(now)):
            now += 0.01
        pauses.append(now - lost_s)
    assert pauses[0] < 0.1
    assert pauses == sorted(pauses)
    assert pauses[-1] < MAX_PAUSE_S + 0.02


def test_a_registry_that_fails_again_at_once_is_one_outage_and_fills_no_log() -> None:
    standing = up()
    lines = told(standing.lost("full", 200.0))
    for second in range(201, 260):
        assert list(standing.tick(second)) == [ConnectRegistry()]
        lines += told(standing.connected("valkey", second))
        lines += told(standing.lost("full", second + 0.1))
        assert standing.since_s == 200.0
        assert list(standing.tick(second + 0.1)) == []
    away = "registry away; streams go on"
    assert lines == [away, "registry connected", away]
    assert told(standing.connected("valkey", 300.0)) == []
    assert told(standing.tick(300.0 + HEALTHY_S)) == ["registry connected"]
    assert told(standing.lost("full", 310.0)) == [away]
    assert standing.since_s == 310.0


def test_many_different_reasons_of_one_outage_fill_no_log() -> None:
    standing = up()
    lines = [line for number in range(1000) for line in told(standing.lost(f"reason {number}", 200.0 + number))]
    assert len(lines) == 20
