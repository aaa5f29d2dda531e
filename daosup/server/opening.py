"""``daosup.open``: a segment of any host, by name."""

from __future__ import annotations

import threading
from typing import Optional

from daosup.core.delivery import check_enough
from daosup.core.types import Source
from daosup.server.daemon import Daemon
from daosup.shm import Segment

#: A mirror that is asked for must be there within this time, as DAO documents it.
MIRROR_TIMEOUT_S = 30.0

_daemon: Optional[Daemon] = None
_lock = threading.Lock()


def open_source(
    source: str, *, timeout_s: float = MIRROR_TIMEOUT_S, write_back: bool = False, rate: float = 0.0
) -> Segment:
    """Open a segment of any host: a mirror of it, which lasts at least as long as this program.

    Args:
        source: ``HOST:NAME``; for a segment of this host, the segment itself.
        timeout_s: How long to wait for the mirror to come up.
        write_back: Whether what programs of this host write into the mirror is to go to its source.
        rate: So many frames a second are enough, from 0.001 to 1,000,000, which spares the network; 0: all are wanted.
            There may be more, as others on this host share the mirror, and the operator says what comes of it.

    Raises:
        UsageError: If ``source`` is not HOST:NAME, or ``rate`` no such number.
        NotFoundError: If the registry knows no such host or segment.
        NoAnswerError: If the owner does not stream it in time.
        DeniedError: If it is to be written back, and its owner does not allow that.
        SegmentError: If it is to be written back, and this user may not write into the mirror's file.
        UnavailableError: If no daosupd runs on this machine, or Redis is away.
    """
    global _daemon
    asked, enough_hz = str(Source.parse(source)), check_enough("rate", float(rate))
    with _lock:
        if _daemon is None:
            _daemon = Daemon(options=None)
    path = _daemon.mirror(asked, timeout_s, is_bidirectional=write_back, enough_hz=enough_hz)["path"]
    return Segment.open(path, writable=True if write_back else None)
