"""A configuration as it is told to whoever asks: each value as it would stand in the file, and where it was set.

Invariant: no password is told; and what is told, written into a file, is read as the same configuration.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional

from daosup.config import Config
from daosup.config.changes import Change
from daosup.config.kinds import Key, without_password
from daosup.config.reading import arrays_of, keys_of

Object = dict[str, Any]


def told_keys(config: Config) -> Iterator[Object]:
    """Every key of it, in the order of the file.

    Each has its dotted name as ``key`` (``log.level``, ``mirror[0].source``; in arrays of tables only what is set), its
    ``value`` as TOML has it, None if there is none, its ``origin`` (``FILE:LINE``, ``command line``, None of a default)
    and whether it ``is_live``: a reload changes it, else a restart.
    """
    for dotted, key in keys_of(Config).items():
        yield _told(config, dotted, key, _value(config, dotted), is_live=key.is_live)
    for name, array in arrays_of(Config).items():
        for index, table in enumerate(getattr(config, name)):
            for inner, key in keys_of(array.cls).items():
                dotted = f"{name}[{index}].{inner}"
                if dotted in config.origins:
                    yield _told(config, dotted, key, getattr(table, inner), is_live=array.is_live)


def told_change(running: Config, read: Config, change: Change) -> dict[str, list[Object]]:
    """What taking ``read`` changes of what is ``running``: the keys that change at once, and those that need a restart.

    Each has its dotted name as ``key``, its value ``before`` and ``after`` as TOML has it (of an array of tables a list
    of these), and the ``origin`` of the new one.
    """
    return {
        "changed": [_told_change(running, read, dotted) for dotted in change.changed],
        "needs_restart": [_told_change(running, read, dotted) for dotted in change.needs_restart],
    }


def _told_change(running: Config, read: Config, dotted: str) -> Object:
    before, after = (_as_toml_has_it(each, dotted) for each in (running, read))
    return {"key": dotted, "before": before, "after": after, "origin": read.origins.get(dotted)}


def _as_toml_has_it(config: Config, dotted: str) -> object:
    key = keys_of(Config).get(dotted)
    return _tables(config, dotted) if key is None else _written(key, _value(config, dotted))


def _tables(config: Config, name: str) -> list[Object]:
    """Each table of an array, with the keys that are set in it."""
    keys = keys_of(arrays_of(Config)[name].cls)
    return [
        {
            inner: _written(key, getattr(table, inner))
            for inner, key in keys.items()
            if f"{name}[{index}].{inner}" in config.origins
        }
        for index, table in enumerate(getattr(config, name))
    ]


def _told(config: Config, dotted: str, key: Key, value: object, *, is_live: bool) -> Object:
    return {"key": dotted, "value": _written(key, value), "origin": config.origins.get(dotted), "is_live": is_live}


def _written(key: Key, value: object) -> object:
    if value is None:
        return None
    written = key.kind.write(value)
    return without_password(str(written)) if key.kind.is_secret else written


def _value(config: Config, dotted: str) -> Optional[object]:
    value: object = config
    for part in dotted.split("."):
        value = getattr(value, part)
    return value
