"""Who on this host writes to another host's segment, one sentence after the other."""

from __future__ import annotations

from dataclasses import replace

from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.desired import Desired
from daosup.core.host_facts import HostFacts
from daosup.core.mirror import ADOPTED_S
from tests.unit.hosts import ENDPOINT, HOST, IP, PORT, REMOTE, Story, mirror, mirroring, only, record

ONE_WAY = do.StartWorker(mirror(), 0, ENDPOINT)
WRITTEN_BACK = replace(ONE_WAY, terms=(None, 9), is_written_back=True)


def asking(story: Story, holder: str = "operator", *, is_written_back: bool = True) -> list[do.Action]:
    return story.say(e.MirrorAsked(REMOTE, holder, is_written_back))


def writing(holder: str = "operator") -> Story:
    """A host that mirrors desk:cam and writes to it."""
    story = Story()
    story.connect()
    asking(story, holder)
    assert story.records(record()) == [WRITTEN_BACK]
    story.run(mirror(), 8)
    return story


def replaced(story: Story, actions: list[do.Action], order: do.StartWorker) -> None:
    """The mirror's process makes room for one that is told otherwise."""
    worker = story.state.crew.workers[mirror()]
    assert actions == [do.StopWorker(mirror(), worker.pid)]
    assert story.end(mirror(), worker.pid) == [order]
    story.run(mirror(), worker.pid + 1)


def test_a_mirror_that_is_to_be_written_back_is_another_process() -> None:
    story = mirroring()
    replaced(story, asking(story), WRITTEN_BACK)
    assert asking(story) == []
    replaced(story, asking(story, is_written_back=False), ONE_WAY)


def test_it_is_written_back_as_long_as_one_of_its_holders_wants_so() -> None:
    story = writing("operator")
    assert asking(story, "client") == []
    assert asking(story, "other", is_written_back=False) == []
    assert asking(story, "operator", is_written_back=False) == []
    replaced(story, story.say(e.HolderGone("client")), ONE_WAY)
    assert story.state.mirrors[REMOTE].holders == {"operator", "other"}


def test_a_release_by_the_one_who_writes_leaves_the_mirror_one_way() -> None:
    story = writing("client")
    asking(story, "operator", is_written_back=False)
    replaced(story, story.say(e.MirrorReleased(REMOTE, "client")), ONE_WAY)


def test_the_owner_s_list_of_readers_says_who_writes() -> None:
    story = Story()
    story.connect()
    assert do.Ask((REMOTE,), 1, is_news=True, written_back=frozenset({REMOTE})) in asking(story)
    asking(story, is_written_back=False)
    asks = only(story.after(10.5), do.Ask)
    assert asks
    assert not asks[-1].written_back


def facts(*, is_written_back: bool, semaphore: int = 9) -> HostFacts:
    written_back = frozenset({REMOTE} if is_written_back else ())
    return HostFacts(
        HOST, IP, base_port=PORT, mirrors=(REMOTE,), written_back=written_back, semaphore=semaphore
    )  # fmt: skip


def test_the_configuration_says_it_and_takes_it_back() -> None:
    story = Story()
    story.connect()
    story.say(e.ConfigChanged(facts(is_written_back=True)))
    assert story.records(record()) == [WRITTEN_BACK]
    story.run(mirror(), 8)
    assert story.say(e.ConfigChanged(facts(is_written_back=True))) == []
    replaced(story, story.say(e.ConfigChanged(facts(is_written_back=False))), ONE_WAY)


def test_another_semaphore_concerns_only_those_that_are_written_back() -> None:
    story = writing()
    other = facts(is_written_back=True, semaphore=3)
    replaced(story, story.say(e.ConfigChanged(other)), replace(WRITTEN_BACK, terms=(None, 3)))
    story = mirroring()
    assert story.say(e.ConfigChanged(facts(is_written_back=False, semaphore=3))) == []


def test_one_that_is_kept_is_written_back_as_it_is_kept() -> None:
    story = mirroring()
    kept = Desired().keeping(REMOTE, is_written_back=True)
    replaced(story, story.say(e.DesiredChanged(kept)), WRITTEN_BACK)
    replaced(story, story.say(e.DesiredChanged(kept.keeping(REMOTE, is_written_back=False))), ONE_WAY)
    assert kept.without(REMOTE) == Desired()


FOUND = e.FoundWorker(WRITTEN_BACK, 8, is_ready=True)


def test_one_that_was_found_goes_on_writing_until_its_holders_had_time_to_come_back() -> None:
    story = Story()
    assert story.say(e.WorkersFound((FOUND,), (REMOTE,))) == []
    story.connect()
    story.records(record())
    assert only(story.after(ADOPTED_S - 1.0), do.StopWorker) == []
    replaced(story, only(story.after(2.0), do.StopWorker), ONE_WAY)  # type: ignore[arg-type]


def test_one_that_was_found_stays_if_its_holder_comes_back() -> None:
    story = Story()
    story.say(e.WorkersFound((FOUND,)))
    story.connect()
    assert asking(story, "client") == []
    story.records(record())
    assert only(story.after(ADOPTED_S + 1.0), do.StopWorker) == []


def test_what_was_written_back_before_a_crash_is_after_it() -> None:
    for by_operator, by_others in (((REMOTE,), ()), ((), (REMOTE,))):
        story = Story()
        story.say(e.WorkersFound((), by_operator, by_others, written_back=(REMOTE,)))
        story.connect()
        assert only(story.records(record()), do.StartWorker) == [WRITTEN_BACK]


def test_what_is_remembered_says_what_the_operator_wants() -> None:
    story = Story()
    story.connect()

    def remembered(event: e.Event) -> list[do.RememberMirrors]:
        return only(story.state.handle(event, story.now), do.RememberMirrors)

    assert remembered(e.MirrorAsked(REMOTE, "client", True)) == [do.RememberMirrors((), (REMOTE,), (REMOTE,))]
    assert remembered(e.MirrorAsked(REMOTE, "operator", False)) == [do.RememberMirrors((REMOTE,), (), ())]
    assert remembered(e.MirrorAsked(REMOTE, "operator", True)) == [do.RememberMirrors((REMOTE,), (), (REMOTE,))]
