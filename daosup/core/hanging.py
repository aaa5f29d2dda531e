"""Which workers hang, judged from how old the last beat of their loops is.

Invariants: a loop that stands still is found out within ``LATE_S`` and one look, one that runs in circles within two,
when the machine has time for its workers; when it has not (many are late at once, or the supervisor itself was), nobody
is ended before ``STARVED_S``, and at no time who could run but gets no turn. A process that somebody stopped is
never excused by that, and one that is being traced does not hang. The time that the supervisor itself was away
(stopped, or suspended with its machine) is held against nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Optional

from daosup.core.types import WorkerKey

#: Loops beat with each frame, and every 550 ms at least.
LATE_S = 1.2
STARVED_S = 10.0
#: For a loop that has not begun: until its process has a page, has opened its segment, has bound its port.
BEGIN_S = 10.0
BEGIN_STARVED_S = 60.0
#: More than so many loops that are late at once are the machine's fault, not theirs.
FEW = 2
FEW_SHARE = 0.1
#: The supervisor's own lateness that tells of a starved machine, and for how long it does.
OWN_LATE_S = 0.5
OWN_MEMORY_S = 2.0
#: Nobody is that late who is only short of time.
OWN_AWAY_S = 5.0

#: Who can run gets a turn if he gets this share of a CPU: a loop that got it would have beaten, unless it hangs.
TURN_SHARE = 0.1

RUNNABLE = "R"
STOPPED = "T"
TRACED = "t"


class Late(NamedTuple):
    """A worker without a beat for ``age_s``, which is more than LATE_S.

    ``has_begun``: whether its loop ever went round; ``state``: its process's, as in /proc/PID/stat, "" if unknown;
    ``cpu_share``: how much of a CPU its process has had of late, after its last beat; None if not known yet.
    """

    key: WorkerKey
    pid: int
    age_s: float
    has_begun: bool
    state: str
    cpu_share: Optional[float] = None


class HangWatch:
    """Judges, at each turn of the supervisor's loop, who hangs.

    Args:
        interval_s: How long after one turn the next one should come, in seconds.
    """

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._turned_s: float = float("inf")
        self._starved_until_s = self._back_s = float("-inf")

    def turn(self, now: float) -> None:
        """The supervisor's loop begins a turn."""
        late_s = now - self._turned_s - self._interval_s
        if late_s > OWN_LATE_S:
            self._starved_until_s = now + OWN_MEMORY_S
        if late_s > OWN_AWAY_S:
            self._back_s = now
        self._turned_s = now

    def hanging(self, late: Sequence[Late], worker_count: int, now: float) -> Iterator[Late]:
        """Those of ``late`` that hang, of ``worker_count`` workers in all."""
        unexplained = sum(each.state not in (STOPPED, TRACED) for each in late)
        is_starved = now < self._starved_until_s or unexplained > max(FEW, FEW_SHARE * worker_count)
        for each in late:
            if each.state == TRACED:
                continue
            if each.state == STOPPED:
                limit_s = LATE_S
            else:
                is_excused = is_starved or _waits_for_turn(each)
                if each.has_begun:
                    limit_s = STARVED_S if is_excused else LATE_S
                else:
                    limit_s = BEGIN_STARVED_S if is_excused else BEGIN_S
            if min(each.age_s, now - self._back_s) > limit_s:
                yield each


def _waits_for_turn(late: Late) -> bool:
    """Whether it could run and does not, as far as is known."""
    return late.state == RUNNABLE and (late.cpu_share is None or late.cpu_share <= TURN_SHARE)
