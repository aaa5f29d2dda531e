"""What operators want to last: mirrors that are kept, segments and mirrors that are stopped, what mirrors are called.

Invariant: a value here is what was asked for and not yet taken back; it says the same after any number of restarts. It
becomes JSON and the same value again, and JSON that is anything else is refused whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import dataclass, field, replace
from typing import Optional, TypeVar

from daosup.core.checked_json import as_object, kind_of
from daosup.core.delivery import PLAIN, Delivery
from daosup.core.layout import check_depth
from daosup.core.mirror_names import check_pattern
from daosup.core.types import Source, Transport, WorkerKey, WorkerKind, check_name
from daosup.errors import ProtocolError, UsageError

FORMAT = 1
MAX_NAMES = 5_000

T = TypeVar("T")

_FIELDS = ("kept_mirrors", "stopped_mirrors", "stopped_segments")


@dataclass(frozen=True)
class Desired:
    """What lasts on one host; its own segments are stopped by name alone, whatever the host is called later.

    ``mirror_names`` are those of mirrors that were asked for under a name, until they are released. ``written_back``
    are those of the kept mirrors that write to their sources; ``transports`` and ``deliveries`` are how the frames of
    mirrors are to come, and in which form, and ``depths`` how many they keep, that were asked for so, until they are
    released. Before there were these,
    or a gate to stop, files did not say.
    """

    kept_mirrors: frozenset[Source] = field(default_factory=frozenset)
    stopped_mirrors: frozenset[Source] = field(default_factory=frozenset)
    stopped_segments: frozenset[str] = field(default_factory=frozenset)
    mirror_names: Mapping[Source, str] = field(default_factory=dict)
    written_back: frozenset[Source] = field(default_factory=frozenset)
    transports: Mapping[Source, Transport] = field(default_factory=dict)
    deliveries: Mapping[Source, Delivery] = field(default_factory=dict)
    depths: Mapping[Source, int] = field(default_factory=dict)
    is_gate_stopped: bool = False

    def as_json(self) -> dict[str, object]:
        """What ``of_json`` reads."""
        names = {name: sorted(str(each) for each in getattr(self, name)) for name in _FIELDS}
        called = {str(source): name for source, name in sorted(self.mirror_names.items())}
        written_back = sorted(map(str, self.written_back))
        transports = {str(source): transport.value for source, transport in sorted(self.transports.items())}
        deliveries = {str(source): delivery.text for source, delivery in sorted(self.deliveries.items())}
        depths = {str(source): depth for source, depth in sorted(self.depths.items())}
        return {
            "format": FORMAT, **names, "mirror_names": called, "written_back": written_back, "transports": transports,
            "deliveries": deliveries, "depths": depths,
            "gate_stopped": self.is_gate_stopped,
        }  # fmt: skip

    @property
    def most_names(self) -> int:
        """How many names there are where there are most."""
        return max(len(each) for each in vars(self).values() if isinstance(each, Sized))

    def is_stopped(self, key: WorkerKey) -> bool:
        """Whether a worker is not to run."""
        if key.kind is WorkerKind.PUBLISHER:
            return key.source.name in self.stopped_segments
        return key.source in self.stopped_mirrors if key.kind is WorkerKind.MIRROR else self.is_gate_stopped

    def stopping(self, key: WorkerKey) -> Desired:
        """The same, with a worker stopped."""
        if key.kind is WorkerKind.PUBLISHER:
            return replace(self, stopped_segments=self.stopped_segments | {key.source.name})
        if key.kind is WorkerKind.MIRROR:
            return replace(self, stopped_mirrors=self.stopped_mirrors | {key.source})
        return replace(self, is_gate_stopped=True)

    def starting(self, key: WorkerKey) -> Desired:
        """The same, with a worker not stopped any more."""
        if key.kind is WorkerKind.PUBLISHER:
            return replace(self, stopped_segments=self.stopped_segments - {key.source.name})
        if key.kind is WorkerKind.MIRROR:
            return replace(self, stopped_mirrors=self.stopped_mirrors - {key.source})
        return replace(self, is_gate_stopped=False)

    def with_name(self, source: Source, name: Optional[str]) -> Desired:
        """The same, with the mirror of ``source`` called ``name``, or as it is without being told."""
        return replace(self, mirror_names=_with(self.mirror_names, source, name))

    def with_transport(self, source: Source, transport: Optional[Transport]) -> Desired:
        """The same, with the frames of ``source`` coming so, or as they do without being told."""
        return replace(self, transports=_with(self.transports, source, transport))

    def with_delivery(self, source: Source, delivery: Delivery) -> Desired:
        """The same, with the frames of ``source`` coming in that form; a plain one is as without being told."""
        return replace(self, deliveries=_with(self.deliveries, source, None if delivery.is_plain else delivery))

    def with_depth(self, source: Source, depth: Optional[int]) -> Desired:
        """The same, with the mirror of ``source`` keeping so many frames, or as many as without being told."""
        return replace(self, depths=_with(self.depths, source, depth))

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
        ).as_configured(source)

    def as_configured(self, source: Source) -> Desired:
        """The same, with the mirror of ``source`` called and made, and its frames coming, as without being told."""
        plain = self.with_name(source, None).with_transport(source, None).with_delivery(source, PLAIN)
        return plain.with_depth(source, None)

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
        transports = as_object(state.get("transports", {}), "transports")
        _names({"transports": list(transports)}, "transports")
        deliveries = as_object(state.get("deliveries", {}), "deliveries")
        _names({"deliveries": list(deliveries.values())}, "deliveries")
        depths = as_object(state.get("depths", {}), "depths")
        _names({"depths": list(depths)}, "depths")
        written_back = _names({"written_back": state.get("written_back", [])}, "written_back")
        if not set(written_back) <= set(kept):
            raise ProtocolError("written_back names a mirror that is not kept")
        is_gate_stopped = state.get("gate_stopped", False)
        if not isinstance(is_gate_stopped, bool):
            raise ProtocolError(f"gate_stopped is {kind_of(is_gate_stopped)}, not true or false")
        try:
            return cls(
                frozenset(Source.parse(each) for each in kept),
                frozenset(Source.parse(each) for each in stopped),
                frozenset(check_name(each) for each in segments),
                {Source.parse(source): check_pattern(str(name)) for source, name in called.items()},
                frozenset(Source.parse(each) for each in written_back),
                {Source.parse(source): Transport(transport) for source, transport in transports.items()},
                {Source.parse(source): _delivery(str(text)) for source, text in deliveries.items()},
                {Source.parse(source): check_depth(depth) for source, depth in depths.items()},
                is_gate_stopped,
            )
        except (UsageError, ValueError) as error:
            raise ProtocolError(str(error)) from None


def _with(told: Mapping[Source, T], source: Source, value: Optional[T]) -> Mapping[Source, T]:
    """The same, with ``value`` of ``source`` and of no other, or with none of it."""
    others = {each: other for each, other in told.items() if each != source}
    return others if value is None else {**others, source: value}


def _delivery(text: str) -> Delivery:
    delivery = Delivery.parse(text.split(" "))
    if delivery.is_plain or delivery.text != text:
        raise ProtocolError(f"{text[:80]!r} is not how a delivery is written down")
    return delivery


def _names(state: Mapping[str, object], name: str) -> list[str]:
    names = state.get(name)
    if not isinstance(names, list) or len(names) > MAX_NAMES or not all(isinstance(each, str) for each in names):
        raise ProtocolError(f"{name} is {kind_of(names)}, not an array of at most {MAX_NAMES} names")
    return names
