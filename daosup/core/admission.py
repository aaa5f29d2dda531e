"""Whether a signed question of another host may change things here.

Invariants, whatever is sent, late, repeated or altered, and whatever Redis's clock does: a question is admitted at most
once, and only if it is signed, meant for this very supervisor, and of the last `WINDOW_MS`. For none is forgotten that
could still be admitted, also if the clock is set back. A supervisor that is started anew remembers none, but is another
instance. At most `MOST_REMEMBERED` are remembered; what comes beyond is refused, not forgotten.
"""

from __future__ import annotations

from collections import deque
from typing import Optional

from daosup.core.questions import Question

#: By Redis's clock, before and after now.
WINDOW_MS = 30_000
MOST_REMEMBERED = 4096


class Admission:
    """The questions that one supervisor has admitted.

    Args:
        instance: Names that supervisor.
    """

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._admitted: dict[str, int] = {}
        # In the order in which they came, so the oldest by Redis's clock need not be first.
        self._order: deque[str] = deque()
        self._latest_ms = 0

    def refusal(self, question: Question, now_ms: int, *, is_signed: bool) -> Optional[str]:
        """Why a question is not admitted at ``now_ms``, Redis's time; None if it is, and then never again."""
        if not is_signed:
            return "it is not signed with the secret that this host has"
        if question.instance != self._instance:
            return "it was meant for a daosupd that is gone; ask again"
        # A clock that was set back must not make what was forgotten new again.
        self._latest_ms = max(self._latest_ms, now_ms)
        self._forget(self._latest_ms - WINDOW_MS)
        if not self._latest_ms - WINDOW_MS <= question.time_ms <= now_ms + WINDOW_MS:
            away_s = (question.time_ms - now_ms) / 1000
            return (
                f"its time is {abs(away_s):.0f} s {'after' if away_s > 0 else 'before'} Redis's, more than the "
                f"{WINDOW_MS // 1000} s that are allowed; it came late, was repeated, or Redis's clock was set"
            )
        if question.ident in self._admitted:
            return "it came before: somebody repeats it"
        if len(self._admitted) >= MOST_REMEMBERED:
            return f"there were {MOST_REMEMBERED} within a minute; ask again later"
        self._admitted[question.ident] = question.time_ms
        self._order.append(question.ident)
        return None

    def _forget(self, before_ms: int) -> None:
        while self._order and self._admitted[self._order[0]] < before_ms:
            del self._admitted[self._order.popleft()]
