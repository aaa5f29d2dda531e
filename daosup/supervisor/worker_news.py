"""What workers say: by datagrams while they live, by what they leave behind when they end.

Invariant: whatever is sent costs a bounded amount of memory and time, and counts only if a process that we watch said
it of itself; what does not decode is dropped.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Optional

from daosup.adapters.processes import status_text
from daosup.core.checked_json import as_object, parse_json
from daosup.core.notices import dnet, streams, workers
from daosup.core.notices.notice import Notice
from daosup.core.types import WorkerKey
from daosup.errors import ProtocolError
from daosup.workers.records import RECORD_SUFFIX, WORDS_SUFFIX, read_key, remove_dead
from daosup.workers.telling import MAX_TOLD_BYTES, SOCKET_NAME
from daosup.workers.words import Words, read_words

#: What a worker may say, but that it is ready: which notice that is, if all is well or if it names a reason why not.
_NOTICES = {
    "away": (streams.PUBLISHER_WAITS, streams.PUBLISHER_WAITS),
    "back": (streams.PUBLISHER_BACK, streams.PUBLISHER_BACK),
    "stuck": (streams.PUBLISHER_STUCK, streams.PUBLISHER_STUCK),
    "flowing": (streams.PUBLISHER_FLOWING, streams.PUBLISHER_FLOWING),
    "link": (streams.LINK_UP, streams.LINK_DOWN),
    "blocked": (streams.MIRROR_BLOCKED, streams.MIRROR_BLOCKED),
    "made": (streams.MIRROR_MADE, streams.MIRROR_MADE),
    "limited": (workers.WORKER_LIMIT_REFUSED, workers.WORKER_LIMIT_REFUSED),
    "rejected": (streams.FRAMES_REJECTED, streams.FRAMES_REJECTED),
    "transport": (streams.DIRECT, streams.NOT_DIRECT),
    "writing": (streams.WRITING_ALLOWED, streams.WRITING_REFUSED),
    "beacons": (dnet.BEACONS_SENT, dnet.BEACONS_UNSENT),
}
EVENTS = ("ready", "asked", *_NOTICES)
FACTS = ("port", "reason", "warning", "segment", "is_up", "state")
#: Those of them that an operator is told; a worker says by "segment" what it looks like.
_TOLD = ("reason", "warning", "segment")
_FIELDS = {"segment": "looks"}
#: Datagrams taken in one turn of the loop.
_AT_ONCE = 64

Facts = Mapping[str, object]


class ToldSocket:
    """Hears all workers of one supervisor.

    Args:
        folder: The folder of the workers' files.
        is_running: Whether we watch such a process.
        on_told: Called with key, pid, event and facts.
    """

    def __init__(
        self,
        folder: Path,
        is_running: Callable[[WorkerKey, int], bool],
        on_told: Callable[[WorkerKey, int, str, Facts], None],
    ) -> None:
        self._is_running, self._on_told = is_running, on_told
        path = folder / SOCKET_NAME
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._socket.bind(str(path))
            os.chmod(path, 0o600)
        except BaseException:
            self._socket.close()
            raise
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._read)

    def close(self) -> None:
        """Hear no more."""
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()

    def _read(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                raw = self._socket.recv(MAX_TOLD_BYTES)
            except OSError:
                return
            with suppress(ProtocolError):
                self._take(raw)

    def _take(self, raw: bytes) -> None:
        told = as_object(parse_json(raw), "worker's message")
        key, pid, event = read_key(told.get("key")), told.get("pid"), told.get("event")
        facts = as_object(told.get("facts"), "worker's message")
        if type(pid) is not int or event not in EVENTS or not isinstance(event, str):
            raise ProtocolError("not a worker's message")
        if self._is_running(key, pid):
            plain = (str, int, bool, type(None))
            self._on_told(key, pid, event, {n: f for n, f in facts.items() if n in FACTS and isinstance(f, plain)})


def notice_of(event: str, facts: Facts) -> tuple[Notice, dict[str, object]]:
    """What an operator is told when a worker says this, and with which fields."""
    well, ill = _NOTICES[event]
    is_well = facts.get("is_up") is True if event == "link" else not facts.get("reason")
    said = {_FIELDS.get(name, name): fact for name, fact in facts.items() if name in _TOLD and fact not in (None, "")}
    return well if is_well else ill, said


def bury(page: Path, status: Optional[int]) -> tuple[str, Words]:
    """A worker ended: remove its files; returns the cause and its last words."""
    words = read_words(page.with_suffix(WORDS_SUFFIX))
    with suppress(OSError):
        remove_dead(page.with_suffix(RECORD_SUFFIX))
    return _cause(words, status), words


def _cause(words: Words, status: Optional[int]) -> str:
    if words.reason and (status is None or os.WIFEXITED(status)):
        return words.reason
    return status_text(status)
