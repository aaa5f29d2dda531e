"""What the service manager is told of a host."""

from __future__ import annotations

import pytest

from daosup.core.actions import StartWorker
from daosup.core.crew import Phase, Worker
from daosup.core.service_status import PATIENCE_S, is_serving, status_line
from daosup.core.standing import Standing
from daosup.core.types import Role, Source, WorkerKey, WorkerKind


def up() -> Standing:
    standing = Standing()
    list(standing.connected("valkey", 1.0))
    return standing


def down() -> Standing:
    standing = Standing()
    list(standing.lost("Connection refused", 1.0))
    return standing


def crew(*phases: Phase) -> dict[WorkerKey, Worker]:
    keys = [WorkerKey(WorkerKind.MIRROR, Source("rts", f"wfs{number}")) for number in range(len(phases))]
    return {key: Worker(StartWorker(key), phase, 0.0) for key, phase in zip(keys, phases)}


def line(
    standing: Standing, workers: dict[WorkerKey, Worker], role: Role | None = Role.MASTER, mistakes: int = 0
) -> str:
    return status_line(role, "rts:6379", standing, workers, "12:31:05", mistakes)


def test_a_host_serves_once_the_registry_knows_it() -> None:
    assert not is_serving(Standing(), is_registered=False, up_s=1.0)
    assert not is_serving(up(), is_registered=False, up_s=1.0)
    assert is_serving(up(), is_registered=True, up_s=1.0)


def test_a_host_serves_although_its_registry_is_away() -> None:
    assert is_serving(down(), is_registered=False, up_s=1.0)


def test_no_start_waits_for_ever() -> None:
    assert is_serving(Standing(), is_registered=False, up_s=PATIENCE_S)


def test_the_line_tells_role_registry_and_workers() -> None:
    assert line(up(), crew(Phase.RUNNING, Phase.RUNNING)) == "master; Redis rts:6379; 2 workers up"


def test_the_line_names_what_failed() -> None:
    told = line(up(), crew(Phase.RUNNING, Phase.FAILED, Phase.STARTING), Role.MINION)
    assert told == "minion; Redis rts:6379; 1 workers up, 1 starting or stopping, 1 failed (mirror rts:wfs1)"


def test_many_that_failed_are_not_all_named() -> None:
    assert line(up(), crew(*[Phase.FAILED] * 5)).endswith(
        "5 failed (mirror rts:wfs0, mirror rts:wfs1, mirror rts:wfs2, ...)"
    )


def test_a_registry_that_is_away_comes_first() -> None:
    assert line(down(), crew(Phase.RUNNING), None) == (
        "degraded: role not known yet; Redis rts:6379 is away since 12:31:05 (Connection refused), streams go on; "
        "1 workers up"
    )


def test_a_configuration_that_was_refused_is_told() -> None:
    assert "refused" in line(up(), {}, mistakes=2)
    assert "refused" not in line(up(), {})


@pytest.mark.parametrize("standing", [up(), down(), Standing()])
def test_a_host_that_ends_says_only_that(standing: Standing) -> None:
    standing.is_leaving = True
    assert line(standing, crew(Phase.STOPPING)) == "stopping: 1 workers are to end"
