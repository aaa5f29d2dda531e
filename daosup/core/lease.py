"""The master's lease: what stands in ``daosup:master``, and for how long it may be trusted.

Invariants: the value is spelled in one way only, so whoever knows host, instance and epoch knows its bytes, and Redis
compares bytes. A holder trusts its lease until the moment at which it *asked*, plus what Redis said was left then,
minus ``GUARD_S``: the answer may have been under way for as long as it likes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

from daosup.core.checked_json import WORD, as_object, encode_json, host_field, integer_field, parse_json, string_field
from daosup.core.registry_values import Instance
from daosup.errors import ProtocolError

LEASE_TTL_S = 10.0
"""After this time without a renewal the lease is anybody's."""

RENEWAL_INTERVAL_S = LEASE_TTL_S / 3

GUARD_S = 1.0
"""Clocks may run a tenth faster or slower than Redis's before two hosts could trust their leases at once."""

LOOK_INTERVAL_S = 2.0
"""How often those look that could be master, and all others for ``status``."""

LONGEST_TTL_S = 60.0
"""What is to last longer, or for ever, was not renewed since Redis's clock was set back, or is not from us."""

EPOCH_TTL_S = 7 * 86400.0
"""The counter may expire: epochs are never below Redis's time in milliseconds."""

MAX_EPOCH = 10**15
MAX_LEASE_BYTES = 1024
_ADDRESS = re.compile(r"[A-Za-z0-9._:-]{0,253}\Z")


@dataclass(frozen=True)
class Lease:
    """One term of one master. ``epoch`` grows with each; ``ip`` and ``pid`` say where it runs."""

    host: str
    instance: str
    ip: str
    pid: int
    epoch: int

    def __str__(self) -> str:
        return f"{self.host} (ip {self.ip or 'unknown'}, pid {self.pid})"


def lease_prefix(host: str, instance: Instance) -> bytes:
    """All of a lease's value up to its epoch, which Redis adds with a closing brace."""
    said = {"host": host, "instance": instance.instance, "ip": instance.ip, "pid": instance.pid}
    return encode_json(said)[:-1] + b', "epoch": '


def encode_lease(lease: Lease) -> bytes:
    """The value of ``daosup:master``."""
    instance = Instance(lease.instance, 0, "", lease.pid, lease.ip)
    return lease_prefix(lease.host, instance) + b"%d}" % lease.epoch


def decode_lease(raw: bytes) -> Lease:
    """Read the value of ``daosup:master``.

    Raises:
        ProtocolError: If it is no lease.
    """
    if len(raw) > MAX_LEASE_BYTES:
        raise ProtocolError(f"a lease of more than {MAX_LEASE_BYTES} bytes")
    entry = as_object(parse_json(raw), "lease")
    return Lease(
        host=host_field(entry, "host"),
        instance=string_field(entry, "instance", WORD),
        ip=string_field(entry, "ip", _ADDRESS, default=""),
        pid=integer_field(entry, "pid", 1, 2**31 - 1),
        epoch=integer_field(entry, "epoch", 1, MAX_EPOCH),
    )


def read_lease(raw: bytes) -> Optional[Lease]:
    """The lease that is written in ``raw``; None if there is none."""
    try:
        return decode_lease(raw)
    except ProtocolError:
        return None
