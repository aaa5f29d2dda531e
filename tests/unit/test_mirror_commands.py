"""What a command about a mirror does when its owner lets nobody, or us, write into the source."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import daosup
from daosup.adapters.control import Caller, Request
from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.delivery import Delivery
from daosup.core.desired import Desired
from daosup.core.transport import Via
from daosup.core.types import WorkerKey
from daosup.errors import DeniedError, NoAnswerError, UnsupportedError, UsageError
from daosup.supervisor.mirror_commands import MirrorCommands
from daosup.supervisor.workers_seen import WorkersSeen
from tests.unit.hosts import HOST, REMOTE, Story, mirror, record

Happening = Callable[[], object]


class Lasting:
    """Keeps in memory what a real one has on disk."""

    def __init__(self, post: Callable[[e.Event], None]) -> None:
        self.desired, self._post = Desired(), post

    async def change(self, change: Callable[[Desired], Desired]) -> None:
        self.desired = change(self.desired)
        self._post(e.DesiredChanged(self.desired))


class Supervisor:
    """A host's real state without processes: whoever waits lets the next thing happen."""

    def __init__(self, folder: Path) -> None:
        self.story = Story()
        self.story.connect()
        self.state = self.story.state
        self.config = SimpleNamespace(host=HOST, file=None)
        self.folder = SimpleNamespace(path_of=lambda name: str(folder / f"{name}.im.shm"))
        self.seen = WorkersSeen(lambda key: folder / "page")
        self.lasting = Lasting(self.post)
        self.happenings: list[Happening] = []
        self._pid = 100
        self.commands = MirrorCommands(self)  # type: ignore[arg-type]

    def post(self, event: e.Event) -> None:
        for action in self.story.say(event):
            if isinstance(action, do.StartWorker):
                self._pid += 1
                self.seen.forget(action.key)
                self.post(e.WorkerStarted(action.key, self._pid))
            elif isinstance(action, do.StopWorker):
                self.post(e.WorkerExited(action.key, action.pid, "exited with code 0"))

    def is_running(self, key: WorkerKey) -> bool:
        worker = self.state.crew.workers.get(key)
        return worker is not None and worker.phase.value == "running"

    async def until(self, is_so: Callable[[], bool], timeout_s: float) -> None:
        while not is_so():
            if not self.happenings:
                raise NoAnswerError(f"not within {timeout_s:g} s")
            self.happenings.pop(0)()

    # -- what happens

    def owner_publishes(self) -> None:
        self.post(e.RecordsSeen((e.SourceSeen(REMOTE, True, True, (record(),)),)))

    def mirror_is_ready(self) -> None:
        self.post(e.WorkerReady(mirror(), self.state.crew.workers[mirror()].pid, 0))

    def owner_says(self, state: str, reason: str | None = None) -> Happening:
        return lambda: self.seen.told(mirror(), "writing", {"state": state, "reason": reason})

    def ask(self, *happenings: Happening, command: str = "mirror", **arguments: Any) -> Any:
        self.happenings = list(happenings)
        request = Request(
            command, {"source": str(REMOTE), **arguments}, connection="connection", caller=Caller("a test")
        )
        answer: Awaitable[object] = self.commands.by_name[command](request)

        async def answered() -> object:
            return await answer

        return asyncio.run(answered())

    @property
    def started(self) -> tuple[Happening, Happening]:
        return self.owner_publishes, self.mirror_is_ready


@pytest.fixture
def supervisor(tmp_path: Path) -> Supervisor:
    return Supervisor(tmp_path)


REASON = "desk:cam is read-only on desk"


def test_a_mirror_that_is_written_back_is_there_when_its_owner_says_that_it_may_write(supervisor: Supervisor) -> None:
    says = supervisor.owner_says("open")
    assert supervisor.ask(*supervisor.started, says, bidirectional=True)["state"] == "running"
    assert supervisor.state.mirrors[REMOTE].writers == {"operator"}


def test_until_its_owner_says_so_it_is_not_there(supervisor: Supervisor) -> None:
    with pytest.raises(NoAnswerError, match="desk does not say whether it may be written back"):
        supervisor.ask(*supervisor.started, bidirectional=True)
    assert REMOTE not in supervisor.state.mirrors


def test_one_way_nobody_waits_for_that(supervisor: Supervisor) -> None:
    assert supervisor.ask(*supervisor.started)["state"] == "running"


