"""What a host does with its role: announce it, lose it, and end when it cannot have it."""

from __future__ import annotations

import pytest

from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.lease import GUARD_S, LEASE_TTL_S, Lease, encode_lease
from daosup.core.registry_values import Instance
from daosup.core.types import HostSign, Role
from tests.unit.hosts import DESK, HOST, IP, PORT, REMOTE, WFS, Story, mirror, only, publisher, record, serving

OWN = Lease(HOST, "i1", IP, 7, 1000)
OTHER = Lease("desk", "d1", "10.0.0.2", 8, 2000)
OLD_MASTER = HostSign("old", "master", "2026-01-01T00:00:00+00:00", 5000.0, is_lasting=True)


def begin(role: Role | None, *, is_takeover: bool = False) -> Story:
    return Story(role, instance="i1", is_takeover=is_takeover)


def seen(story: Story, lease: Lease | None, left_s: float = LEASE_TTL_S) -> list[do.Action]:
    value = encode_lease(lease) if lease else b""
    return story.say(e.LeaseSeen(story.now, value, lease, left_s if lease else -0.002))


def elected(role: Role | None = None) -> Story:
    story = begin(role)
    story.connect()
    assert seen(story, None) == [do.TakeLease(story.now, b"", 0)]
    assert seen(story, OWN) == [do.ReadHosts()]
    announce, clear, read = story.say(e.HostsSeen((), 5000.0))
    assert isinstance(clear, do.DropLeftovers)
    assert (announce.role, read) == (Role.MASTER, do.ReadReaders())  # type: ignore[union-attr]
    return story


def test_a_role_that_was_not_given_is_found_out_before_anything_is_announced() -> None:
    story = begin(None)
    assert story.connect() == []
    assert story.segments(WFS) == []
    assert only(story.after(60.0), do.Announce) == []
    announce, clear, read = seen(story, OTHER)
    assert isinstance(clear, do.DropLeftovers)
    assert announce == do.Announce(Role.MINION, {"wfs": WFS}, {"wfs": ()})
    assert read == do.ReadReaders()
    story.lose()
    assert isinstance(story.connect()[0], do.Announce)


@pytest.mark.parametrize("role", [None, Role.MASTER])
def test_a_free_lease_is_taken_and_the_role_announced(role: Role | None) -> None:
    elected(role)


def test_a_minion_by_configuration_takes_nothing() -> None:
    story = begin(Role.MINION)
    story.connect()
    assert seen(story, None) == []
    assert only(story.after(60.0), do.TakeLease) == []
    assert only(story.say(e.StopAsked()), do.GiveUpLease) == []


def test_a_lease_is_renewed_and_trusted_from_the_time_of_asking() -> None:
    story = elected()
    asked = only(story.after(4.0), do.RenewLease)
    assert asked == [do.RenewLease(asked[0].asked_s, OWN)]
    story.say(e.LeaseSeen(asked[0].asked_s, encode_lease(OWN), OWN, LEASE_TTL_S))
    until_s = asked[0].asked_s + LEASE_TTL_S - GUARD_S
    story.after(until_s - story.now - 0.01)
    assert story.state.role is Role.MASTER
    assert [action.role for action in only(story.after(0.1), do.Announce)] == [Role.MINION]


def test_a_registry_that_forgot_the_master_is_asked_for_the_lease_at_once() -> None:
    story = elected()
    assert only(story.readers(is_announced=False), do.RenewLease) == [do.RenewLease(story.now, OWN)]
    (taken,) = only(seen(story, None), do.TakeLease)
    assert taken.above == OWN.epoch


def test_who_loses_the_lease_says_what_it_reads_too_for_the_registry_may_have_been_flushed() -> None:
    story = elected()
    story.say(e.MirrorAsked(REMOTE, "operator"))
    assert [type(each) for each in only(seen(story, OTHER), do.Announce, do.Ask)] == [do.Announce, do.Ask]


def test_a_namesake_is_no_reason_to_ask_for_the_lease() -> None:
    story = elected()
    other = Instance("i2", 2, "0.1.0", 9, "10.0.0.8", started_ms=1, beat=1)
    assert only(story.say(e.ReadersSeen({}, False, other, 0)), do.RenewLease) == []


def test_who_lost_the_lease_is_a_minion_and_serves_on() -> None:
    story = elected()
    announce = only(seen(story, OTHER), do.Announce)
    assert [each.role for each in announce] == [Role.MINION]
    assert seen(story, OWN) == [do.TakeLease(story.now, encode_lease(OWN), OTHER.epoch)], (
        "it revived a lease that was over"
    )
    assert only(story.after(10.0), do.Finish) == []


def test_answers_that_were_overtaken_say_nothing() -> None:
    story = elected()
    early_s, story.now = story.now, story.now + 3.0
    seen(story, OWN)
    assert story.say(e.LeaseSeen(early_s - 1.0, b"", None, -0.002)) == []
    assert story.say(e.LeaseSeen(early_s - 1.0, encode_lease(OTHER), OTHER, 9.0)) == []
    assert story.state.role is Role.MASTER


def test_role_master_against_another_master_ends_and_stops_nothing() -> None:
    story = begin(Role.MASTER)
    story.connect()
    give_up, finish = seen(story, OTHER)
    assert isinstance(give_up, do.GiveUpLease)
    assert isinstance(finish, do.Finish)
    assert finish.error is not None
    assert "desk (ip 10.0.0.2, pid 8) is master, epoch 2000" in finish.error
    assert story.after(60.0) == []


