"""What an owner answers late: about a first write, and about a mirror that was made anew meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Union

import numpy as np
import pytest

from daosup.core.layout import Geometry, Layout
from daosup.core.types import Source, WorkerKey, WorkerKind
from daosup.core.writing import Answer, Ask, Verdict, Write, decode_upstream, encode_answer, writer_of
from daosup.shm import Segment
from daosup.stream.sender import Sender
from daosup.stream.upstream import Upstream
from daosup.workers.orders import MirrorOrder
from daosup.workers.replica import Replica
from daosup.workers.writing_back import WritingBack
from tests.waiting import wait_until

BEFORE, ANEW = (Geometry(Layout.FIFO, 3, shape, 1, 0) for shape in ((4,), (2, 2)))


class Owner:
    """Hears what a mirror sends; answers are the test's."""

    def __init__(self) -> None:
        self._heard: list[bytes] = []
        self.sender = Sender("127.0.0.1", [0], BEFORE.frame_bytes, self._heard.append)

    def is_asked(self) -> bool:
        """Whether a first message came."""
        self.sender.hear()
        return bool(self._heard)

    def writes(self) -> list[Write]:
        """The frames so far."""
        return [each for each in self._said() if isinstance(each, Write)]

    def is_asked_of(self, counter: int) -> bool:
        """Whether it was asked what became of the frame with this counter."""
        return any(isinstance(each, Ask) and each.counter == counter for each in self._said())

    def _said(self) -> list[Union[Ask, Write]]:
        self.sender.hear()
        return [decode_upstream(each, BEFORE.frame_bytes)[1] for each in self._heard]


@pytest.fixture
def owner() -> Iterator[Owner]:
    made = Owner()
    yield made
    made.sender.close()


@pytest.fixture
def writing(owner: Owner, tmp_path: Path) -> Iterator[WritingBack]:
    order = MirrorOrder(
        key=WorkerKey(WorkerKind.MIRROR, Source("rts", "wfs")),
        path=str(tmp_path / "late.im.shm"),
        page=tmp_path / "page",
        endpoint=f"tcp://127.0.0.1:{owner.sender.port}",
        mode=0o600,
        layout="source",
        is_written_back=True,
        host="lab",
    )
    counts: Any = SimpleNamespace(written=0, refused=0, rejected=0, writing=0, echoes=0)  # a page ends with its process
    made, upstream = WritingBack(order, counts, lambda *_, **__: None), Upstream(order.endpoint)
    made.link(upstream)
    yield made
    made.close()
    upstream.close()


def answer(counter: int, taken: int) -> memoryview:
    return memoryview(encode_answer(writer_of("lab"), Answer(Verdict.WRITTEN, counter, "", taken)))


def written(path: str) -> tuple[object, object]:
    """Which frames a program finds taken, and refused."""
    with Segment.open(path, writable=False) as mirror:
        return mirror.keywords["NET_WRITTEN"], mirror.keywords["NET_REFUSED"]


def write(replica: Replica, owner: Owner, count: int) -> Write:
    """Write into the mirror; what its owner, who has ``count`` frames then, hears of it."""
    with Segment.open(replica.segment.path, writable=True) as mirror:
        mirror.write(np.ones(mirror.shape, mirror.dtype))
    wait_until(lambda: len(owner.writes()) == count, 5.0, "the frame at its owner")
    return owner.writes()[-1]


@pytest.mark.parametrize(("taken", "outcome"), [(8, (1, 0)), (7, (0, 1))])
def test_what_became_of_a_first_write_is_known_also_where_it_is_asked_for_before_the_answer(
    owner: Owner, writing: WritingBack, tmp_path: Path, taken: int, outcome: tuple[int, int]
) -> None:
    path = str(tmp_path / "late.im.shm")
    replica = Replica.make(path, "rts:wfs", BEFORE, 0o600, None)
    writing.follow(replica, 1, 1)
    wait_until(lambda: writing.tend(time.monotonic(), has_link=True) or owner.is_asked(), 5.0, "the link")
    writing.heard(answer(0, 7))  # so many it took of this host's mirrors before this one
    counter = write(replica, owner, 1).counter
    asked = lambda: writing.tend(time.monotonic(), has_link=True) or owner.is_asked_of(counter)  # noqa: E731
    wait_until(asked, 5.0, "the question what became of the frame")
    for _ in ("the write", "the question"):
        writing.heard(answer(counter, taken))
        assert written(path) == outcome
    writing.follow(None, 0, 0)
    replica.segment.unlink()
    replica.close()


def test_an_answer_about_the_mirror_before_is_not_taken_for_one_about_a_frame_of_this_one(
    owner: Owner, writing: WritingBack, tmp_path: Path
) -> None:
    path = str(tmp_path / "late.im.shm")
    before = Replica.make(path, "rts:wfs", BEFORE, 0o600, None)
    writing.follow(before, 1, 1)
    wait_until(lambda: writing.tend(time.monotonic(), has_link=True) or owner.is_asked(), 5.0, "the link")
    writing.heard(answer(0, 0))
    first = write(before, owner, 1)
    writing.heard(answer(first.counter, 1))
    assert written(path) == (1, 0)

    writing.follow(None, 0, 0)
    anew = Replica.make(path, "rts:wfs", ANEW, 0o600, before)
    writing.follow(anew, 2, 2)
    second = write(anew, owner, 2)
    assert second.counter > first.counter
    for taken in (1, 2):  # whatever the owner counts, for streams begin anew as well
        writing.heard(answer(first.counter, taken))
        assert written(path) == (0, 0), "its owner has not said a word of that frame"
    writing.heard(answer(second.counter, 3))
    assert written(path) == (1, 0)
    writing.follow(None, 0, 0)
    anew.segment.unlink()
    anew.close()