def test_a_refusal_says_why_and_what_to_do_and_leaves_nothing(supervisor: Supervisor) -> None:
    with pytest.raises(DeniedError, match=f"{REASON}; mirror it without --write-back, or have desk allow it"):
        supervisor.ask(*supervisor.started, supervisor.owner_says("refused", REASON), bidirectional=True, keep=True)
    assert REMOTE not in supervisor.state.mirrors
    assert supervisor.lasting.desired == Desired()


def test_a_refusal_leaves_a_mirror_that_was_there_one_way_as_it_was(supervisor: Supervisor) -> None:
    supervisor.ask(*supervisor.started)
    with pytest.raises(DeniedError):
        supervisor.ask(supervisor.mirror_is_ready, supervisor.owner_says("refused", REASON), bidirectional=True)
    assert supervisor.state.mirrors[REMOTE].holders == {"operator"}
    assert not supervisor.state.mirrors[REMOTE].is_written_back


def test_what_an_older_process_of_the_mirror_was_told_does_not_count(supervisor: Supervisor) -> None:
    supervisor.ask(*supervisor.started, supervisor.owner_says("refused", REASON), bidirectional=None)
    says = supervisor.owner_says("open")
    assert supervisor.ask(supervisor.mirror_is_ready, says, bidirectional=True)["state"] == "running"


def test_asking_again_without_it_takes_it_back_and_saying_nothing_does_not(supervisor: Supervisor) -> None:
    supervisor.ask(*supervisor.started, supervisor.owner_says("open"), bidirectional=True, holder="program")
    supervisor.ask(holder="program")
    assert supervisor.state.mirrors[REMOTE].is_written_back
    supervisor.ask(supervisor.mirror_is_ready, bidirectional=False, holder="program")
    assert not supervisor.state.mirrors[REMOTE].is_written_back


def test_one_that_is_kept_is_kept_as_it_was_asked_for_until_it_is_released(supervisor: Supervisor) -> None:
    supervisor.ask(*supervisor.started, supervisor.owner_says("open"), bidirectional=True, keep=True)
    assert supervisor.lasting.desired.written_back == {REMOTE}
    supervisor.ask(command="keep", bidirectional=False)
    assert supervisor.lasting.desired == Desired().keeping(REMOTE, is_written_back=False)


def test_a_program_that_comes_back_says_what_it_writes_to(supervisor: Supervisor) -> None:
    sources = [str(REMOTE), "desk:other"]
    supervisor.ask(command="hold", holder="program", sources=sources, written_back=[str(REMOTE)])
    mirrors = supervisor.state.mirrors
    assert {str(source): each.is_written_back for source, each in mirrors.items()} == {
        sources[0]: True,
        sources[1]: False,
    }


@pytest.mark.parametrize("arguments", [{"bidirectional": "yes"}, {"bidirectional": 1}])
def test_what_is_no_answer_to_whether_is_refused(supervisor: Supervisor, arguments: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="bidirectional is"):
        supervisor.ask(**arguments)


# -- how many frames it keeps


def test_a_depth_lasts_until_the_mirror_is_released(supervisor: Supervisor) -> None:
    supervisor.ask(*supervisor.started, depth=4)
    assert supervisor.lasting.desired.depths == {REMOTE: 4}
    pid = supervisor.state.crew.workers[mirror()].pid
    supervisor.ask(supervisor.mirror_is_ready, depth=2)
    assert supervisor.state.crew.workers[mirror()].pid != pid
    supervisor.ask()
    assert supervisor.lasting.desired.depths == {REMOTE: 2}
    assert supervisor.lasting.desired.without(REMOTE) == Desired()


@pytest.mark.parametrize("depth", [0, -1, 65537, 4.0, True, "4", [4]])
def test_a_depth_that_is_none_is_refused(supervisor: Supervisor, depth: object) -> None:
    with pytest.raises(UsageError, match=r"depth is .*, not a whole number of frames from 1 to 65536"):
        supervisor.ask(depth=depth)
    with pytest.raises(UsageError, match="the operator's to say"):
        supervisor.ask(depth=4, holder="program")
    assert supervisor.lasting.desired == Desired()


# -- in which form frames come


