"""Who is master: this host's part in it.

The master is who holds the lease in Redis (core/lease.py); whoever takes it does so in one atomic step and with a
number, the epoch, that was never used before.

Invariants:
- this host takes itself for the master only while it trusts its lease, by its own clock from the moment of asking;
- what it does as master names its lease, and Redis refuses it when another lease stands there: a master that was
  frozen, or whose clock runs slow, can believe but not act;
- a lease that was seen gone, or in other hands, is over: what is still under way from that time never revives it;
- it takes a lease only if nobody holds it, or its own predecessor (same host name) does, or when told to take over;
- an old daemon that lives and calls itself master keeps the office: a host without a configured role then holds the
  lease only to keep watch, as a minion, so that one host looks around and not all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.lease import GUARD_S, LEASE_TTL_S, LONGEST_TTL_S, LOOK_INTERVAL_S, RENEWAL_INTERVAL_S, Lease
from daosup.core.notices import fleet
from daosup.core.presence import Presence
from daosup.core.silence import EVICTION_S, SCAN_INTERVAL_S, Silence
from daosup.core.types import Role

_AFTER_EXPIRY_S = 0.02
#: How much slower than this host's clock Redis's may go, as the guard allows, and how much a look may be late.
_SLOWEST = 0.9
_JITTER_S = 0.5


class Election:
    """This host in the election.

    Args:
        host: Its name.
        instance: Names this process; another one of the same host has another.
        wish: The configured role.
        is_takeover: Whether to take the lease from another host, once.
    """

    def __init__(self, host: str, instance: str, wish: Optional[Role], *, is_takeover: bool = False) -> None:
        self.role: Optional[Role] = Role.MINION if wish is Role.MINION else None
        self.holder: Optional[Lease] = None
        self.yields_to: Optional[str] = None
        self.refusal: Optional[str] = None
        self.silence = Silence(host)
        self._presence = Presence(host)
        self._host, self._instance, self._wish = host, instance, wish
        self._is_takeover = self._may_take_over = is_takeover
        self._is_settled = False
        self._is_over = False
        self._own: Optional[Lease] = None
        self._until_s = 0.0
        self._is_scanned = False
        self._scan_s = 0.0
        self._ask_s = 0.0
        self._seen_s = float("-inf")
        self._endless = b"", 0.0, 0.0
        self._closed_epoch = 0
        self._highest_epoch = 0

    # -- what others may know

    def lease(self, now: float) -> Optional[Lease]:
        """The lease of this host as long as it can be trusted, also if it only keeps watch."""
        return self._own if now < self._until_s else None

    def left_s(self, now: float) -> float:
        """For how long the lease of this host can be trusted, in seconds."""
        return max(0.0, self._until_s - now) if self._own else 0.0

    def mandate(self, now: float) -> Optional[Lease]:
        """The lease under which this host may act as master now."""
        return self.lease(now) if self.role is Role.MASTER else None

    def is_own(self, lease: Lease) -> bool:
        """Whether a lease is this process's, and was not seen over."""
        is_ours = lease.host == self._host and lease.instance == self._instance
        return is_ours and lease.epoch > self._closed_epoch

    # -- what happens

    def connected(self, now: float) -> Iterator[do.Action]:
        """Redis answers (again)."""
        self.silence.begin_anew()
        self._presence.begin_anew()
        yield self._ask(now)

    def forgotten(self, now: float) -> Iterator[do.Action]:
        """Redis has lost what was written down, the lease perhaps as well: whoever held it is to have it again."""
        self._presence.begin_anew()
        if not self._is_over:
            yield self._ask(now)

    def tick(self, now: float) -> Iterator[do.Action]:
        """Time went by, and Redis can be asked."""
        if now >= self._ask_s:
            yield self._ask(now)
        if self.lease(now) is not None and now >= self._scan_s:
            self._scan_s = now + SCAN_INTERVAL_S
            yield do.ReadHosts()

    def expire(self, now: float) -> Iterator[do.Action]:
        """Time went by, whether or not Redis can be asked."""
        if self.role is Role.MASTER and self.lease(now) is None and not self._is_over:
            yield do.Report(fleet.LEASE_RAN_OUT, fields=self._epoch_field())
        self._settle_role(now)

    def lease_seen(self, event: e.LeaseSeen, now: float) -> Iterator[do.Action]:
        """Redis said who holds the lease."""
        if event.asked_s < self._seen_s or self._is_over:
            return
        self._seen_s = event.asked_s
        self.holder = event.holder
        self._ask_s = now + LOOK_INTERVAL_S
        if event.holder is not None:
            self._highest_epoch = max(self._highest_epoch, event.holder.epoch)
        if event.holder is not None and self.is_own(event.holder):
            yield from self._hold(event.holder, event.asked_s + min(event.left_s, LEASE_TTL_S) - GUARD_S, now)
        else:
            if self._own is not None:
                yield from self._lose(event.holder)
            if self._wish is not Role.MINION:
                yield from self._compete(event, now)
        self._settle_role(now)

    def hosts_seen(self, event: e.HostsSeen, now: float) -> Iterator[do.Action]:
        """The hosts' last signs of life were read."""
        if self.lease(now) is None or self._is_over:
            return
        yield from self.silence.look(event.signs, event.redis_s)
        yield from self._presence.look(event.signs, event.redis_s)
        self._is_scanned = True
        yield from self._consider(self.silence.masters())
        self._settle_role(now)
        lease = self.mandate(now)
        if lease is not None:
            self._is_settled = True
            for sign in self.silence.silent():
                yield do.Evict(lease, sign.host, sign.last_connect)

    def evicted(self, event: e.HostEvicted) -> Iterator[do.Action]:
        """A host is gone by our order."""
        yield do.Report(fleet.HOST_EVICTED, fields=(("peer", event.host), ("silent_s", EVICTION_S)))

    def refused(self, event: e.ActRefused, now: float) -> Iterator[do.Action]:
        """What we did as master came too late."""
        fields = (("act", event.act), ("epoch", event.epoch))
        yield do.Report(fleet.LEASE_REFUSED, fields=fields)
        if not self._is_over:
            yield self._ask(now)

    def give_up(self, now: float, *, is_connected: bool) -> Iterator[do.Action]:
        """This host ends: whatever lease it has, or may just be taking, is given up at once."""
        if not self._is_over:
            self._is_over, self._own = True, None
            if is_connected and self._wish is not Role.MINION:
                yield do.GiveUpLease(now)

    # -- the steps

    def _ask(self, now: float) -> do.Action:
        self._ask_s = now + (RENEWAL_INTERVAL_S if self._own else LOOK_INTERVAL_S)
        return do.RenewLease(now, self._own) if self._own else do.LookAtLease(now)

    def _hold(self, lease: Lease, until_s: float, now: float) -> Iterator[do.Action]:
        self._ask_s = now + RENEWAL_INTERVAL_S
        if self._own == lease:
            self._until_s = max(self._until_s, until_s)
            return
        self._own, self._until_s = lease, until_s
        self._may_take_over = False
        self._is_scanned = False
        self._scan_s = now + SCAN_INTERVAL_S
        self.silence.begin_anew()
        self._presence.begin_anew()
        yield do.Report(fleet.LEASE_TAKEN, fields=self._epoch_field())
        yield do.ReadHosts()

    def _lose(self, holder: Optional[Lease]) -> Iterator[do.Action]:
        if holder is None:
            yield do.Report(fleet.LEASE_LOST, fields=self._epoch_field())
        else:
            yield do.Report(fleet.LEASE_TAKEN_OVER, fields=self._epoch_field() + _holder_fields(holder))
        self._closed_epoch = max(self._closed_epoch, self._own.epoch if self._own else 0)
        self._own, self._is_scanned, self.yields_to = None, False, None

    def _compete(self, event: e.LeaseSeen, now: float) -> Iterator[do.Action]:
        holder = event.holder
        if holder is not None and holder.host != self._host and not self._is_abandoned(event, now):
            if event.left_s >= 0:
                self._ask_s = min(self._ask_s, now + event.left_s + _AFTER_EXPIRY_S)
            if self._wish is not Role.MASTER or self._is_settled:
                return
            if not self._may_take_over:
                self.refusal = (
                    f"{holder} is master, epoch {holder.epoch}, and this host is configured with role master; "
                    "stop that one, give one of them another role, or start this one with --takeover"
                )
                return
            yield do.Report(fleet.LEASE_TAKING_OVER, fields=_holder_fields(holder))
        yield do.TakeLease(now, event.value, self._highest_epoch)

    def _is_abandoned(self, event: e.LeaseSeen, now: float) -> bool:
        """Whether a lease that does not end in time was not renewed, which would mend it, for as long as one lasts."""
        value, since_s, left_s = self._endless
        # What has more time left than it would have by now was renewed, and then Redis's clock was set back once more.
        is_renewed = event.left_s > left_s - _SLOWEST * (event.asked_s - since_s) + _JITTER_S
        if 0 <= event.left_s <= LONGEST_TTL_S:
            self._endless = b"", now, 0.0
        elif value != event.value or (event.left_s >= 0 and is_renewed):
            self._endless = event.value, now, event.left_s
        return event.value == self._endless[0] and event.asked_s > self._endless[1] + LEASE_TTL_S

    def _consider(self, old_masters: list[str]) -> Iterator[do.Action]:
        """There are, or are not, old daemons that call themselves master."""
        before, self.yields_to = self.yields_to, old_masters[0] if old_masters else None
        if self._wish is None:
            if self.yields_to and self.yields_to != before:
                yield do.Report(fleet.OLD_MASTER, fields=(("peer", self.yields_to),))
        elif self.yields_to and self.yields_to != before:
            if self._is_settled or self._is_takeover:
                yield do.Report(fleet.TWO_MASTERS, fields=(("peer", self.yields_to),))
            else:
                self.refusal = (
                    f"{self.yields_to}, a daemon of the old kind, is master, and this host is configured with role "
                    "master; stop that one, make it a minion, or start this one with --takeover"
                )

    def _settle_role(self, now: float) -> None:
        if self._wish is Role.MINION:
            return
        if self.lease(now) is not None:
            if self._is_scanned and not self.refusal:
                self.role = Role.MINION if self._wish is None and self.yields_to else Role.MASTER
            elif self.role is Role.MASTER:
                self.role = Role.MINION
            return
        is_others = self.holder is not None and self.holder.host != self._host and not self._may_take_over
        if self.lease(now) is None and (self.role is not None or is_others):
            self.role = Role.MINION

    def _epoch_field(self) -> tuple[tuple[str, object], ...]:
        return (("epoch", self._own.epoch if self._own else None),)


def _holder_fields(holder: Lease) -> tuple[tuple[str, object], ...]:
    return ("peer", holder.host), ("peer_ip", holder.ip), ("peer_pid", holder.pid), ("peer_epoch", holder.epoch)
