"""In which form a mirror's frames are asked for, by who says what of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.delivery import PLAIN, Delivery
from daosup.core.desired import Desired
from daosup.core.host_facts import HostFacts
from daosup.core.mirror import CONFIGURED
from tests.unit.hosts import ENDPOINT, HOST, IP, PORT, REMOTE, Story, mirror, mirroring, only, record
from tests.unit.test_host_write_back import asking, replaced

ORDER = do.StartWorker(mirror(), 0, ENDPOINT)
SLOWLY, EVERY = Delivery(rate_hz=10.0), Delivery("every")


def ask(story: Story, holder: str, enough_hz: float = 0.0) -> list[do.Action]:
    return story.say(e.MirrorAsked(REMOTE, holder, False, enough_hz))


def test_what_an_operator_says_makes_it_another_process_until_it_is_taken_back() -> None:
    story = mirroring()
    told = Desired().with_delivery(REMOTE, SLOWLY)
    replaced(story, story.say(e.DesiredChanged(told)), replace(ORDER, delivery=SLOWLY))
    assert story.say(e.DesiredChanged(told)) == []
    replaced(story, story.say(e.DesiredChanged(told.with_delivery(REMOTE, EVERY))), replace(ORDER, delivery=EVERY))
    replaced(story, story.say(e.DesiredChanged(Desired())), ORDER)


def test_the_configuration_says_so_likewise() -> None:
    story = mirroring()
    facts = HostFacts(HOST, IP, base_port=PORT, mirrors=(REMOTE,), deliveries={REMOTE: EVERY})
    replaced(story, only(story.say(e.ConfigChanged(facts)), do.StopWorker), replace(ORDER, delivery=EVERY))
    assert CONFIGURED in story.state.mirrors[REMOTE].holders
    replaced(story, story.say(e.ConfigChanged(replace(facts, deliveries={}))), ORDER)


def test_the_mirror_has_what_the_one_needs_who_needs_most() -> None:
    story = Story()
    story.connect()
    ask(story, "view", 10.0)
    assert story.records(record()) == [replace(ORDER, enough_hz=10.0)]
    story.run(mirror(), 8)
    assert ask(story, "other", 5.0) == []
    replaced(story, ask(story, "third", 25.0), replace(ORDER, enough_hz=25.0))
    replaced(story, ask(story, "operator"), ORDER)
    replaced(story, story.say(e.MirrorReleased(REMOTE, "operator")), replace(ORDER, enough_hz=25.0))
    replaced(story, story.say(e.HolderGone("third")), replace(ORDER, enough_hz=10.0))
    replaced(story, ask(story, "view", 0.0), ORDER)
    replaced(story, story.say(e.HolderGone("view")), replace(ORDER, enough_hz=5.0))


def test_what_is_enough_for_programs_does_not_count_where_an_operator_says_what_comes() -> None:
    story = mirroring("view")
    told = Desired().with_delivery(REMOTE, EVERY)
    replaced(story, story.say(e.DesiredChanged(told)), replace(ORDER, delivery=EVERY))
    assert ask(story, "view", 10.0) == []


@pytest.mark.parametrize("delivery", [SLOWLY, PLAIN])
def test_one_that_is_written_back_comes_whole_as_long_as_it_is(delivery: Delivery) -> None:
    story = mirroring()
    story.say(e.DesiredChanged(Desired().with_delivery(REMOTE, delivery)))
    if not delivery.is_plain:
        story.end(mirror(), 8)
        story.run(mirror(), 9)
    written_back = replace(ORDER, terms=(None, 9), is_written_back=True)
    replaced(story, asking(story, "program"), written_back)
    assert story.state.mirrors.delivery_of(REMOTE) is PLAIN
    replaced(story, story.say(e.HolderGone("program")), replace(ORDER, delivery=delivery))


def test_a_mirror_that_is_found_running_goes_on_as_it_was_told() -> None:
    story = Story()
    found = replace(ORDER, enough_hz=10.0)
    assert story.say(e.WorkersFound((e.FoundWorker(found, 8, True, True),))) == []
    assert story.state.mirrors[REMOTE].enough_hz == 10.0
    assert ask(story, "view", 10.0) == []
    told = Desired().with_delivery(REMOTE, SLOWLY)
    story = Story()
    story.say(e.DesiredChanged(told))
    assert story.say(e.WorkersFound((e.FoundWorker(replace(ORDER, delivery=SLOWLY), 8, True, True),))) == []
