"""Which hosts of old daemons gave no sign of life for too long; those of ours need no judge, their keys expire.

Invariants: a host is silent for as long as the text of its last sign of life stayed the same while we looked, by
Redis's clock and never by its own; a jump of Redis's clock, or time in which nobody could look, counts for no more than
one look does. What a host's clock says matters only before its text was ever seen to change, and for reports.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Optional

from daosup.core.actions import Report
from daosup.core.clock import MOST_OFFSET_S
from daosup.core.notices import fleet
from daosup.core.types import HostSign, Role

#: As the existing daemons have it.
EVICTION_S = 120.0
SCAN_INTERVAL_S = 15.0
_MOST_FOR_ONE_LOOK_S = 2 * SCAN_INTERVAL_S


@dataclass
class _Heard:
    sign: HostSign
    silent_s: float = 0.0
    has_changed: bool = False
    is_clock_off: bool = False


class Silence:
    """What the master remembers of the old daemons' hosts."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._heard: dict[str, _Heard] = {}
        self._looked_redis_s: Optional[float] = None

    def begin_anew(self) -> None:
        """Forget: nobody could be heard for a while."""
        self._heard.clear()
        self._looked_redis_s = None

    def look(self, signs: Sequence[HostSign], redis_s: float) -> Iterator[Report]:
        """Take in all hosts' last signs of life as they stood at ``redis_s``; reports clocks that are off."""
        before_s, self._looked_redis_s = self._looked_redis_s, redis_s
        step_s = 0.0 if before_s is None else min(max(0.0, redis_s - before_s), _MOST_FOR_ONE_LOOK_S)
        before, self._heard = self._heard, {}
        for sign in signs:
            if not sign.is_lasting or sign.host == self._host:
                continue
            heard = before.get(sign.host)
            if heard is None:
                heard = _Heard(sign)
            elif heard.sign.last_connect == sign.last_connect:
                heard.sign, heard.silent_s = sign, heard.silent_s + step_s
            else:
                was_off = heard.is_clock_off
                offset_s = _offset_s(sign, redis_s if before_s is None else before_s, redis_s)
                heard = _Heard(sign, has_changed=True, is_clock_off=abs(offset_s) > MOST_OFFSET_S)
                if heard.is_clock_off != was_off:
                    yield _clock_report(sign.host, offset_s, heard.is_clock_off)
            self._heard[sign.host] = heard

    def masters(self) -> list[str]:
        """Old daemons' hosts that call themselves master and are alive, as far as can be known by now."""
        is_master = (heard for heard in self._heard.values() if heard.sign.role == Role.MASTER.value)
        return sorted(heard.sign.host for heard in is_master if self._is_alive(heard))

    def silent(self) -> list[HostSign]:
        """The last signs of life of the hosts that are to be evicted."""
        return [heard.sign for _, heard in sorted(self._heard.items()) if heard.silent_s >= EVICTION_S]

    def is_stale(self, host: str, stamp_s: Optional[float], redis_s: float, ttl_s: float) -> bool:
        """Whether a host, ours or old, gave no sign of life for ``ttl_s``.

        The stamp counts by Redis's clock, in which our hosts write it; an old host whose clock is off has no stamp that
        could be trusted, but its text changes: one that was seen to change within ``ttl_s`` is alive.
        """
        heard = self._heard.get(host)
        if heard is not None and heard.silent_s >= ttl_s:
            return True
        if heard is not None and heard.has_changed:
            return False
        return stamp_s is None or redis_s - stamp_s > ttl_s

    def _is_alive(self, heard: _Heard) -> bool:
        if heard.has_changed:
            return heard.silent_s < EVICTION_S
        stamp_s, looked_s = heard.sign.stamp_s, self._looked_redis_s or 0.0
        return heard.silent_s < EVICTION_S and stamp_s is not None and abs(looked_s - stamp_s) < EVICTION_S


def _offset_s(sign: HostSign, before_s: float, now_s: float) -> float:
    """By how much a stamp that was written between two looks is outside of that time."""
    if sign.stamp_s is None:
        return 0.0
    return sign.stamp_s - min(max(sign.stamp_s, before_s), now_s)


def _clock_report(host: str, offset_s: float, is_off: bool) -> Report:
    if not is_off:
        return Report(fleet.PEER_CLOCK_RIGHT, fields=(("peer", host),))
    return Report(fleet.PEER_CLOCK_OFF, fields=(("peer", host), ("offset_s", round(offset_s, 1))))
