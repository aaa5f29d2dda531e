"""What happened to each worker lately, for ``daosupctl status NAME``: the entries of the log that concern it.

Invariant: a worker has at most MOST_TOLD entries, the last ones, each of a bounded size, and so have at most
MOST_WORKERS workers; entries of one kind that follow each other are one, with a count, so that no flood hides others.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from daosup.core.notices.notice import Notice
from daosup.core.types import WorkerKey
from daosup.log.entries import text

MOST_TOLD = 12
MOST_WORKERS = 4000
_MOST_FIELD_LENGTH = 300
_MOST_BODY_LENGTH = 4000


@dataclass
class _Told:
    """One entry; ``at_s`` on the monotonic clock, ``utc_s`` since 1970. ``count``: how many of its kind in a row."""

    notice: Notice
    at_s: float
    utc_s: float
    cause_id: str
    fields: dict[str, str]
    body: str
    count: int = 1


class Stories:
    """Those of one supervisor's workers."""

    def __init__(self) -> None:
        self._told: OrderedDict[WorkerKey, deque[_Told]] = OrderedDict()

    def note(
        self,
        key: WorkerKey,
        notice: Notice,
        fields: dict[str, object],
        cause_id: str,
        body: str,
        at_s: float,
        utc_s: float,
    ) -> None:
        """This is told of a worker now."""
        told = self._told.get(key)
        if told is None:
            told = self._told[key] = deque(maxlen=MOST_TOLD)
            if len(self._told) > MOST_WORKERS:
                self._told.popitem(last=False)
        self._told.move_to_end(key)
        entry = _Told(
            notice,
            at_s,
            utc_s,
            cause_id,
            {name: text(each)[:_MOST_FIELD_LENGTH] for name, each in fields.items()},
            body[-_MOST_BODY_LENGTH:],
        )
        if told and told[-1].notice is notice:
            entry.count += told.pop().count
        told.append(entry)

    def of(self, key: WorkerKey, now: float) -> list[dict[str, Any]]:
        """A worker's, the oldest first, at ``now`` on the monotonic clock."""
        return [
            {
                "time_utc": datetime.fromtimestamp(each.utc_s, timezone.utc).isoformat(timespec="milliseconds"),
                "ago_s": now - each.at_s,
                "level": each.notice.level,
                "notice": each.notice.name,
                "text": each.notice.text,
                "count": each.count,
                "cause_id": each.cause_id,
                "fields": each.fields,
                "body": each.body or None,
            }
            for each in self._told.get(key, ())
        ]
