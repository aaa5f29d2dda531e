"""What operators want to last: mirrors that are kept, segments and mirrors that are stopped.

Invariant: a value here is what was asked for and not yet taken back; it says the same after any number of restarts. It
becomes JSON and the same value again, and JSON that is anything else is refused whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from daosup.core.checked_json import as_object, kind_of
from daosup.core.types import Source, check_name
from daosup.errors import ProtocolError, UsageError

FORMAT = 1
MAX_NAMES = 5_000

_FIELDS = ("kept_mirrors", "stopped_mirrors", "stopped_segments")


@dataclass(frozen=True)
class Desired:
    """What lasts on one host; its own segments are stopped by name alone, whatever the host is called later."""

    kept_mirrors: frozenset[Source] = field(default_factory=frozenset)
    stopped_mirrors: frozenset[Source] = field(default_factory=frozenset)
    stopped_segments: frozenset[str] = field(default_factory=frozenset)

    def as_json(self) -> dict[str, object]:
        """What ``of_json`` reads."""
        names = {name: sorted(str(each) for each in getattr(self, name)) for name in _FIELDS}
        return {"format": FORMAT, **names}

    @classmethod
    def of_json(cls, value: object) -> Desired:
        """Read what ``as_json`` made.

        Raises:
            ProtocolError: If it is anything else.
        """
        state = as_object(value, "state")
        if state.get("format") != FORMAT:
            raise ProtocolError(f"it is of format {str(state.get('format'))[:20]}, not {FORMAT}")
        kept, stopped, segments = (_names(state, name) for name in _FIELDS)
        try:
            return cls(
                frozenset(Source.parse(each) for each in kept),
                frozenset(Source.parse(each) for each in stopped),
                frozenset(check_name(each) for each in segments),
            )
        except UsageError as error:
            raise ProtocolError(str(error)) from None


def _names(state: Mapping[str, object], name: str) -> list[str]:
    names = state.get(name)
    if not isinstance(names, list) or len(names) > MAX_NAMES or not all(isinstance(each, str) for each in names):
        raise ProtocolError(f"{name} is {kind_of(names)}, not an array of at most {MAX_NAMES} names")
    return names
