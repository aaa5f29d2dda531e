"""Commands by which another host times the way to this one and back: to have its frames answered, and no longer.

Invariant: what is made for it, a process, its segment and the mirror of the other host's, is there as long as the
process; however that ends, the others go with it.
"""

from __future__ import annotations

import asyncio
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

from daosup.adapters.control import Request
from daosup.adapters.interpreter import same_python
from daosup.core import events as e
from daosup.core.types import Source, WorkerKey, WorkerKind, check_name
from daosup.errors import NoAnswerError, NotFoundError, SegmentError, UnavailableError, UsageError
from daosup.shm.making import unlink_segment
from daosup.supervisor.requests import source_of
from daosup.workers.echo import READY

if TYPE_CHECKING:
    from daosup.supervisor.loop import Supervisor
    from daosup.supervisor.mirror_commands import MirrorCommands

Object = dict[str, Any]

#: What begins so is made for this, and for nothing that anybody misses.
PREFIX = "daosup-bench-"
MOST_ECHOES = 4
_MIRROR_S = 20.0
_START_S = 10.0
_END_S = 3.0
_POLL_S = 0.02


@dataclass
class _Echo:
    source: Source
    holder: str
    path: str
    process: subprocess.Popen[bytes]
    watch: Optional[asyncio.Task[None]] = None


class EchoCommands:
    """Those of one supervisor."""

    def __init__(self, supervisor: Supervisor, mirrors: MirrorCommands) -> None:
        self._supervisor = supervisor
        self._mirrors = mirrors
        self._echoes: dict[str, Optional[_Echo]] = {}
        self.by_name = {"echo": self._echo, "end_echo": self._end_echo}

    async def close(self) -> None:
        """End all."""
        echoes = [echo for echo in self._echoes.values() if echo is not None]
        for echo in echoes:
            _end(echo)
        watches = [echo.watch for echo in echoes if echo.watch is not None]
        if watches:
            await asyncio.wait(watches, timeout=_END_S)

    async def _echo(self, request: Request) -> Object:
        """Answer the frames of ``source`` by those of a segment of this host, ``name``, until `end_echo`."""
        source, name = source_of(request), _name_of(request)
        if source.host == self._supervisor.config.host:
            raise UsageError(f"{source} is a segment of this host itself")
        if name in self._echoes or len(self._echoes) >= MOST_ECHOES:
            raise UnavailableError(f"this host answers {len(self._echoes)} benches already; try again later")
        self._echoes[name] = None
        holder = f"bench {name}"
        try:
            made = await self._mirrors.make(source, holder, _MIRROR_S, is_kept=False, is_writing=False)
            self._echoes[name] = echo = self._start(source, holder, name, made["path"])
        except BaseException:
            del self._echoes[name]
            self._supervisor.post(e.MirrorReleased(source, holder))
            raise
        said = ""
        output = await _lines_of(echo.process)
        try:
            said = (await asyncio.wait_for(output.readline(), _START_S)).decode("utf-8", "replace").strip()
        except asyncio.TimeoutError:
            said = f"it took longer than {_START_S:g} s"
        finally:
            echo.watch = asyncio.get_running_loop().create_task(self._watch(name, echo, output))
            if said != READY:
                _end(echo)
        if said != READY:
            raise NoAnswerError(f"the program that answers did not start: {said or 'it ended; see the log'}")
        return {"source": f"{self._supervisor.config.host}:{name}"}

    async def _end_echo(self, request: Request) -> Object:
        """Answer no longer."""
        echo = self._echoes.get(_name_of(request))
        if echo is None or echo.watch is None:
            raise NotFoundError("this host answers no such bench; it may have ended by itself")
        # First nobody reads what is answered, so that no publisher misses its segment, then nobody answers.
        await self._gone(WorkerKey(WorkerKind.PUBLISHER, Source(self._supervisor.config.host, _name_of(request))))
        _end(echo)
        await asyncio.wait({echo.watch})
        await self._gone(WorkerKey(WorkerKind.MIRROR, echo.source))
        await self._supervisor.desk.settle()
        return {}

    async def _gone(self, key: WorkerKey) -> None:
        """Wait until a worker has ended, if that does not take long."""
        workers = self._supervisor.state.crew.workers
        with suppress(NoAnswerError):
            await self._supervisor.until(lambda: key not in workers, _END_S)

    def _start(self, source: Source, holder: str, name: str, mirror_path: str) -> _Echo:
        path = self._supervisor.folder.path_of(name)
        command = [*same_python(), "-m", "daosup.workers.echo", mirror_path, path]
        process = subprocess.Popen(  # returns at once; its watch waits for it
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        return _Echo(source, holder, path, process)

    async def _watch(self, name: str, echo: _Echo, output: asyncio.StreamReader) -> None:
        """See its end, and remove what it leaves."""
        try:
            await output.read()
            for _ in range(round(_END_S / _POLL_S)):
                if echo.process.poll() is not None:
                    break
                await asyncio.sleep(_POLL_S)
        finally:
            echo.process.kill()
            echo.process.wait()
            _end(echo)
            try:
                unlink_segment(echo.path)
            except (OSError, SegmentError):
                pass  # it has done so itself
            self._supervisor.post(e.MirrorReleased(echo.source, echo.holder))
            del self._echoes[name]


def _end(echo: _Echo) -> None:
    """Have it end, which its watch sees."""
    if echo.process.stdin is not None:
        echo.process.stdin.close()


def _name_of(request: Request) -> str:
    name = request.arguments.get("name")
    if not isinstance(name, str) or not name.startswith(PREFIX):
        raise UsageError(f"name is {str(name)[:80]!r}, which does not begin with {PREFIX}")
    return check_name(name)


async def _lines_of(process: subprocess.Popen[bytes]) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=4096)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), process.stdout)
    return reader
