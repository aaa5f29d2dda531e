"""Runs the programs that the configuration names for events of this host, or of all hosts.

Invariants: nothing waits for a program; `MOST_RUNNING` run at a time and `MOST_WAITING` wait, what comes beside is
counted and told. What a program writes, and that it failed, is told in the log, and is no event itself: no hook calls
another. Events of this host come from this host, whether or not Redis is there; those of others come from the stream,
from when the first hook wants them, and each once.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Optional

from daosup.adapters.hook_process import HookEnd, HookProcess
from daosup.adapters.registry import Registry
from daosup.adapters.registry_events import EventPage, entry_id
from daosup.config.hooks import HookConfig, Scope
from daosup.core.fleet_events import FleetEvent
from daosup.core.notices import telling
from daosup.errors import UnavailableError
from daosup.supervisor.told_events import told

MOST_RUNNING = 4
MOST_WAITING = 100
LOOK_INTERVAL_S = 1.0
#: For what runs, or is to run, when the supervisor ends.
CLOSE_S = 3.0
_SKIPPED_TOLD_S = 30.0
_PAGE, _MOST_PAGES = 100, 20
_MOST_SEEN = 1000
#: What the service manager or another supervisor told this process, and nobody else.
_PRIVATE = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS", "INVOCATION_ID")


class HooksDesk:
    """The hooks of one host.

    Args:
        host: Its name.
        hooks: Which there are.
    """

    def __init__(self, host: str, hooks: Sequence[HookConfig]) -> None:
        self._host = host
        self._hooks = tuple(hooks)
        self._tell: Callable[..., None] = lambda notice, **fields: None
        self._registry: Optional[Registry] = None
        self._fail: Callable[[BaseException], None] = lambda error: None
        self._waiting: deque[tuple[HookConfig, FleetEvent]] = deque()
        self._running: set[HookProcess] = set()
        self._ended: Optional[asyncio.Future[None]] = None
        self._skipped = 0
        self._skipped_told_s = float("-inf")
        self._after: Optional[str] = None
        self._wanted_s = time.monotonic()
        self._look_s = 0.0
        self._look: Optional[asyncio.Task[None]] = None
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()

    def configure(self, hooks: Sequence[HookConfig]) -> None:
        """From now on there are these; what waits is run all the same."""
        self._hooks = tuple(hooks)

    def open(self, registry: Registry, tell: Callable[..., None], fail: Callable[[BaseException], None]) -> None:
        """Run them from now on; ``tell`` is the journal's, ``fail`` takes what nobody foresaw."""
        self._registry, self._tell, self._fail = registry, tell, fail

    def take(self, event: FleetEvent) -> None:
        """Something happened on this host."""
        self._take(event, is_own=True)

    def tick(self, now: float) -> None:
        """A turn of the loop, at ``now`` on the monotonic clock."""
        self._start()
        if self._skipped and now >= self._skipped_told_s + _SKIPPED_TOLD_S:
            count, self._skipped, self._skipped_told_s = self._skipped, 0, now
            self._tell(telling.HOOKS_SKIPPED, count=count)
        registry = self._registry
        if not any(hook.of is Scope.FLEET for hook in self._hooks):
            self._after, self._wanted_s = None, now
        elif registry is not None and registry.is_connected and now >= self._look_s and not self._is_looking():
            self._look_s = now + LOOK_INTERVAL_S
            self._look = asyncio.get_running_loop().create_task(self._follow(registry))

    async def close(self) -> None:
        """Run what waits, and end what takes longer than a stop may."""
        self._hooks = ()
        if self._look is not None:
            await asyncio.wait({self._look}, timeout=CLOSE_S)
        deadline = time.monotonic() + CLOSE_S
        while (self._waiting or self._running) and time.monotonic() < deadline:
            self._start()
            if self._running:
                await self._next_end(deadline - time.monotonic())
        self._waiting.clear()
        for process in self._running:
            process.kill()
        while self._running and await self._next_end(CLOSE_S):
            pass

    async def _next_end(self, timeout_s: float) -> bool:
        self._ended = asyncio.get_running_loop().create_future()
        done, _ = await asyncio.wait({self._ended}, timeout=timeout_s)
        return bool(done)

    def _take(self, event: FleetEvent, *, is_own: bool) -> None:
        for hook in self._hooks:
            if hook.wants(event, is_own=is_own):
                if len(self._waiting) >= MOST_WAITING:
                    self._skipped += 1
                else:
                    self._waiting.append((hook, event))

    # -- running

    def _start(self) -> None:
        while self._waiting and len(self._running) < MOST_RUNNING and self._registry is not None:
            hook, event = self._waiting.popleft()
            given = json.dumps(told(event)).encode() + b"\n"
            on_end = partial(self._on_end, hook, event)
            try:
                process = HookProcess(hook.command, given, _environment(event), hook.timeout_s, on_end)
            except OSError as error:
                self._tell_end(hook, event, HookEnd(f"it cannot be started: {error.strerror or error}", "", 0))
            else:
                self._running.add(process)

    def _on_end(self, hook: HookConfig, event: FleetEvent, process: HookProcess, end: HookEnd) -> None:
        self._running.discard(process)
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)
        try:
            self._tell_end(hook, event, end)
            self._start()
        except Exception as error:
            self._fail(error)

    def _tell_end(self, hook: HookConfig, event: FleetEvent, end: HookEnd) -> None:
        fields: dict[str, object] = {"hook": hook.command[0], "event": event.name, "event_host": event.host}
        if end.cut_bytes:
            fields["cut_bytes"] = end.cut_bytes
        if end.failure is not None:
            self._tell(telling.HOOK_FAILED, None, 0, end.output, **fields, reason=end.failure)
        elif end.output:
            self._tell(telling.HOOK_OUTPUT, None, 0, end.output, **fields)

    # -- events of others

    def _is_looking(self) -> bool:
        return self._look is not None and not self._look.done()

    async def _follow(self, registry: Registry) -> None:
        try:
            with suppress(UnavailableError):  # whoever looks after the link knows of it
                if self._after is None:
                    wanted_ms = (registry.clock.now_s() - (time.monotonic() - self._wanted_s)) * 1000
                    self._after = self._take_page(await registry.events.older(None, _PAGE), wanted_ms)
                for _ in range(_MOST_PAGES):
                    page = await registry.events.newer(self._after, _PAGE)
                    if page.after == self._after:
                        return
                    self._after = self._take_page(page)
        except Exception as error:
            self._fail(error)

    def _take_page(self, page: EventPage, since_ms: float = 0.0) -> str:
        """Take the events of others that came into the stream since then; returns where to go on."""
        for entry, event in page.events:
            if event.host != self._host and entry_id(entry)[0] >= since_ms and self._is_new(event):
                self._take(event, is_own=False)
        return page.after

    def _is_new(self, event: FleetEvent) -> bool:
        key = event.host, event.ident
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > _MOST_SEEN:
            self._seen.popitem(last=False)
        return True


def _environment(event: FleetEvent) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if name not in _PRIVATE}
    return {**ours, **event.variables()}
