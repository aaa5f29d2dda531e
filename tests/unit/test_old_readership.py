"""What a host does for readers that speak the old protocol."""

from __future__ import annotations

from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.readers import LONGEST_PAUSE_S
from daosup.core.registry_values import StreamRequest
from daosup.core.types import OLD_PROTOCOL, StreamRecord
from tests.unit.hosts import DESK, DM, IP, PORT, WFS, Story, only, publisher, publishing

OLD = StreamRequest("10.0.0.7", "old", protocol=OLD_PROTOCOL)
PAIR = ("wfs", "old")


def owner() -> Story:
    story = Story()
    story.connect()
    story.segments(WFS, DM)
    story.readers()
    return story


def asked(story: Story, request: StreamRequest = OLD, name: str = "wfs") -> list[do.Action]:
    return story.say(e.RequestsTaken({name: request}))


def beat(story: Story, stamp: str, *pairs: tuple[str, str]) -> list[do.Action]:
    return story.say(e.HeartbeatsSeen(dict.fromkeys(pairs or [PAIR], stamp)))


def raw(story: Story, seconds: float) -> list[do.Action]:
    """As ``Story.after``, with what that leaves out."""
    actions = []
    for _ in range(int(2 * seconds)):
        story.now += 0.5
        actions += story.state.handle(e.Ticked(), story.now)
    return actions


def hosts_of(story: Story, name: str = "wfs") -> list[str]:
    return [reader.host for reader in story.state.readership.of(name)]


def test_requests_are_looked_for_every_two_seconds() -> None:
    taken = only(raw(owner(), 20.0), do.TakeRequests)
    assert [set(each.names) for each in taken] == [{"wfs", "dm"}] * 10


def test_whoever_asked_is_published_for_and_told_where() -> None:
    story = owner()
    assert asked(story) == [publishing()]
    told = (StreamRecord(IP, PORT, "old", "10.0.0.7"),)
    assert story.run(publisher(), 7, PORT) == [do.PutRecords("wfs", told, ("old",))]
    assert asked(story) == []  # again


def test_he_counts_as_long_as_his_heartbeat_changes_and_25_s_more() -> None:
    story = owner()
    asked(story)
    story.run(publisher(), 7, PORT)
    for second in range(0, 100, 10):
        story.after(10.0)
        assert beat(story, f"at {second}") == []
    story.after(25.0)
    assert beat(story, "at 90") == []
    story.after(0.5)
    assert beat(story, "at 90") == [do.StopWorker(publisher(), 7), do.PutRecords("wfs", (), ("old",))]


def test_a_heartbeat_that_is_gone_is_one_that_did_not_change() -> None:
    story = owner()
    asked(story)
    story.after(25.0)
    assert story.say(e.HeartbeatsSeen({})) == []
    story.after(0.5)
    story.say(e.HeartbeatsSeen({}))
    assert hosts_of(story) == []


def test_heartbeats_of_known_readers_are_looked_at_and_only_theirs() -> None:
    story = owner()
    assert only(story.after(20.0), do.ReadHeartbeats) == []
    asked(story)
    assert only(story.after(20.0), do.ReadHeartbeats) == [do.ReadHeartbeats((PAIR,))] * 4


def test_time_without_the_registry_is_held_against_nobody() -> None:
    story = owner()
    asked(story)
    story.lose()
    story.after(100.0)
    story.connect()
    story.say(e.HeartbeatsSeen({}))
    assert hosts_of(story) == ["old"]


def test_one_that_only_subscribes_is_searched_for_by_its_heartbeat_and_counts_when_that_changes() -> None:
    story = owner()
    story.readers(DESK)
    story.run(publisher(), 7, PORT)
    assert len(only(raw(story, 60.0), do.FindHeartbeats)) == 1  # in the beginning
    story.say(e.LinksSeen(frozenset(), frozenset({"wfs"}), {"wfs": 2}))
    assert len(only(raw(story, 1.0), do.FindHeartbeats)) == 1
    assert beat(story, "then") == []
    assert hosts_of(story) == ["desk"]
    told = (StreamRecord(IP, PORT, "desk", DESK.ip), StreamRecord(IP, PORT, "old", ""))
    assert beat(story, "10 s later") == [do.PutRecords("wfs", told, ("desk", "old"))]
    assert hosts_of(story) == ["desk", "old"]
    story.say(e.LinksSeen(frozenset(), frozenset({"wfs"}), {"wfs": 2}))
    assert only(raw(story, 20.0), do.FindHeartbeats) == []


def test_the_search_for_one_that_has_no_heartbeat_gets_ever_rarer_and_begins_anew_with_the_next_one() -> None:
    story = owner()
    story.say(e.LinksSeen(frozenset(), frozenset({"wfs"}), {"wfs": 1}))
    assert len(only(raw(story, 3600.0), do.FindHeartbeats)) < 20
    assert len(only(raw(story, LONGEST_PAUSE_S), do.FindHeartbeats)) == 1
    story.say(e.LinksSeen(frozenset(), frozenset({"wfs"}), {"wfs": 2}))
    assert len(only(raw(story, 40.0), do.FindHeartbeats)) >= 2


def test_a_heartbeat_that_somebody_left_is_nobody() -> None:
    story = owner()
    for _ in range(5):
        beat(story, "long ago")
        story.after(5.0)
    assert hosts_of(story) == []
    assert story.state.crew.workers == {}
    story.after(1.0)
    story.say(e.HeartbeatsSeen({}))
    assert only(story.after(10.0), do.ReadHeartbeats) == []


def test_a_host_of_ours_is_no_old_reader_though_it_keeps_that_heartbeat() -> None:
    story = owner()
    asked(story, StreamRequest(DESK.ip, DESK.host, protocol=OLD_PROTOCOL))
    story.readers(DESK)
    assert [reader.protocol for reader in story.state.readership.of("wfs")] == [2]
    beat(story, "now", ("wfs", "desk"))
    beat(story, "later", ("wfs", "desk"))
    story.readers()  # it says that it leaves
    assert hosts_of(story) == []


def test_one_that_leaves_cuts_off_nobody() -> None:
    story = owner()
    for host in ("one", "two"):
        asked(story, StreamRequest("10.0.0.7", host, protocol=OLD_PROTOCOL))
    story.readers(DESK)
    story.run(publisher(), 7, PORT)
    assert hosts_of(story) == ["desk", "one", "two"]
    for second in range(30):
        story.after(1.0)
        beat(story, f"at {second}", ("wfs", "two"))
    assert hosts_of(story) == ["desk", "two"]
    story.readers()
    assert hosts_of(story) == ["two"]
    assert publisher() in story.state.crew.workers


def test_after_a_crash_the_publisher_goes_on_and_its_old_reader_is_found_again() -> None:
    story = Story()
    story.segments(WFS)
    story.say(e.WorkersFound((e.FoundWorker(do.StartWorker(publisher(), PORT), 7, is_ready=True),)))
    story.connect()
    story.readers()
    assert len(only(raw(story, 1.0), do.FindHeartbeats)) == 1
    beat(story, "then")
    assert do.ReadHeartbeats((PAIR,)) in story.after(10.0)
    beat(story, "10 s later")
    for _ in range(10):
        story.after(5.0)
        story.readers()
        beat(story, f"at {story.now}")
    assert publisher() in story.state.crew.workers
