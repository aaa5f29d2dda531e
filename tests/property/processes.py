"""The processes of a host, as real ones could behave.

Invariant: no pid is given twice; a host that orders a second process for a key, or a signal to a process that is known
to have ended, or that kills one that does not hang before it asked and waited, is found out at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Optional

from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.crew import STOP_TIMEOUT_S
from daosup.core.types import OLD_PROTOCOL, WorkerKey, WorkerKind


@dataclass
class Process:
    """A process that its host has not yet been told the end of."""

    pid: int
    order: do.StartWorker
    is_alive: bool = True
    is_ready: bool = False
    port: int = 0
    direct_port: int = 0
    asked_s: Optional[float] = None
    is_killed: bool = False
    is_hung: bool = False
    is_matching: bool = True

    def end(self) -> None:
        self.is_alive = False


class Processes:
    """The processes of one host. No pid is ever given twice."""

    def __init__(self) -> None:
        self.by_pid: dict[int, Process] = {}
        self.has_room = True
        self.foreign_ports: set[int] = set()
        self._pids = itertools.count(100)
        self._any_port = itertools.count(40000)

    @property
    def alive(self) -> list[Process]:
        return [process for process in self.by_pid.values() if process.is_alive]

    def perform(self, order: do.Action, now: float) -> Optional[e.Event]:
        """Do what StartWorker or StopWorker say."""
        if isinstance(order, do.StartWorker):
            twins = [process for process in self.by_pid.values() if process.order.key == order.key]
            assert not twins, f"a second process for {order.key}"
            if not self.has_room:
                return e.WorkerExited(order.key, 0, "cannot be started: no room")
            process = Process(next(self._pids), order)
            self.by_pid[process.pid] = process
            return e.WorkerStarted(order.key, process.pid)
        assert isinstance(order, do.StopWorker)
        assert order.pid in self.by_pid, f"signal to {order.pid}, which is known to have ended"
        process = self.by_pid[order.pid]
        assert process.order.key == order.key
        if order.is_forced and process.is_hung and process.asked_s is None:
            process.asked_s, process.is_killed = now, True
            process.end()
        elif order.is_forced:
            assert process.asked_s is not None, "killed without having been asked"
            assert now >= process.asked_s + STOP_TIMEOUT_S, "killed before its time to end was over"
            assert not process.is_killed, "killed twice"
            process.is_killed = True
            process.end()
        else:
            assert process.asked_s is None, "asked twice"
            process.asked_s = now
        return None

    def abandon(self) -> None:
        """Nobody watches any more: who ended is forgotten, and what was said to the others as well."""
        self.by_pid = {process.pid: process for process in self.alive}
        for process in self.alive:
            process.asked_s = None

    def all_match(self) -> None:
        """From now on every process is told what its host tells."""
        for process in self.alive:
            process.is_matching = True

    def found(self) -> tuple[e.FoundWorker, ...]:
        """The processes as a new supervisor finds them."""
        return tuple(
            e.FoundWorker(
                replace(
                    process.order,
                    port=process.port or process.order.port,
                    direct_port=process.direct_port or process.order.direct_port,
                ),
                process.pid,
                process.is_ready,
                process.is_matching,
            )
            for process in self.alive
        )

    def become_ready(self, process: Process) -> e.Event:
        """The process does its work; it has the port it should take, if it needs one, if nobody else has it."""
        if not process.is_ready:
            process.is_ready = True
            is_followed = process.order.is_written_back and process.order.protocol == OLD_PROTOCOL
            if process.order.key.kind is WorkerKind.PUBLISHER or is_followed:
                taken = self.foreign_ports | {other.port for other in self.alive}
                is_free = process.order.port and process.order.port not in taken
                process.port = process.order.port if is_free else next(self._any_port)
            if process.order.key.kind is WorkerKind.PUBLISHER:
                process.direct_port = max(0, process.order.direct_port)
        return e.WorkerReady(process.order.key, process.pid, process.port, process.direct_port)

    def hang(self, process: Process, beat_age_s: float) -> e.Event:
        """The process is found to hang."""
        process.is_hung = True
        return e.WorkerHung(process.order.key, process.pid, beat_age_s)

    def reap(self, key: Optional[WorkerKey] = None) -> Iterator[e.Event]:
        """Ends that were not told yet, of all or of one key; each is known from when its event is taken."""
        ended = [process for process in self.by_pid.values() if not process.is_alive]
        for process in [process for process in ended if key in (None, process.order.key)]:
            del self.by_pid[process.pid]
            yield e.WorkerExited(process.order.key, process.pid, "exited with code 1")