def test_workers_that_run_already_outlive_a_role_that_cannot_be_had() -> None:
    story = begin(Role.MASTER)
    story.say(e.MirrorAsked(REMOTE, "operator"))
    story.connect()
    story.records(record())
    story.run(mirror(), 8)
    assert [type(action) for action in seen(story, OTHER)] == [do.GiveUpLease, do.Finish]


def test_takeover_takes_it_once() -> None:
    story = begin(Role.MASTER, is_takeover=True)
    story.connect()
    assert seen(story, OTHER) == [do.TakeLease(story.now, encode_lease(OTHER), OTHER.epoch)]
    own = Lease(HOST, "i1", IP, 7, OTHER.epoch + 1)
    assert seen(story, own) == [do.ReadHosts()]
    story.say(e.HostsSeen((OLD_MASTER,), 5000.0))
    assert story.state.role is Role.MASTER
    story.now += 1.0
    assert only(seen(story, Lease("desk", "d1", "10.0.0.2", 8, own.epoch + 1)), do.TakeLease) == []
    assert story.state.role is Role.MINION


@pytest.mark.parametrize("left_s", [3600.0, -0.001], ids=["an hour", "for ever"])
def test_a_lease_that_does_not_end_is_taken_when_nobody_renewed_it_for_as_long_as_one_lasts(left_s: float) -> None:
    story = begin(None)
    story.connect()
    for _ in range(5):
        assert only(seen(story, OTHER, left_s), do.TakeLease) == []
        story.now += 2.0
    assert only(seen(story, OTHER, 9.0), do.TakeLease) == [], "it was renewed meanwhile"
    story.now += 2.0
    assert only(seen(story, OTHER, left_s), do.TakeLease) == []
    story.now += LEASE_TTL_S + 0.1
    left_s -= LEASE_TTL_S + 0.1
    assert only(seen(story, OTHER, left_s), do.TakeLease) == [do.TakeLease(story.now, encode_lease(OTHER), OTHER.epoch)]


def test_a_lease_that_was_renewed_unseen_before_the_clock_was_set_back_once_more_is_not_taken() -> None:
    story = begin(None)
    story.connect()
    assert only(seen(story, OTHER, 3600.0), do.TakeLease) == []
    story.now += LEASE_TTL_S + 5.0
    assert only(seen(story, OTHER, 3598.0), do.TakeLease) == [], "unrenewed, it would have 3585 s left"
    story.now += LEASE_TTL_S + 0.1
    left_s = 3598.0 - LEASE_TTL_S - 0.1
    assert only(seen(story, OTHER, left_s), do.TakeLease) == [do.TakeLease(story.now, encode_lease(OTHER), OTHER.epoch)]


def test_a_predecessor_s_lease_is_taken_at_once() -> None:
    story = begin(Role.MASTER)
    story.connect()
    before = Lease(HOST, "i0", IP, 6, 500)
    assert seen(story, before) == [do.TakeLease(story.now, encode_lease(before), 500)]


@pytest.mark.parametrize("role", [None, Role.MASTER])
def test_an_old_master_keeps_the_office(role: Role | None) -> None:
    story = begin(role)
    story.connect()
    seen(story, None)
    seen(story, OWN)
    actions = story.say(e.HostsSeen((OLD_MASTER,), 5010.0))
    if role is None:
        assert [action.role for action in only(actions, do.Announce)] == [Role.MINION]
        assert story.state.election.yields_to == "old"
    else:
        assert [type(action) for action in actions] == [do.GiveUpLease, do.Finish]


def test_a_host_that_ends_gives_the_lease_up_at_once() -> None:
    story = elected()
    assert story.say(e.StopAsked()) == [do.GiveUpLease(story.now), do.Withdraw(), do.Finish()]
    assert seen(story, None) == seen(story, OWN) == []


def test_the_later_of_two_daemons_with_one_name_ends_its_workers_first() -> None:
    story = serving(DESK, instance="i1")
    story.say(e.RegistryConnected("redis", 5000))
    first = Instance("i0", 2, "1", 42, "10.0.0.9", started_ms=4000, beat=1)
    assert story.say(e.ReplacedInstance(first)) == []
    story.say(e.MirrorAsked(REMOTE, "operator"))
    stop = story.say(e.ReadersSeen({}, is_announced=False, other=Instance("i0", 2, "1", 42, "10.0.0.9", 4000, 2)))
    assert only(stop, do.StopWorker) == [do.StopWorker(publisher(), 7)]
    assert only(stop, do.Announce) == []
    assert only(stop, do.Unask) == [], "the other one may read it"
    (finish,) = only(story.end(publisher(), 7), do.Finish)
    assert finish.error is not None
    assert "pid 42 at 10.0.0.9, has served host rts for longer" in finish.error


def test_the_earlier_of_two_daemons_announces_itself_anew_but_makes_no_storm() -> None:
    story = serving(DESK, instance="i1")
    later = Instance("i2", 2, "1", 42, "10.0.0.9", started_ms=9000, beat=1)
    actions = story.say(e.ReadersSeen({"wfs": {"desk": DESK}}, is_announced=False, other=later))
    assert [type(action) for action in actions] == [do.Announce]
    assert [record.port for record in only(actions, do.Announce)[0].records["wfs"]] == [PORT]
    for _ in range(10):
        assert story.say(e.ReadersSeen({"wfs": {"desk": DESK}}, is_announced=False, other=later)) == []
