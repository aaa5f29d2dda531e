"""What needs a walk over the whole registry: listing the machines, finding what belongs to one.

Invariant: the walk goes in small steps (SCAN, never KEYS) between which the loop runs. Only the one that holds the
lease makes it by a timer, for one key of each host; all others only because an operator asked or a daemon started. So
a host's cost per second does not grow with the number of hosts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Union

from daosup.adapters.redis_link import Command
from daosup.adapters.registry_clock import parse_stamp
from daosup.adapters.registry_commands import read
from daosup.core import keys
from daosup.core.registry_values import decode_address, decode_dimensions, decode_dtype, decode_records, decode_word
from daosup.core.types import HostSign, Machine, SegmentEntry
from daosup.errors import ProtocolError, UnavailableError

Run = Callable[[Sequence[Command]], Awaitable[list[Any]]]

_STEP = 250
_MOST_KEYS = 500_000


async def read_machines(run: Run) -> tuple[list[Machine], int]:
    """All hosts with their segments, sorted, and how many keys or values were skipped as malformed."""
    table = _MachineTable()
    wanted = [key for key in await scan(run, keys.ALL_MACHINES) if table.is_wanted(key)]
    for start in range(0, len(wanted), _STEP):
        step = wanted[start : start + _STEP]
        for key, raw in zip(step, await run([read(key) for key in step])):
            table.put(keys.parse_machine_key(key), raw)
    return table.machines(), table.skipped


async def read_hosts(run: Run) -> tuple[HostSign, ...]:
    """The last sign of life of each host; one that cannot be read is left out."""
    found = []
    for raw in await scan(run, keys.ALL_SIGNS_OF_LIFE):
        try:
            key = keys.parse_machine_key(raw)
        except ProtocolError:
            continue
        if key.name is None:
            found.append(key.host)
    signs = []
    for start in range(0, len(found), _STEP):
        step = found[start : start + _STEP]
        commands: list[Command] = []
        for host in step:
            sign = keys.machine_key(host, "last_connect")
            commands += [read(sign), ("PTTL", sign), read(keys.machine_key(host, "role"))]
        replies = await run(commands)
        for host, text, left_ms, role in zip(step, replies[::3], replies[1::3], replies[2::3]):
            sign_of_life = _word(text)
            if sign_of_life:
                stamp_s, left_s = parse_stamp(sign_of_life), max(0, left_ms) / 1000
                signs.append(HostSign(host, _word(role), sign_of_life, stamp_s, left_ms == -1, left_s))
    return tuple(signs)


async def keys_of_host(run: Run, host: str) -> list[bytes]:
    """Every ``dao:`` key of ``host``, whoever wrote it."""
    return [key for key in await scan(run, keys.host_keys_pattern(host)) if keys.is_of_host(key, host)]


#: KEYS: who speaks for a host, what is to go. ARGV: who that must be, if it is anybody.
_UNLINK_AS = """
local speaker = redis.pcall('GET', KEYS[1])
if type(speaker) == 'string' and speaker ~= ARGV[1] then return 0 end
local count = 0
for i = 2, #KEYS do count = count + redis.call('UNLINK', KEYS[i]) end
return count
"""
_STEP = 200


async def remove_leftovers(run: Run, host: str, names: Collection[str], speaker: bytes) -> int:
    """Remove the keys of segments of ``host`` that are not in ``names``; returns how many keys.

    If another process than ``speaker`` speaks for the host by now, they are that one's, and stay.
    """
    gone: list[bytes] = []
    for raw in await scan(run, keys.host_keys_pattern(host)):
        try:
            key = keys.parse_machine_key(raw)
        except ProtocolError:
            continue
        if key.host == host and key.name is not None and key.name not in names:
            gone.append(raw)
    count = 0
    for first in range(0, len(gone), _STEP):
        step = gone[first : first + _STEP]
        (removed,) = await run([("EVAL", _UNLINK_AS, 1 + len(step), keys.instance_key(host), *step, speaker)])
        count += int(removed)
    return count


async def scan(run: Run, pattern: bytes) -> list[bytes]:
    """All keys that a pattern matches, sorted.

    Raises:
        UnavailableError: If there are more than any fleet has.
    """
    found: set[bytes] = set()
    cursor = b"0"
    while True:
        ((cursor, page),) = await run([("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)])
        found.update(page)
        if cursor == b"0":
            return sorted(found)
        if len(found) > _MOST_KEYS:
            raise UnavailableError(
                f"Redis holds more than {_MOST_KEYS} keys like {pattern.decode('ascii', 'replace')}; "
                "no fleet has so many: find out who writes them"
            )


def _word(raw: object) -> str:
    try:
        return decode_word(raw) if isinstance(raw, bytes) and raw else ""
    except ProtocolError:
        return ""


class _MachineTable:
    """Collects machines from their keys, which come in any order and may lie."""

    def __init__(self) -> None:
        self.skipped = 0
        self._facts: dict[str, dict[str, str]] = {}
        self._segments: dict[str, dict[str, dict[str, Any]]] = {}

    def is_wanted(self, raw_key: bytes) -> bool:
        try:
            keys.parse_machine_key(raw_key)
        except ProtocolError:
            self.skipped += 1
            return False
        return True

    def put(self, key: keys.MachineKey, raw: Union[bytes, object]) -> None:
        facts = self._facts.setdefault(key.host, {})
        segments = self._segments.setdefault(key.host, {})
        if raw == b"":
            return
        try:
            if not isinstance(raw, bytes):
                raise ProtocolError("not a string")
            if key.name is None:
                facts[key.field] = (decode_address if key.field == "ip" else decode_word)(raw)
            else:
                segments.setdefault(key.name, {})[key.field] = self._segment_value(key.field, raw)
        except ProtocolError:
            self.skipped += 1

    def _segment_value(self, field: str, raw: bytes) -> object:
        if field == "dimensions":
            return decode_dimensions(raw)
        if field == "dtype":
            return decode_dtype(raw)
        records, bad = decode_records(raw)
        self.skipped += bad
        return len(records)

    def machines(self) -> list[Machine]:
        return [
            Machine(
                hostname=host,
                ip=facts.get("ip", ""),
                role=facts.get("role", ""),
                last_connect=facts.get("last_connect", ""),
                segments=tuple(
                    SegmentEntry(name, said["dimensions"], said.get("dtype", ""), said.get("connections", 0))
                    for name, said in sorted(self._segments[host].items())
                    if "dimensions" in said
                ),
            )
            for host, facts in sorted(self._facts.items())
        ]
