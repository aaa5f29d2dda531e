"""The stream of events in Redis (``daosup:events``), which every host adds to and anybody may read.

Invariants: the stream is bounded by whoever adds to it, and expires when nobody has for long; reading it moves no entry
that is longer than an event may be, for a script looks at its length where it lies; what is no event is skipped and
counted. An entry's id orders the stream and says nothing else: the event carries its own time.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from daosup.adapters.redis_link import Command, Refusal
from daosup.core import keys
from daosup.core.fleet_events import MAX_EVENT_BYTES, FleetEvent, decode_event
from daosup.errors import ProtocolError, UnavailableError

MOST_ENTRIES = 10_000
"""So many are kept, and a few more: Redis cuts whole blocks of them."""
MOST_AT_ONCE = 1000
LIFETIME_MS = 90 * 86400 * 1000
#: Before the first entry of any stream.
NO_ENTRY = "0-0"
_LAST_POSSIBLE = "18446744073709551615-18446744073709551615"
_ENTRY_ID = re.compile(r"([0-9]{1,20})-([0-9]{1,20})\Z")
_FIELD = b"event"

# KEYS: the stream. ARGV: the command that reads, from, to, how many. Answers with the last id that was ever given, and
# the entries, without the values of those that are no events of ours by their form.
_READ = f"""
local kind = redis.call('TYPE', KEYS[1])['ok']
if kind == 'none' then return {{'', {{}}}} end
if kind ~= 'stream' then return {{'?', {{}}}} end
local last = ''
local facts = redis.call('XINFO', 'STREAM', KEYS[1])
for i = 1, #facts, 2 do if facts[i] == 'last-generated-id' then last = facts[i + 1] end end
local entries = redis.call(ARGV[1], KEYS[1], ARGV[2], ARGV[3], 'COUNT', ARGV[4])
for i, entry in ipairs(entries) do
  local words = entry[2]
  local is_event = #words == 2 and words[1] == '{_FIELD.decode()}' and #words[2] <= {MAX_EVENT_BYTES}
  entries[i] = {{entry[1], is_event and words[2] or ''}}
end
return {{last, entries}}
"""
# Makes room for a stream that can be added to: what is there is none, or has used up its last id.
_MAKE_ROOM = f"""
local kind = redis.call('TYPE', KEYS[1])['ok']
if kind == 'none' then return 0 end
if kind == 'stream' then
  local facts = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #facts, 2 do
    if facts[i] == 'last-generated-id' and facts[i + 1] ~= '{_LAST_POSSIBLE}' then return 0 end
  end
end
return redis.call('UNLINK', KEYS[1])
"""


@dataclass(frozen=True)
class EventPage:
    """A piece of the stream.

    Attributes:
        events: With the ids of their entries, as they stand there: the oldest first.
        before: An older page ends before this entry; None if there is nothing older.
        after: A newer page begins after this entry.
        skipped: How many entries were no events.
    """

    events: tuple[tuple[str, FleetEvent], ...]
    before: Optional[str]
    after: str
    skipped: int


class RegistryEvents:
    """The stream as one host uses it. Every coroutine raises :class:`UnavailableError` if Redis is away.

    Args:
        run: Carries out commands; a refusal is a reply.
        server: Redis, as it is called in errors.
    """

    def __init__(self, run: Callable[[Sequence[Command]], Awaitable[list[Any]]], server: str) -> None:
        self._run = run
        self._server = server

    async def add(self, events: Sequence[bytes]) -> tuple[int, Optional[str]]:
        """Add encoded events to the end, in their order.

        Returns:
            How many were added, and why Redis refused the next one, if it did.
        """
        replies = await self._run([*map(_adding, events), ("PEXPIRE", keys.EVENTS, LIFETIME_MS)])
        added = _accepted(replies[:-1])
        if added < len(events) and await self._made_room():
            replies = await self._run([_adding(each) for each in events[added:]])
            added += _accepted(replies)
        if added == len(events):
            return added, None
        return added, next(reply.text for reply in replies if isinstance(reply, Refusal))

    async def older(self, before: Optional[str], count: int) -> EventPage:
        """The newest entries, or the newest of those before an entry."""
        last, found = await self._read("XREVRANGE", "+" if before is None else f"({before}", "-", count)
        found.reverse()
        is_all = len(found) < count
        return _page(found, None if is_all else found[0][0].decode(), found[-1][0] if found else last)

    async def newer(self, after: str, count: int) -> EventPage:
        """The oldest entries after an entry; if the stream was begun anew since, its oldest."""
        # Nothing comes after the last possible id, which Redis takes for a mistake.
        begin = after if after == _LAST_POSSIBLE else f"({after}"
        last, found = await self._read("XRANGE", begin, "+", count)
        if last and entry_id(last.decode()) < entry_id(after):
            last, found = await self._read("XRANGE", "-", "+", count)
            after = NO_ENTRY
        return _page(found, None, found[-1][0] if found else after.encode())

    async def _read(self, how: str, begin: str, end: str, count: int) -> tuple[bytes, list[list[bytes]]]:
        (reply,) = await self._run([("EVAL", _READ, 1, keys.EVENTS, how, begin, end, count)])
        if isinstance(reply, Refusal):
            raise UnavailableError(f"Redis at {self._server} refused to read {keys.EVENTS.decode()}: {reply.text}")
        last, found = reply
        if last == b"?":
            raise UnavailableError(f"{keys.EVENTS.decode()} in Redis at {self._server} is no stream; remove it there")
        return last, found

    async def _made_room(self) -> bool:
        (reply,) = await self._run([("EVAL", _MAKE_ROOM, 1, keys.EVENTS)])
        return bool(reply == 1)


def entry_id(text: str) -> tuple[int, int]:
    """An entry's id as numbers, by which they are in order.

    Raises:
        ProtocolError: If it is none.
    """
    match = _ENTRY_ID.match(text)
    if match is None or max(numbers := (int(match[1]), int(match[2]))) >= 2**64:
        raise ProtocolError(f"{text[:40]!r} is no id of an entry, which are like 1763733600000-0")
    return numbers


def _adding(event: bytes) -> Command:
    return ("XADD", keys.EVENTS, "MAXLEN", "~", MOST_ENTRIES, "*", _FIELD, event)


def _accepted(replies: Sequence[Any]) -> int:
    """How many of the first were; what follows one that was refused is to be tried again in its order."""
    return next((i for i, reply in enumerate(replies) if isinstance(reply, Refusal)), len(replies))


def _page(found: list[list[bytes]], before: Optional[str], after: bytes) -> EventPage:
    events = []
    for raw_id, raw in found:
        try:
            events.append((raw_id.decode(), decode_event(raw)))
        except ProtocolError:
            continue
    return EventPage(tuple(events), before, after.decode() or NO_ENTRY, len(found) - len(events))
