"""One host's state with a clock in hand, for tests that tell a story."""

from __future__ import annotations

from typing import Any, Optional, TypeVar

from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.host import HostFacts, HostState
from daosup.core.types import Reader, Role, SegmentFacts, Source, StreamRecord, WorkerKey, WorkerKind

HOST, IP, PORT = "rts", "10.0.0.1", 5000
WFS = SegmentFacts("wfs", (4, 4), "float32", "fifo", 1, 64, "first")
DM = SegmentFacts("dm", (97,), "float32", "fifo", 1, 388, "first")
DESK = Reader("desk", "10.0.0.2", 1, "instance")
LAB = Reader("lab", "10.0.0.3", 1, "instance")
REMOTE = Source("desk", "cam")
ENDPOINT = "tcp://10.0.0.2:6000"

ROUTINE = (do.Report, do.LookAtLease, do.RememberMirrors, do.RememberPorts, do.TakeRequests, do.FindHeartbeats)

OfType = TypeVar("OfType")


def publisher(name: str = "wfs") -> WorkerKey:
    return WorkerKey(WorkerKind.PUBLISHER, Source(HOST, name))


def publishing(name: str = "wfs", port: int = PORT, *, place: int = 0) -> do.StartWorker:
    """The order of a publisher whose port was first the one at ``place`` of the range; directly from the other end."""
    return do.StartWorker(publisher(name), port, direct_port=PORT + 1999 - place)


def mirror(source: Source = REMOTE) -> WorkerKey:
    return WorkerKey(WorkerKind.MIRROR, source)


def record(port: int = 6000, client: str = HOST, **more: Any) -> StreamRecord:
    return StreamRecord("10.0.0.2", port, client, IP, **more)


def only(actions: list[do.Action], *kinds: type[OfType]) -> list[OfType]:
    return [action for action in actions if isinstance(action, kinds)]


class Story:
    """A host to which things happen; ``now`` moves only by ``after``."""

    def __init__(self, role: Optional[Role] = Role.MINION, **facts: Any) -> None:
        self.state = HostState(HostFacts(HOST, IP, role, **({"base_port": PORT} | facts)))
        self.now = 1000.0

    def say(self, event: e.Event) -> list[do.Action]:
        """What the host orders, without what it reports or has remembered, and its looks for others."""
        return [each for each in self.state.handle(event, self.now) if not isinstance(each, ROUTINE)]

    def after(self, seconds: float) -> list[do.Action]:
        """Let time pass in ticks of half a second; everything ordered meanwhile."""
        actions, end = [], self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 0.5)
            actions += self.say(e.Ticked())
        return actions

    def connect(self) -> list[do.Action]:
        return self.say(e.RegistryConnected("redis"))

    def lose(self) -> list[do.Action]:
        return self.say(e.RegistryLost("connection refused"))

    def segments(self, *facts: SegmentFacts) -> list[do.Action]:
        gone = self.state.segments.keys() - {each.name for each in facts}
        return self.say(e.SegmentsChanged(facts, tuple(sorted(gone))))

    def readers(self, *readers: Reader, name: str = "wfs", is_announced: bool = True) -> list[do.Action]:
        by_host = {reader.host: reader for reader in readers}
        known = {name: by_host} if by_host else {}
        return self.say(e.ReadersSeen(known, is_announced, entry_count=len(by_host)))

    def records(self, *records: StreamRecord, source: Source = REMOTE) -> list[do.Action]:
        return self.say(e.RecordsSeen((e.SourceSeen(source, True, True, records),)))

    def run(self, key: WorkerKey, pid: int, port: int = 0) -> list[do.Action]:
        """The process that was ordered starts and does its work."""
        return self.say(e.WorkerStarted(key, pid)) + self.say(e.WorkerReady(key, pid, port))

    def end(self, key: WorkerKey, pid: int) -> list[do.Action]:
        return self.say(e.WorkerExited(key, pid, "exited with code 0"))


def serving(*readers: Reader, **facts: Any) -> Story:
    """A host whose segment wfs is read and published."""
    story = Story(**facts)
    story.connect()
    story.segments(WFS)
    assert story.readers(*readers) == [publishing()]
    story.run(publisher(), 7, PORT)
    return story


def mirroring(holder: str = "operator") -> Story:
    """A host that mirrors desk:cam."""
    story = Story()
    story.connect()
    story.say(e.MirrorAsked(REMOTE, holder))
    assert story.records(record()) == [do.StartWorker(mirror(), 0, ENDPOINT)]
    story.run(mirror(), 8)
    return story
