"""A search for the rate that can just be kept, on a machine that now and then does something else: pure.

A staircase as psychophysics uses it (H. Levitt, J. Acoust. Soc. Am. 49, 467 (1971)): up after each trial that is kept,
down after two in succession that are not, for one alone may be a pause of the machine; by smaller steps the more often
it turned. It ends up around the rate of which three trials in ten are kept, and does not forget how to climb: what one
bad moment took away, the next trials give back.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.figures import median

_FIRST_STEP, _LEAST_STEP = 1.5, 1.08
#: So often it turned when it has found the place.
_TURNS_TO_FIND = 3
#: It goes no lower; who does not keep that has no rate to speak of.
_LEAST_HZ = 5.0


@dataclass
class Staircase:
    """One contender's search, in Hz: ``rate_hz`` is to be tried next."""

    rate_hz: float
    tried_hz: list[float] = field(default_factory=list)
    is_writers_limit: bool = False
    _step: float = _FIRST_STEP
    _turns: int = 0
    _was_kept: bool = False
    _has_failed_once: bool = False

    @property
    def has_found(self) -> bool:
        """Whether it goes up and down about the place now, or can go no further."""
        return self._turns >= _TURNS_TO_FIND or self.is_writers_limit or self.rate_hz <= _LEAST_HZ

    def kept(self) -> None:
        """The rate was kept up."""
        self.is_writers_limit = False
        self._go(is_up=True)

    def failed(self) -> None:
        """It was not: it is tried once more, then given up."""
        if self._has_failed_once:
            self._go(is_up=False)
        else:
            self._has_failed_once = True

    def all_written_kept(self, written_hz: float) -> None:
        """The writer wrote no more than that, all it could, and it was kept up: there is nothing to search above."""
        self.tried_hz.append(written_hz)
        self.rate_hz, self.is_writers_limit, self._has_failed_once = written_hz, True, False

    def take(self) -> float:
        """The median of the rates since it was asked last."""
        taken, self.tried_hz = median(self.tried_hz), []
        return taken

    def _go(self, *, is_up: bool) -> None:
        if self.tried_hz and is_up != self._was_kept:
            self._turns += 1
            self._step = max(_LEAST_STEP, self._step**0.5)
        self.tried_hz.append(self.rate_hz if is_up or self.rate_hz > _LEAST_HZ else 0.0)
        self._was_kept, self._has_failed_once = is_up, False
        self.rate_hz = self.rate_hz * self._step if is_up else max(_LEAST_HZ, self.rate_hz / self._step)
