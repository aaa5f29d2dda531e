"""Tells the log what happens on a host: whom it concerns, and what led to it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Union

from daosup import log
from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.causes import Causes
from daosup.core.crew import Phase
from daosup.core.host import HostState
from daosup.core.notices.notice import Notice
from daosup.core.types import Source, WorkerKey, WorkerKind
from daosup.supervisor.stories import Stories

_log = log.get("daosup.supervisor")
#: Of the instance's name; enough to tell its runs apart.
RUN_LENGTH = 8

About = Union[WorkerKey, str, None]
OnNotice = Callable[[Notice, Mapping[str, object]], None]


def fields_about(about: About, pid: int, host: str, name_of: Callable[[Source], str]) -> dict[str, object]:
    """The fields that say whom an entry concerns.

    SEGMENT is always the name of a segment of this host, so a mirror's own; SOURCE is what it shows, HOST:NAME.

    Args:
        about: A worker, or the name of a segment that this host owns.
        pid: Of the worker's process; 0 if there is none.
        host: This one.
        name_of: What the mirror of a source is called.
    """
    if about is None:
        return {}
    if isinstance(about, str):
        return {"segment": about, "source": f"{host}:{about}"}
    source, is_mirror = about.source, about.kind is WorkerKind.MIRROR
    fields: dict[str, object] = {"segment": name_of(source) if is_mirror else source.name, "source": str(source)}
    fields["worker_kind"] = about.kind.value
    if pid:
        fields["worker_pid"] = pid
    if is_mirror:
        fields["peer"] = source.host
    return fields


class Journal:
    """The log of one supervisor's run.

    Attributes:
        stories: What was told lately of each worker.
        told: How often each notice was told, by its name.

    Args:
        state: Of the host.
        host: Its name.
        instance: Names this run.
        on_notice: Called with each notice and its fields as well.
    """

    def __init__(self, state: HostState, host: str, instance: str, on_notice: OnNotice) -> None:
        self.told: Counter[str] = Counter()
        self._state, self._host = state, host
        self._causes = Causes(instance[:RUN_LENGTH])
        self._on_notice = on_notice
        self.stories = Stories()

    def event(self, event: e.Event) -> AbstractContextManager[None]:
        """What is told and ordered while this event is handled follows from it."""
        return self._causes.event(event, self._is_on_its_way)

    def report(self, action: do.Report) -> None:
        """Tell what was decided to be told; a worker's story goes on with it."""
        about = action.about
        cause_id = self._causes.follow(about) if isinstance(about, WorkerKey) else self._causes.of(None)
        self._write(action.notice, about, action.pid, cause_id, "", dict(action.fields))

    def ordered(self, action: Union[do.StartWorker, do.StopWorker]) -> None:
        """A worker's process is started or ended: what comes of it follows from what is handled now."""
        self._causes.follow(action.key, is_start=isinstance(action, do.StartWorker))

    def ended(self, key: WorkerKey) -> None:
        """A worker's process is found to have ended: what is told next of it belongs to that."""
        self._causes.follow(key)

    def tell(self, notice: Notice, about: About = None, pid: int = 0, body: str = "", /, **fields: object) -> None:
        """Tell what was seen."""
        key = about if isinstance(about, WorkerKey) else None
        self._write(notice, about, pid, self._causes.of(key), body, fields)

    def _write(
        self, notice: Notice, about: About, pid: int, cause_id: str, body: str, fields: dict[str, object]
    ) -> None:
        self.told[notice.name] += 1
        concerned = fields_about(about, pid, self._host, self._state.mirrors.name_of)
        if about is not None:
            key = about if isinstance(about, WorkerKey) else WorkerKey(WorkerKind.PUBLISHER, Source(self._host, about))
            known = {**fields, "pid": pid} if pid else fields
            self.stories.note(key, notice, known, cause_id, body, time.monotonic(), time.time())
        told = {**concerned, **fields, "cause_id": cause_id}
        _log.notice(notice, body, **told)
        self._on_notice(notice, told)

    def _is_on_its_way(self, key: WorkerKey) -> bool:
        worker = self._state.crew.workers.get(key)
        if worker is not None:
            return worker.phase is not Phase.RUNNING
        return key.kind is WorkerKind.MIRROR and key.source in self._state.mirrors
