"""Does with worker processes what the host's state orders, and tells it what becomes of them.

Invariants: what a process is said to do is what its page says, so no lost message leaves it misjudged; a worker that is
found alive is watched as one that was started here; before a mirror is made it is written down, so that a crash at any
time leaves no file that nobody knows.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Optional

from daosup.adapters.leftovers import MirrorLedger
from daosup.adapters.processes import Processes, allow_many_files
from daosup.adapters.segment_folder import SegmentFolder
from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.crew import Phase
from daosup.core.host import HostState
from daosup.core.notices import running, streams, workers
from daosup.core.types import WorkerKey, WorkerKind
from daosup.supervisor.journal import Journal
from daosup.supervisor.reexec import Renewing
from daosup.supervisor.worker_health import WorkerHealth
from daosup.supervisor.worker_news import Facts, ToldSocket, bury, notice_of
from daosup.supervisor.worker_orders import WorkerOrders
from daosup.supervisor.worker_output import WorkerOutput
from daosup.supervisor.workers_folder import WorkersFolder
from daosup.supervisor.workers_seen import WorkersSeen
from daosup.workers.records import TakenError


class WorkersDesk:
    """The worker processes of one host, and the files of its mirrors.

    Args:
        state: Of the host.
        journal: Is told what becomes of them.
        segments: Where segments are.
        folder: Where the workers' files are.
        ledger: Where it is written down which mirrors were made.
        orders: What workers are told.
        seen: What is seen of them.
        post: Takes the events.
        on_told: Called when a worker told something that the state need not know.
        interval_s: How long after one ``tick`` the next one should come, in seconds.
        renewing: Which of the workers that are found first are to be renewed.
        fail: Takes an exception that nobody foresaw.
    """

    def __init__(
        self,
        state: HostState,
        journal: Journal,
        segments: SegmentFolder,
        folder: WorkersFolder,
        ledger: MirrorLedger,
        orders: WorkerOrders,
        seen: WorkersSeen,
        post: Callable[[e.Event], None],
        on_told: Callable[[], None],
        interval_s: float,
        renewing: Renewing,
        fail: Callable[[BaseException], None],
    ) -> None:
        self._state, self._journal = state, journal
        self._segments, self._folder, self._ledger = segments, folder, ledger
        self._orders, self._seen = orders, seen
        self._post, self._tell = post, on_told
        self._renewing = renewing
        self._health = WorkerHealth(state.crew.workers, seen, orders.limits_of, post, interval_s)
        self._output = WorkerOutput(folder.path, journal, fail)
        self._processes = Processes(
            "daosup.workers.fork_server",
            self._on_started,
            self._on_failed,
            self._on_ended,
            self._output.fork_server_file,
        )
        self._told: Optional[ToldSocket] = None

    def open(self) -> None:
        """Hear the workers, and be ready to start some; the folder is taken by now."""
        allow_many_files()
        self._told = ToldSocket(self._folder.path, self._processes.is_running, self._on_told)
        self._output.open()
        with suppress(OSError):  # then the first worker tries again, and says why it cannot be
            self._processes.prepare()

    def close(self, *, is_left: bool) -> None:
        """Let the workers go on for a successor, or end them and remove what is left of them."""
        if self._told is not None:
            self._told.close()
        if is_left:
            self._processes.leave()
            self._output.close()
            self._folder.let_go()
        else:
            self._processes.close()
            self._output.close()
            self._folder.remove()
        self._ledger.close()

    # -- what was there before

    def mirrored(self) -> do.RememberMirrors:
        """What the supervisors before us mirrored, as they wrote down: what was wanted, and which files were made."""
        remembered = self._folder.remembered()
        known = {*remembered.by_operator, *remembered.by_others}
        made = tuple(source for source in self._ledger.find() if source not in known)
        return replace(remembered, by_others=remembered.by_others + made)

    def tell_strangers(self) -> None:
        """Log which files look like mirrors and are nobody's."""
        strangers = self._ledger.strangers(self._segments)
        if strangers:
            self._journal.tell(streams.MIRROR_STRANGERS, count=len(strangers), files=", ".join(strangers[:3]))

    def find(self, remembered: do.RememberMirrors) -> None:
        """Take over what runs already, and what was ``remembered`` as mirrored."""
        adopted, old = [], []
        for found in self._orders.found():
            key, record = found.worker.order.key, found.record
            known = self._state.crew.workers.get(key)
            if known is not None and known.pid == record.pid:
                continue
            with suppress(ProcessLookupError):
                if not self._processes.is_running(key, record.pid):
                    self._processes.adopt(key, record.pid, record.start_time)
                adopted.append(found.worker)
                if self._renewing.includes(record.version):
                    old.append(key)
        by_operator, by_others = remembered.by_operator, remembered.by_others
        self._post(e.WorkersFound(tuple(adopted), by_operator, by_others, remembered.written_back))
        if old:
            self._post(e.RenewAsked(tuple(old)))
        self._renewing = Renewing.NONE

    # -- what is to be done

    def start(self, action: do.StartWorker) -> None:
        """Start a worker's process."""
        self._journal.ordered(action)
        self._seen.forget(action.key)
        if action.key.kind is WorkerKind.MIRROR:
            source = action.key.source
            reason = self._ledger.note(source, self._segments.path_of(self._state.mirrors.name_of(source)))
            if reason is not None:
                self._journal.tell(running.MIRROR_NOT_WRITTEN_DOWN, action.key, reason=reason)
        self._processes.start(action.key, self._orders.request_for(action))

    def stop(self, action: do.StopWorker) -> None:
        """Ask a worker's process to end, or end it."""
        self._journal.ordered(action)
        self._processes.stop(action.pid, is_forced=action.is_forced)

    def remove_mirror(self, action: do.RemoveMirror) -> None:
        """Remove a mirror's file, unless it is not ours any more."""
        reason = self._ledger.remove(action.source)
        if reason is not None:
            self._journal.tell(streams.MIRROR_FILE_LEFT, WorkerKey(WorkerKind.MIRROR, action.source), reason=reason)

    def remember(self, action: do.RememberMirrors) -> None:
        """Write down what is mirrored, for a successor."""
        try:
            self._folder.remember(action)
        except OSError as error:
            self._journal.tell(running.MIRRORS_NOT_WRITTEN_DOWN, reason=str(error))

    # -- what happens by itself

    def tick(self, now: float) -> None:
        """Look how the workers are, at ``now`` on the monotonic clock."""
        self._health.turn(now)
        for key, worker in list(self._state.crew.workers.items()):
            if worker.phase is Phase.STARTING and worker.pid:
                self._see_if_ready(key, worker.pid)

    def _see_if_ready(self, key: WorkerKey, pid: int) -> None:
        """Look at its page: what it said may have been lost."""
        statistics = self._seen.of(key).reader.read(pid)
        if statistics is not None and statistics.is_ready:
            self._post(e.WorkerReady(key, pid, statistics.port, statistics.direct_port))
        elif statistics is not None and statistics.beat_ns > statistics.started_ns:
            self._post(e.WorkerBegan(key, pid))

    def _on_started(self, key: WorkerKey, pid: int) -> None:
        self._post(e.WorkerStarted(key, pid))
        self._see_if_ready(key, pid)

    def _on_failed(self, key: WorkerKey, reason: str) -> None:
        self._post(e.WorkerExited(key, 0, f"cannot be started: {reason}"))

    def _on_told(self, key: WorkerKey, pid: int, event: str, facts: Facts) -> None:
        if event == "ready":
            self._see_if_ready(key, pid)
        elif event == "asked":
            self._post(e.NodeAsked(str(facts.get("segment"))))
        else:
            self._seen.told(key, event, facts)
            self._tell()
            notice, fields = notice_of(event, facts)
            self._journal.tell(notice, key, pid, **fields)

    def _on_ended(self, key: WorkerKey, pid: int, status: Optional[int]) -> None:
        if status is not None and os.WIFEXITED(status) and os.WEXITSTATUS(status) == TakenError.exit_code:
            self._post(e.WorkerExited(key, pid, "another process does its work already"))
            self.find(do.RememberMirrors((), ()))
            return
        self._journal.ended(key)
        self._output.ended(key, pid)
        cause, words = bury(self._folder.page_of(key), status)
        if words.traceback:
            self._journal.tell(workers.WORKER_TRACEBACK, key, pid, words.traceback, cause=cause)
        self._post(e.WorkerExited(key, pid, cause, words.details))
