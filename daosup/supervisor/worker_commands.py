"""Commands about single workers: to stop one for good, to start it again, to start it anew.

Invariant: a command returns when what it asked for is so, or raises what is in its way; stopped is written down before
anything is stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daosup.adapters.control import Request
from daosup.core import events as e
from daosup.core.crew import WAITING
from daosup.core.types import WorkerKey, WorkerKind
from daosup.errors import NoAnswerError, UnavailableError
from daosup.supervisor.requests import MAX_WAIT_S, named_of, number_of
from daosup.supervisor.unknown_names import no_such_segment, not_mirrored

if TYPE_CHECKING:
    from daosup.supervisor.loop import Supervisor

Object = dict[str, Any]


class WorkerCommands:
    """Those of one supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self.by_name = {"stop": self._stop, "start": self._start, "restart": self._restart}

    async def _stop(self, request: Request) -> Object:
        key, wait_s = self._key(request), _wait_s(request)
        if self._is_stopped(key):
            return _outcome(key, "stopped")
        self._check_known(key)
        await self._supervisor.lasting.change(lambda desired: desired.stopping(key))
        workers = self._supervisor.state.crew.workers
        await self._until(key, lambda: key not in workers, wait_s, "it is stopped for good, but has not ended yet")
        await self._supervisor.desk.settle()
        return _outcome(key, "stopped")

    async def _start(self, request: Request) -> Object:
        key, wait_s = self._key(request), _wait_s(request)
        if not self._is_stopped(key):
            self._check_known(key)
        await self._supervisor.lasting.change(lambda desired: desired.starting(key))
        return await self._once_running(key, wait_s)

    async def _restart(self, request: Request) -> Object:
        key, wait_s = self._key(request), _wait_s(request)
        self._check_known(key)
        if self._is_stopped(key):
            raise UnavailableError(f"{_name(key)} is stopped; `daosupctl start {_name(key)}` starts it")
        worker = self._supervisor.state.crew.workers.get(key)
        if worker is None:
            return await self._once_running(key, wait_s)
        before = worker.pid
        self._supervisor.post(e.RestartAsked(key))
        return await self._once_running(key, wait_s, other_than=before)

    async def _once_running(self, key: WorkerKey, wait_s: float, other_than: int = 0) -> Object:
        """Wait until a worker that is wanted runs; one that nobody wants now is idle, or waits for its owner."""
        state = self._supervisor.state

        def is_so() -> bool:
            worker = state.crew.workers.get(key)
            is_running = self._supervisor.is_running(key) and worker is not None and worker.pid != other_than
            return is_running or self._rest_of(key) is not None

        await self._until(key, is_so, wait_s, "it does not run yet")
        rest = None if self._supervisor.is_running(key) else self._rest_of(key)
        return _outcome(key, *(rest or ("running", None)))

    def _rest_of(self, key: WorkerKey) -> tuple[str, str] | None:
        """Why nothing is to run, although nothing is wrong here."""
        state, source = self._supervisor.state, key.source
        if self._is_stopped(key):
            return "stopped", "it was stopped again meanwhile"
        if key.kind is WorkerKind.PUBLISHER:
            if source.name not in state.segments:
                return "idle", "there is no such segment now"
            # One that is subscribed to may be there although the registry knows no reader.
            is_due = bool(state.readership.of(source.name)) or key in state.crew.workers
            return None if is_due else ("idle", "nobody reads it")
        if key.kind is WorkerKind.GATE:
            return None
        mirror = state.mirrors.get(source)
        if mirror is None:
            return "idle", "nobody holds it"
        is_waiting = mirror.is_unknown or mirror.is_unsupported
        return ("waiting", mirror.reason or "") if is_waiting and key not in state.crew.workers else None

    async def _until(self, key: WorkerKey, is_so: Any, wait_s: float, what: str) -> None:
        try:
            await self._supervisor.until(is_so, wait_s)
        except NoAnswerError:
            state = self._supervisor.state
            worker, mirrors = state.crew.workers.get(key), state.mirrors
            reason = worker.last_exit if worker is not None and worker.phase in WAITING else None
            if reason is None and key.source in mirrors:
                reason = mirrors.reason_of(key.source)
            raise NoAnswerError(
                f"{_name(key)}: {what}{f': {reason}' if reason else ''} (waited {wait_s:g} s)"
            ) from None

    def _key(self, request: Request) -> WorkerKey:
        host = self._supervisor.config.host
        source = named_of(request, host)
        is_own = source.host == host
        return self._supervisor.state.own_worker(source.name) if is_own else WorkerKey(WorkerKind.MIRROR, source)

    def _is_stopped(self, key: WorkerKey) -> bool:
        return self._supervisor.lasting.desired.is_stopped(key)

    def _check_known(self, key: WorkerKey) -> None:
        state, source = self._supervisor.state, key.source
        if state.is_stopping:
            raise UnavailableError("this daosupd is stopping; ask again when it is back")
        if key.kind is WorkerKind.MIRROR and source not in state.mirrors:
            raise not_mirrored(self._supervisor, source)
        if key.kind is WorkerKind.PUBLISHER and source.name not in state.segments:
            raise no_such_segment(self._supervisor, source.name)


def _wait_s(request: Request) -> float:
    return number_of(request.arguments, "wait_s", 30.0, MAX_WAIT_S)


def _name(key: WorkerKey) -> str:
    return str(key.source) if key.kind is WorkerKind.MIRROR else key.source.name


def _outcome(key: WorkerKey, state: str, reason: str | None = None) -> Object:
    return {"worker": key.kind.value, "source": str(key.source), "state": state, "reason": reason or None}
