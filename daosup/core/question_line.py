"""Which question of other hosts is worked on next.

Invariants: at most ``MAX_AT_ONCE`` questions are worked on, of which at most ``MAX_LOOKS_AT_ONCE`` are not signed: who
asks much leaves room for orders. What finds no room waits, signed ones before others, each kind in the order it came.
The line is bounded in number and bytes; where it is full, the oldest that is not signed gives way, whose asker is the
first to give up. A question that is not signed is not taken again while it is here; whether a signed one may come
again is for :mod:`daosup.core.admission` to say, aloud.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Optional

from daosup.core.questions import Question, Sealed

MAX_AT_ONCE = 32
MAX_LOOKS_AT_ONCE = 24
MAX_WAITING = 512
MAX_WAITING_BYTES = 8 << 20


@dataclass(frozen=True)
class Asked:
    """A question that has come, and the secret that it is signed with, if any."""

    question: Question
    sealed: Sealed
    signed_by: Optional[bytes] = None


class QuestionLine:
    """The questions that are worked on and those that wait."""

    def __init__(self) -> None:
        self._orders: deque[Asked] = deque()
        self._looks: deque[Asked] = deque()
        self._look_idents: set[str] = set()  # of those that wait and those that are worked on
        self._looks_at_once = 0
        self._orders_at_once = 0
        self._bytes = 0

    def take(self, asked: Asked) -> int:
        """A question came; returns how many will not be answered for it: itself, or those that give way to it."""
        if asked.signed_by is not None:
            self._orders.append(asked)
        elif asked.question.ident in self._look_idents:
            return 1
        else:
            self._looks.append(asked)
            self._look_idents.add(asked.question.ident)
        self._bytes += len(asked.sealed.body)
        return self._shorten()

    def next(self) -> Optional[Asked]:
        """The question to begin with now, which counts as worked on from here; None if there is none, or no room."""
        if self._looks_at_once + self._orders_at_once >= MAX_AT_ONCE:
            return None
        if self._orders:
            asked = self._orders.popleft()
            self._orders_at_once += 1
        elif self._looks and self._looks_at_once < MAX_LOOKS_AT_ONCE:
            asked = self._looks.popleft()
            self._looks_at_once += 1
        else:
            return None
        self._bytes -= len(asked.sealed.body)
        return asked

    def done(self, asked: Asked) -> None:
        """A question that was worked on was answered, or given up."""
        if asked.signed_by is not None:
            self._orders_at_once -= 1
        else:
            self._looks_at_once -= 1
            self._look_idents.discard(asked.question.ident)

    def _shorten(self) -> int:
        dropped = 0
        while len(self._orders) + len(self._looks) > MAX_WAITING or self._bytes > MAX_WAITING_BYTES:
            asked = (self._looks or self._orders).popleft()
            self._bytes -= len(asked.sealed.body)
            if asked.signed_by is None:
                self._look_idents.discard(asked.question.ident)
            dropped += 1
        return dropped
