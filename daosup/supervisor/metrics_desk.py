"""Serves the metrics where the configuration says, and only there.

Invariant: that an address cannot be had concerns nothing else; it is told once, and tried again until it can be had or
the configuration says otherwise.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Optional

from daosup.adapters.page_server import PageServer
from daosup.config.kinds import address_text
from daosup.core.exposition import CONTENT_TYPE
from daosup.core.notices import running
from daosup.supervisor.metrics import metrics_page

if TYPE_CHECKING:
    from daosup.supervisor.loop import Supervisor

PATH = "/metrics"
AGAIN_S = 2.0


class MetricsDesk:
    """The metrics of one supervisor.

    Args:
        supervisor: Whose.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._listen: Optional[tuple[str, int]] = None
        self._server: Optional[PageServer] = None
        self._error: Optional[str] = None
        self._changed = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._work())
        self._task.add_done_callback(self._on_end)

    @property
    def status(self) -> Optional[dict[str, Any]]:
        """Where they are served, and why not; None if nowhere."""
        if self._listen is None:
            return None
        return {"listen": address_text(self._listen), "error": self._error}

    def reconfigure(self) -> None:
        """The configuration may say something else."""
        self._changed.set()

    async def close(self) -> None:
        """Serve them no more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._close_server()

    async def _work(self) -> None:
        while True:
            self._changed.clear()
            listen = self._supervisor.config.metrics.listen
            if listen != self._listen:
                await self._close_server()
                self._listen, self._error = listen, None
            if listen is not None and self._server is None:
                await self._open(listen)
            try:
                await asyncio.wait_for(self._changed.wait(), AGAIN_S if self._error else None)
            except asyncio.TimeoutError:
                pass

    async def _open(self, listen: tuple[str, int]) -> None:
        server = PageServer(PATH, CONTENT_TYPE, lambda: metrics_page(self._supervisor))
        tell, where = self._supervisor.journal.tell, address_text(listen)
        try:
            await server.start(*listen)
        except OSError as error:
            reason = error.strerror or str(error)
            if reason != self._error:
                self._error = reason
                tell(running.METRICS_NOT_SERVED, listen=where, reason=reason)
            return
        self._server, self._error = server, None
        tell(running.METRICS_SERVED, listen=where)

    async def _close_server(self) -> None:
        if self._server is not None:
            await self._server.close()
            self._server = None

    def _on_end(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._supervisor.fail(error)
