"""The heartbeats that readers of the old protocol keep.

Invariant: reading those of known readers costs one command for each; only finding unknown ones walks over the registry,
in small steps between which the loop runs.
"""

from __future__ import annotations

from collections.abc import Iterable

from daosup.adapters.redis_link import Command
from daosup.adapters.registry_commands import read
from daosup.adapters.registry_scan import Run, scan
from daosup.core import keys
from daosup.core.registry_values import decode_word
from daosup.errors import ProtocolError

_STEP = 250

Pair = tuple[str, str]


async def read_heartbeats(run: Run, asked: Iterable[tuple[Pair, bytes]]) -> tuple[dict[Pair, str], int]:
    """What these keys hold, as far as they exist, and how many hold what no heartbeat says."""
    listed = list(asked)
    found: dict[Pair, str] = {}
    skipped = 0
    for start in range(0, len(listed), _STEP):
        step = listed[start : start + _STEP]
        commands: list[Command] = [read(key) for _, key in step]
        for (pair, _), raw in zip(step, await run(commands)):
            if raw == b"":
                continue
            try:
                if not isinstance(raw, bytes):
                    raise ProtocolError("not a string")
                found[pair] = decode_word(raw)
            except ProtocolError:
                skipped += 1
    return found, skipped


async def find_heartbeats(run: Run, host: str) -> tuple[dict[Pair, str], int]:
    """All heartbeats of readers of ``host``'s segments, and how many keys or values were none."""
    known: list[tuple[Pair, bytes]] = []
    strange = 0
    for key in await scan(run, keys.heartbeats_pattern(host)):
        try:
            known.append((keys.parse_heartbeat_key(key, host), key))
        except ProtocolError:
            strange += 1
    found, skipped = await read_heartbeats(run, known)
    return found, skipped + strange
