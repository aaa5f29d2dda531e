"""What operators want to last: mirrors that are kept, segments and mirrors that are stopped, what mirrors are called.

Invariant: a value here is what was asked for and not yet taken back; it says the same after any number of restarts. It
becomes JSON and the same value again, and JSON that is anything else is refused whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Optional

from daosup.core.checked_json import as_object, kind_of
from daosup.core.mirror_names import check_pattern
from daosup.core.types import Source, check_name
from daosup.errors import ProtocolError, UsageError

FORMAT = 1
MAX_NAMES = 5_000

_FIELDS = ("kept_mirrors", "stopped_mirrors", "stopped_segments")


@dataclass(frozen=True)
class Desired:
    """What lasts on one host; its own segments are stopped by name alone, whatever the host is called later.

    ``mirror_names`` are those of mirrors that were asked for under a name, until they are released. ``written_back``
    are those of the kept mirrors that write to their sources; before there was writing back, files did not say.
    """

    kept_mirrors: frozenset[Source] = field(default_factory=frozenset)
    stopped_mirrors: frozenset[Source] = field(default_factory=frozenset)
    stopped_segments: frozenset[str] = field(default_factory=frozenset)
    mirror_names: Mapping[Source, str] = field(default_factory=dict)
    written_back: frozenset[Source] = field(default_factory=frozenset)

    def as_json(self) -> dict[str, object]:
        """What ``of_json`` reads."""
        names = {name: sorted(str(each) for each in getattr(self, name)) for name in _FIELDS}
        called = {str(source): name for source, name in sorted(self.mirror_names.items())}
        written_back = sorted(map(str, self.written_back))
        return {"format": FORMAT, **names, "mirror_names": called, "written_back": written_back}

    def with_name(self, source: Source, name: Optional[str]) -> Desired:
        """The same, with the mirror of ``source`` called ``name``, or as it is without being told."""
        names = {each: called for each, called in self.mirror_names.items() if each != source}
        return replace(self, mirror_names=names if name is None else {**names, source: name})

    def keeping(self, source: Source, *, is_written_back: bool) -> Desired:
        """The same, with the mirror of ``source`` kept."""
        others = self.written_back - {source}
        return replace(
            self,
            kept_mirrors=self.kept_mirrors | {source},
            written_back=others | {source} if is_written_back else others,
        )

    def without(self, source: Source) -> Desired:
        """The same, with nothing said of the mirror of ``source``."""
        return replace(
            self,
            kept_mirrors=self.kept_mirrors - {source},
            stopped_mirrors=self.stopped_mirrors - {source},
            written_back=self.written_back - {source},
        ).with_name(source, None)

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
        called = as_object(state.get("mirror_names", {}), "mirror_names")
        _names({"mirror_names": list(called.values())}, "mirror_names")
        written_back = _names({"written_back": state.get("written_back", [])}, "written_back")
        if not set(written_back) <= set(kept):
            raise ProtocolError("written_back names a mirror that is not kept")
        try:
            return cls(
                frozenset(Source.parse(each) for each in kept),
                frozenset(Source.parse(each) for each in stopped),
                frozenset(check_name(each) for each in segments),
                {Source.parse(source): check_pattern(str(name)) for source, name in called.items()},
                frozenset(Source.parse(each) for each in written_back),
            )
        except UsageError as error:
            raise ProtocolError(str(error)) from None


def _names(state: Mapping[str, object], name: str) -> list[str]:
    names = state.get(name)
    if not isinstance(names, list) or len(names) > MAX_NAMES or not all(isinstance(each, str) for each in names):
        raise ProtocolError(f"{name} is {kind_of(names)}, not an array of at most {MAX_NAMES} names")
    return names
