"""What the scripts of adapters/registry_lease.py do in Redis; tests/integration holds the real ones against this."""

from __future__ import annotations

from typing import Optional

from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.lease import (
    EPOCH_TTL_S,
    LEASE_TTL_S,
    MAX_EPOCH,
    Lease,
    decode_lease,
    encode_lease,
    lease_prefix,
    read_lease,
)
from daosup.core.registry_values import Instance

LEASE_ORDERS = (do.LookAtLease, do.TakeLease, do.RenewLease, do.GiveUpLease)


class LeaseModel:
    """One Redis: its clock, the lease and the counter of epochs."""

    def __init__(self, now_s: float) -> None:
        self.now_s = now_s
        self.value = b""
        self._until_s = 0.0
        self.counter: Optional[int] = None
        self._counter_until_s = 0.0
        self.taken: list[Lease] = []

    def flush(self) -> None:
        self.value, self.counter = b"", None

    def put(self, value: bytes, left_s: float) -> None:
        """Somebody writes something there."""
        self.value, self._until_s = value, self.now_s + left_s

    def current(self) -> bytes:
        if self.now_s >= self._until_s:
            self.value = b""
        return self.value

    def holds(self, lease: Lease) -> bool:
        return self.current() == encode_lease(lease)

    def perform(self, order: do.Action, host: str, instance: Instance) -> e.LeaseSeen:
        prefix = lease_prefix(host, instance)
        if isinstance(order, do.TakeLease):
            if self.current() == order.expected:
                self._take(prefix, order.above)
        elif isinstance(order, do.RenewLease):
            if self.holds(order.lease):
                self._until_s = self.now_s + LEASE_TTL_S
        elif isinstance(order, do.GiveUpLease):
            if self.current().startswith(prefix):
                self.value = b""
        else:
            assert isinstance(order, do.LookAtLease)
        value = self.current()
        left_s = self._until_s - self.now_s if value else -0.002
        return e.LeaseSeen(order.asked_s, value, read_lease(value), left_s)

    def _take(self, prefix: bytes, above: int) -> None:
        if self.now_s >= self._counter_until_s:
            self.counter = None
        epoch = max(above + 1, int(self.now_s * 1000))
        if self.counter is not None and 0 < self.counter < MAX_EPOCH:
            epoch = max(epoch, self.counter + 1)
        self.counter, self._counter_until_s = epoch, self.now_s + EPOCH_TTL_S
        self.put(prefix + b"%d}" % epoch, LEASE_TTL_S)
        self.taken.append(decode_lease(self.value))
