"""Which workers are shown, in which order.

Invariant: the order is the same for the same facts; what is not known comes last, whichever way round.
"""

from __future__ import annotations

import fnmatch

from daosup.ctl.worker_table import COLUMNS, peers_of

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Worker = dict[str, Any]
    Key = tuple[str, str]

#: The worst first.
_STATES = (
    "failed",
    "restarting",
    "waiting",
    "connecting",
    "starting",
    "queued",
    "stopping",
    "stopped",
    "idle",
    "running",
)


def key_of(worker: Worker) -> Key:
    """What tells a worker from all others of its host."""
    return str(worker.get("kind")), str(worker.get("source"))


def name_of(worker: Worker) -> str:
    """What commands call it: NAME of a publisher, HOST:NAME of a mirror."""
    source = str(worker.get("source"))
    return source if worker.get("kind") == "mirror" else source.partition(":")[2]


def _state(worker: Worker) -> Any:
    state = str(worker.get("state"))
    is_cut = worker.get("link", "up") != "up" and state == "running"
    return -1.0 if state not in _STATES else _STATES.index(state) - 0.5 * is_cut


def _latency(worker: Worker, which: str) -> Any:
    return (worker.get("latency") or {}).get(which)


#: What each column is sorted by.
_VALUES: dict[str, Callable[[Worker], Any]] = {
    "WORKER": lambda worker: worker.get("kind"),
    "SOURCE": lambda worker: worker.get("source"),
    "STATE": _state,
    "PEER": peers_of,
    "TRANSPORT": lambda worker: worker.get("transport"),
    "RATE": lambda worker: worker.get("rate_hz"),
    "DATA": lambda worker: worker.get("bytes_per_s"),
    "AGE": lambda worker: worker.get("age_s"),
    "P50": lambda worker: _latency(worker, "p50_s"),
    "P99": lambda worker: _latency(worker, "p99_s"),
    "SKIP": lambda worker: worker.get("skipped"),
    "GAPS": lambda worker: worker.get("gaps"),
    "RESTARTS": lambda worker: worker.get("restarts"),
    "CPU": lambda worker: worker.get("cpu"),
    "MEMORY": lambda worker: worker.get("memory_bytes"),
    "PID": lambda worker: worker.get("pid"),
}
#: Columns by which one can sort, from left to right.
SORTABLE = tuple(column.heading for column in COLUMNS)
#: Where the largest is what one looks for.
_LARGEST_FIRST = frozenset(SORTABLE[SORTABLE.index("RATE") : -1])


def ordered(workers: list[Worker], heading: str, *, is_reversed: bool = False) -> list[Worker]:
    """``workers`` by a column: numbers from the largest, words from A, states from the worst; or the other way."""
    value = _VALUES[heading]
    known = [each for each in workers if value(each) is not None]
    unknown = [each for each in workers if value(each) is None]
    known.sort(key=key_of)
    known.sort(key=value, reverse=(heading in _LARGEST_FIRST) != is_reversed)
    return known + sorted(unknown, key=key_of)


def matching(workers: list[Worker], text: str) -> list[Worker]:
    """Those of which kind, source, state or peers contain ``text``, or match it as a glob of the source."""
    if not text:
        return workers
    wanted = text.lower()
    if "*" in wanted or "?" in wanted:
        return [each for each in workers if fnmatch.fnmatchcase(str(each.get("source")).lower(), wanted)]
    return [each for each in workers if wanted in _words(each)]


def _words(worker: Worker) -> str:
    words = (worker.get("kind"), worker.get("source"), worker.get("segment"), worker.get("state"), peers_of(worker))
    return " ".join(map(str, words)).lower()
