"""Supervisors that are killed, in whatever company of faults: no process of a wanted stream is ever stopped."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daosup.core import events as e
from daosup.core.types import Role, SegmentFacts, Source
from tests.property.worlds import World

HOSTS = st.sampled_from(["rts", "desk"])
FAULTS = st.one_of(
    st.tuples(st.just("kill"), HOSTS),
    st.tuples(st.just("lose registry"), HOSTS),
    st.tuples(st.just("flush"), st.none()),
    st.tuples(st.just("wait"), st.sampled_from([0, 1, 3, 8])),
    st.tuples(st.just("hang"), st.sampled_from([0.1, 2.0, 5.0])),
)
#: Longer than a reader's silence and than the time that programs have to come back.
LONG_S = 40


@given(st.lists(FAULTS, max_size=15), st.sampled_from([None, Role.MASTER]))
def test_whatever_happens_to_supervisors_and_registry_wanted_workers_go_on(
    faults: list[tuple[str, object]], role: Role | None
) -> None:
    world = World({"rts": 1.02, "desk": 0.98})
    for name, host in world.hosts.items():
        segment = f"of_{name}"
        host.files = {segment: SegmentFacts(segment, (4, 4), "float32", "fifo", 1, 64, "0")}
    for name, owner in (("rts", "desk"), ("desk", "rts")):
        for holder in ("operator", "program"):
            world.hosts[name].post(e.MirrorAsked(Source(owner, f"of_{owner}"), holder))
    world.settle(3)
    pids = {name: sorted(host.processes.by_pid) for name, host in world.hosts.items()}
    assert [len(each) for each in pids.values()] == [2, 2]
    for fault, value in faults:
        if fault == "kill":
            host = world.hosts[str(value)]
            host.crash()
            owner = "desk" if value == "rts" else "rts"
            host.post(e.MirrorAsked(Source(owner, f"of_{owner}"), "program"))
        elif fault == "lose registry":
            world.hosts[str(value)].lose_registry()
        elif fault == "flush":
            world.registry.forget_everything()
        elif fault == "wait":
            world.settle(int(str(value)))
        else:
            world.advance(float(str(value)))
            world.settle(1)  # or those whose hang follows hang would rightly count as gone
        assert {name: sorted(host.processes.by_pid) for name, host in world.hosts.items()} == pids
    world.settle(LONG_S)
    for name, host in world.hosts.items():
        assert sorted(host.processes.by_pid) == pids[name]
        assert all(process.asked_s is None for process in host.processes.alive)
        assert not host.state.reconciling.presumed.names


@given(st.integers(3, 6))
def test_what_nobody_wants_any_more_ends_after_its_time(ran_s: int) -> None:
    world = World({"rts": 1.0, "desk": 1.0})
    rts, desk = world.hosts["rts"], world.hosts["desk"]
    rts.files = {"wfs": SegmentFacts("wfs", (4, 4), "float32", "fifo", 1, 64, "0")}
    source = Source("rts", "wfs")
    desk.post(e.MirrorAsked(source, "program"))
    world.settle(ran_s)
    rts.crash()
    desk.crash()  # and the program does not come back
    world.settle(20)
    assert len(rts.processes.alive) == len(desk.processes.alive) == 1
    world.settle(LONG_S)
    assert not rts.processes.alive
    assert not desk.processes.alive
    assert not desk.mirror_files
