"""What a host does for and with nodes of DAO's network service, one sentence after the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.desired import Desired
from daosup.core.dnet_catalogue import Beacon, Catalogue, Listed
from daosup.core.layout import make_geometry
from daosup.core.reconciling import ASKED_S
from daosup.core.types import DNET_PROTOCOL, Source, WorkerKey, WorkerKind
from tests.unit.hosts import ENDPOINT, HOST, REMOTE, WFS, Story, mirror, only, publisher, record

NODE = Source("node", "cam")
ADDRESS, DATA_PORT = "10.0.0.9", 7710
GATE = WorkerKey(WorkerKind.GATE, Source(HOST, "gate"))
FETCH = do.FetchCatalogue("node", ADDRESS, DATA_PORT)


def catalogue(*names: str, version: int = 1, node: str = "node") -> Catalogue:
    return Catalogue(node, version, "dao", tuple(Listed(name, make_geometry((4,), "uint8")) for name in names))


def hearing(*names: str, is_connected: bool = True, **facts: Any) -> Story:
    """A host that hears a node with these segments."""
    story = Story(domain="dao", node=HOST, **facts)
    if is_connected:
        story.connect()
    assert FETCH in hear(story)
    read(story, *names)
    return story


def hear(story: Story, node: str = "node", version: int = 1, address: str = ADDRESS) -> list[do.Action]:
    return story.say(e.BeaconHeard(Beacon("dao", node, DATA_PORT, version), address))


def read(story: Story, *names: str, version: int = 1, node: str = "node") -> list[do.Action]:
    return story.say(e.CatalogueRead(node, ADDRESS, DATA_PORT, catalogue(*names, version=version, node=node)))


def unknown(story: Story, source: Source = NODE) -> list[do.Action]:
    """The registry does not know a source's host."""
    return story.say(e.RecordsSeen((e.SourceSeen(source, False, False, ()),)))


def order(address: str = ADDRESS) -> do.StartWorker:
    return do.StartWorker(mirror(NODE), 0, f"tcp://{address}:{DATA_PORT}", protocol=DNET_PROTOCOL)


def test_what_only_a_node_has_is_mirrored_from_there_and_not_asked_for_in_the_registry() -> None:
    story = hearing("cam")
    assert do.ReadRecords((NODE,)) in story.say(e.MirrorAsked(NODE, "operator"))
    assert order() in unknown(story)
    assert only(story.after(60.0), do.Ask) == []


def test_what_the_registry_knows_is_mirrored_as_ever_though_a_node_is_called_so() -> None:
    story = hearing("cam")
    hear(story, "desk")
    read(story, "cam", node="desk")
    story.say(e.MirrorAsked(REMOTE, "operator"))
    assert only(story.records(record()), do.StartWorker) == [do.StartWorker(mirror(), 0, ENDPOINT)]


def test_a_segment_that_a_node_has_only_later_is_mirrored_then() -> None:
    story = hearing("other")
    story.say(e.MirrorAsked(NODE, "operator"))
    unknown(story)
    assert story.state.mirrors[NODE].reason == "host node has no segment cam in its catalogue"
    story.now += 1.0
    assert FETCH in hear(story, version=2)
    assert do.ReadRecords((NODE,)) in read(story, "other", "cam", version=2)
    assert order() in unknown(story)


def test_a_mirror_needs_no_registry() -> None:
    story = hearing("cam", is_connected=False)
    assert order() in story.say(e.MirrorAsked(NODE, "operator"))


def test_a_node_that_is_forgotten_stays_its_source_s_owner_and_is_followed_elsewhere() -> None:
    story = hearing("cam")
    story.say(e.MirrorAsked(NODE, "operator"))
    unknown(story)
    story.run(mirror(NODE), 9)
    assert only(story.after(20.0), do.StopWorker) == []
    assert not story.state.foreign.nodes
    unknown(story)
    assert only(hear(story, address="10.0.0.10"), do.FetchCatalogue)
    story.say(e.CatalogueRead("node", "10.0.0.10", DATA_PORT, catalogue("cam")))
    assert only(unknown(story), do.StopWorker) == [do.StopWorker(mirror(NODE), 9)]
    assert order("10.0.0.10") in story.end(mirror(NODE), 9)


def test_a_host_that_is_a_node_has_a_gate_and_another_has_none() -> None:
    assert [each.key for each in only(hearing().after(1.0), do.StartWorker)] == []
    assert GATE in hearing().state.crew.workers
    story = Story()
    story.connect()
    assert not story.state.crew.workers


def test_a_gate_that_operators_stopped_ends_and_comes_back_when_they_start_it() -> None:
    story = hearing()
    story.run(GATE, 7)
    assert only(story.say(e.DesiredChanged(Desired().stopping(GATE))), do.StopWorker) == [do.StopWorker(GATE, 7)]
    assert story.state.is_stopped(GATE)
    assert only([*story.end(GATE, 7), *story.after(60.0)], do.StartWorker) == []
    started = only(story.say(e.DesiredChanged(Desired().stopping(GATE).starting(GATE))), do.StartWorker)
    assert [each.key for each in started] == [GATE]


def test_a_gate_that_was_stopped_before_does_not_begin() -> None:
    story = Story(domain="dao", node=HOST)
    story.say(e.DesiredChanged(Desired().stopping(GATE)))
    story.connect()
    assert only(story.after(60.0), do.StartWorker) == []


def test_gate_means_the_gate_unless_a_segment_is_called_so() -> None:
    story = hearing()
    assert story.state.own_worker("gate") == GATE
    assert story.state.own_worker("wfs") == publisher("wfs")
    story.segments(replace(WFS, name="gate"))
    assert story.state.own_worker("gate") == publisher("gate")
    assert Story().state.own_worker("gate") == publisher("gate")


def test_what_a_node_comes_for_is_published_until_it_turns_out_that_it_does_not_read() -> None:
    story = hearing()
    story.segments(WFS)
    assert [each.key for each in only(story.say(e.NodeAsked("wfs")), do.StartWorker)] == [publisher()]
    assert story.say(e.NodeAsked("nothing")) == []
    story.run(publisher(), 7, 5000)
    assert only(story.after(ASKED_S - 1.0), do.StopWorker) == []
    assert only(story.after(2.0), do.StopWorker) == [do.StopWorker(publisher(), 7)]


def test_what_a_node_reads_goes_on_being_published() -> None:
    story = hearing()
    story.segments(WFS)
    story.say(e.NodeAsked("wfs"))
    story.run(publisher(), 7, 5000)
    story.say(e.LinksSeen(frozenset(), frozenset({"wfs"}), {"wfs": 1}))
    assert only(story.after(5 * ASKED_S), do.StopWorker) == []
    assert only(story.say(e.LinksSeen(frozenset(), frozenset())), do.StopWorker) == [do.StopWorker(publisher(), 7)]
