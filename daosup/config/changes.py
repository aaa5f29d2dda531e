"""What a configuration that was read anew changes in a running supervisor.

Invariant: what is in force afterwards differs from what was before in live keys alone; each key that differs is named
exactly once, as changed or as waiting for a restart. No value is shown, for some are secret.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any, NamedTuple, TypeVar

from daosup.config import Config
from daosup.config.reading import arrays_of, keys_of

T = TypeVar("T")


class Change(NamedTuple):
    """The outcome: what is in force from now on, and the dotted keys that differ."""

    config: Config
    changed: tuple[str, ...]
    needs_restart: tuple[str, ...]


def adopt(running: Config, read: Config) -> Change:
    """Take from ``read`` what a running supervisor can; the rest stays as in ``running``."""
    config = replace(_merged(running, read), file=read.file, origins=_origins(running, read))
    return Change(
        config, tuple(_differing(running, read, is_live=True)), tuple(_differing(running, read, is_live=False))
    )


def _origins(running: Config, read: Config) -> dict[str, str]:
    """Each from where its value is from."""
    live = {dotted for dotted, key in keys_of(Config).items() if key.is_live}
    live |= {name for name, array in arrays_of(Config).items() if array.is_live}

    def chosen(config: Config, *, is_live: bool) -> dict[str, str]:
        return {key: place for key, place in config.origins.items() if (key.partition("[")[0] in live) is is_live}

    return {**chosen(running, is_live=False), **chosen(read, is_live=True)}


def _is_live(metadata: Any) -> bool:
    return bool(metadata["key"].is_live if "key" in metadata else metadata.get("is_live", False))


def _merged(running: T, read: T) -> T:
    taken = {}
    for f in fields(running):  # type: ignore[arg-type]  # T is always a dataclass here
        if "table" in f.metadata:
            taken[f.name] = _merged(getattr(running, f.name), getattr(read, f.name))
        elif _is_live(f.metadata):
            taken[f.name] = getattr(read, f.name)
    return replace(running, **taken)  # type: ignore[type-var]


def _differing(running: object, read: object, prefix: str = "", *, is_live: bool) -> Iterator[str]:
    for f in fields(running):  # type: ignore[arg-type]
        before, after = getattr(running, f.name), getattr(read, f.name)
        if "table" in f.metadata:
            yield from _differing(before, after, f"{prefix}{f.name}.", is_live=is_live)
        elif ("key" in f.metadata or "tables" in f.metadata) and _is_live(f.metadata) == is_live and before != after:
            yield prefix + f.name
