"""What led to what: each event has an id, and so has all that follows from it, also later.

A *story* is what happens to one worker from what began it until it works, or is gone: asked for, started, ready; or
died, started anew, died again, given up, tried again, ready. All of it has the id of what began it.

Invariants: what is told of a worker while a story of it goes on has that story's id, whichever event it was told in;
only something that people or files decided (`BEGINNINGS`) begins another story over one that goes on. A story
ends at the latest one tick after its worker works or is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Optional

from daosup.core import events as e
from daosup.core.types import WorkerKey

#: With one of these, what is decided about a worker is news, and no part of what happened to it before.
BEGINNINGS = (
    e.MirrorAsked,
    e.MirrorReleased,
    e.HolderGone,
    e.RestartAsked,
    e.RenewAsked,
    e.ConfigChanged,
    e.DesiredChanged,
    e.WorkersFound,
    e.StopAsked,
)


class Causes:
    """The ids of one supervisor's run.

    Args:
        run: Names the run; the ids of two runs differ by it.
    """

    def __init__(self, run: str) -> None:
        self._run = run
        self._count = 0
        self._stories: dict[WorkerKey, str] = {}
        self._touched: set[WorkerKey] = set()
        self._current: Optional[str] = None
        self._is_handling = self._is_beginning = False

    @contextmanager
    def event(self, event: e.Event, is_going_on: Callable[[WorkerKey], bool]) -> Iterator[None]:
        """While this event is handled; ``is_going_on`` says, when it was, whether a worker is on its way to work."""
        key: Optional[WorkerKey] = getattr(event, "key", None)
        self._is_handling, self._is_beginning = True, isinstance(event, BEGINNINGS)
        self._current = self._stories.get(key) if key is not None and not self._is_beginning else None
        try:
            yield
        finally:
            self._is_handling = self._is_beginning = False
            self._current = None
            # One that waits may be given up without a word, so all are looked at once in a while.
            for each in list(self._stories) if isinstance(event, e.Ticked) else self._touched:
                if not is_going_on(each):
                    self._stories.pop(each, None)
            self._touched.clear()

    def of(self, key: Optional[WorkerKey]) -> str:
        """The id of what is told now, of a worker or of nobody in particular."""
        story = self._stories.get(key) if key is not None and not self._is_beginning else None
        return story or self._present()

    def follow(self, key: WorkerKey, *, is_start: bool = False) -> str:
        """Something is told or ordered now that a worker's story goes on with; ``is_start``: just its next process."""
        story = self._stories.get(key)
        if story is None or (self._is_beginning and not is_start):
            story = self._stories[key] = self._present()
        self._touched.add(key)
        return story

    def _present(self) -> str:
        if self._current is None:
            self._count += 1
            new = f"{self._run}-{self._count}"
            if not self._is_handling:
                return new
            self._current = new
        return self._current
