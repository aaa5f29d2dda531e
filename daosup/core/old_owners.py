"""Hosts that run the existing daemon, as owners of what we mirror: which stream to follow, and when to ask for one.

Invariants: a stream of protocol 2 is followed before an old one, and a record of our own before another's. An old host
drops its stream when those left who are written down, so we ask to be written down even if there is a stream already.
What such a host wrote never expires, so a record whose stream does not come for a while is not believed for ever. It
follows what we write back if a record of ours says from which port, so one that does not say that is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from daosup.core.events import SourceSeen
from daosup.core.types import DNET_PROTOCOL, DNET_TRANSPORT, OLD_PROTOCOL, PROTOCOL, StreamRecord

#: An old host looks so often for requests.
REQUEST_INTERVAL_S = 2.0
#: How long the stream of a record of ours may stay away before we ask again; then twice as long, and so on, for an old
#: host adds a record for each request.
DOUBT_S = 10.0
#: What can be followed, the best first.
_FOLLOWED = ((PROTOCOL, "zmq"), (OLD_PROTOCOL, "zmq"), (DNET_PROTOCOL, DNET_TRANSPORT))


def followed(records: Sequence[StreamRecord], host: str) -> Optional[StreamRecord]:
    """The record to follow as ``host``; None if there is none that can be."""
    for protocol, transport in _FOLLOWED:
        known = [each for each in records if (each.protocol, each.transport) == (protocol, transport)]
        mine = [each for each in known if each.client_hostname == host]
        if known:
            # An old host adds to the end; what it wrote before it was killed stays at the top.
            return (mine or known)[-1 if protocol == OLD_PROTOCOL else 0]
    return None


def is_request_due(
    seen: SourceSeen, host: str, linked_s: float, requested_s: float, now: float, write_port: int = 0
) -> bool:
    """Whether ``host`` should write a request now.

    Args:
        seen: What the registry knows of the source.
        host: Who reads.
        linked_s: When there last was a link, or the endpoint became known.
        requested_s: When the last request was written.
        now: All three are seconds of the same clock.
        write_port: From where it writes back, if it does and that is known; else 0.
    """
    if not (seen.is_old and seen.is_host_known and seen.is_segment_known) or now < requested_s + REQUEST_INTERVAL_S:
        return False
    own = [each for each in seen.records if each.client_hostname == host]
    is_written_down = any(not write_port or _is_followed(each, write_port) for each in own)
    return not is_written_down or now >= linked_s + max(DOUBT_S, 2 * (requested_s - linked_s))


def _is_followed(record: StreamRecord, write_port: int) -> bool:
    return record.bidirectional and record.client_pub_port == write_port
