"""What a doctor finds: one line each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

_MOST_NAMES = 3


class Level(Enum):
    """How bad it is: SKIPPED could not be looked at; a PROBLEM keeps data from flowing, or will soon."""

    OK = "ok"
    SKIPPED = "skipped"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """What one check found: what is the matter, and what to do about it (empty if nothing)."""

    check: str
    level: Level
    message: str
    advice: str = ""

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {**asdict(self), "level": self.level.value}


def ok(check: str, message: str) -> Finding:
    """All is well."""
    return Finding(check, Level.OK, message)


def skipped(check: str, message: str, advice: str = "") -> Finding:
    """It could not be looked at."""
    return Finding(check, Level.SKIPPED, message, advice)


def warning(check: str, message: str, advice: str) -> Finding:
    """It goes, but not as it should, or not for ever."""
    return Finding(check, Level.WARNING, message, advice)


def problem(check: str, message: str, advice: str) -> Finding:
    """Data do not flow, or soon will not."""
    return Finding(check, Level.PROBLEM, message, advice)


def few(names: Iterable[str]) -> str:
    """The first of some names, and how many more there are."""
    listed = list(names)
    more = len(listed) - _MOST_NAMES
    # Naming the last one takes no more room than counting it.
    return ", ".join(listed) if more <= 1 else f"{', '.join(listed[:_MOST_NAMES])} and {more} more"


def plural(count: int, what: str) -> str:
    """``1 mirror``, ``2 mirrors``."""
    return f"{count} {what}{'' if count == 1 else 's'}"