def denied(supervisor: Supervisor) -> None:
    """The owner answers that it does not send them so."""
    seen = supervisor.seen.of(mirror())
    seen.not_direct = "10.0.0.2:7559 refuses: roi is outside of the frame"
    seen.statistics = SimpleNamespace(via=int(Via.DENIED))  # type: ignore[assignment]


def test_a_form_that_is_had_lasts_until_the_mirror_is_released(supervisor: Supervisor) -> None:
    supervisor.ask(*supervisor.started, delivery="rate=10")
    assert supervisor.lasting.desired.deliveries == {REMOTE: Delivery(rate_hz=10.0)}
    supervisor.ask(supervisor.mirror_is_ready, delivery="compress=lz4")
    assert supervisor.lasting.desired.deliveries == {REMOTE: Delivery(compress="lz4")}
    supervisor.ask()
    assert supervisor.lasting.desired.deliveries
    supervisor.ask(supervisor.mirror_is_ready, delivery="mode=newest")
    assert supervisor.lasting.desired == Desired()


def test_one_that_is_refused_fails_at_once_and_leaves_nothing(supervisor: Supervisor) -> None:
    with pytest.raises(UnsupportedError, match=r"desk:cam: \S+ refuses: roi is outside of the frame$"):
        supervisor.ask(supervisor.owner_publishes, lambda: denied(supervisor), delivery="roi=0:999", keep=True)
    assert REMOTE not in supervisor.state.mirrors
    assert supervisor.lasting.desired == Desired()


def test_one_that_is_refused_leaves_a_mirror_that_was_there_as_it_was(supervisor: Supervisor) -> None:
    supervisor.ask(*supervisor.started, delivery="rate=10")
    with pytest.raises(UnsupportedError):
        supervisor.ask(lambda: denied(supervisor), delivery="roi=0:999")
    assert supervisor.lasting.desired.deliveries == {REMOTE: Delivery(rate_hz=10.0)}
    assert supervisor.state.crew.workers[mirror()].order.delivery == Delivery(rate_hz=10.0)
    # What the process before was told is none of this one's concern.
    supervisor.ask(supervisor.mirror_is_ready, delivery="mode=newest")


def test_what_is_enough_is_said_again_by_a_program_that_comes_back(supervisor: Supervisor) -> None:
    rates = {str(REMOTE): 10, "lab:elsewhere": "soon"}
    supervisor.ask(command="hold", holder="program", sources=[str(REMOTE)], rates=rates)
    assert supervisor.state.mirrors[REMOTE].enough_hz == 10.0


RATES = "not a number of frames a second from 0.001 to 1000000, nor 0 for all$"


@pytest.mark.parametrize("rate", [0.0009, 1e-9, -1, 1_000_001, float("nan"), True, "10", None])
def test_a_rate_that_the_owner_would_refuse_is_refused_here(supervisor: Supervisor, rate: object) -> None:
    with pytest.raises(UsageError, match=f"^enough_hz is '.*', {RATES}"):
        supervisor.ask(*supervisor.started, enough_hz=rate, holder="program")
    with pytest.raises(UsageError, match=f"^{REMOTE} is '.*', {RATES}"):
        supervisor.ask(command="hold", holder="program", sources=[str(REMOTE)], rates={str(REMOTE): rate})
    assert REMOTE not in supervisor.state.mirrors


@pytest.mark.parametrize("rate", [0, 0.001, 10, 1e6])
def test_any_other_is_what_the_owner_is_told(supervisor: Supervisor, rate: float) -> None:
    supervisor.ask(*supervisor.started, enough_hz=rate, holder="program")
    enough_hz = supervisor.state.crew.workers[mirror()].order.enough_hz
    assert Delivery.parse(Delivery(rate_hz=enough_hz).words()).rate_hz == rate


@pytest.mark.parametrize("rate", [0.0009, -1, float("inf")])
def test_a_program_is_told_so_before_it_asks_anybody(rate: float) -> None:
    with pytest.raises(UsageError, match=f"^rate is '.*', {RATES}"):
        daosup.open(str(REMOTE), rate=rate)


@pytest.mark.parametrize("rates", [[], {str(REMOTE): "soon"}, {str(REMOTE): -1}, {str(REMOTE): 1e7}])
def test_rates_that_are_none_are_refused(supervisor: Supervisor, rates: object) -> None:
    with pytest.raises(UsageError, match=r"rates is|is .* not a number"):
        supervisor.ask(command="hold", holder="program", sources=[str(REMOTE)], rates=rates)
