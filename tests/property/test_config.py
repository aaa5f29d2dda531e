"""Any mapping is a configuration or one ConfigError, and no key of it is passed over in silence."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterator
from typing import Any, Optional

from hypothesis import example, given
from hypothesis import strategies as st

from daosup.config import Config
from daosup.config.reading import arrays_of, keys_of, shown, tables_of
from daosup.errors import ConfigError

KEYS = keys_of(Config)
TABLES = tables_of(Config)
ARRAYS = arrays_of(Config)
KEYS_OF_ARRAYS = {f"{array}.{key}" for array, about in ARRAYS.items() for key in keys_of(about.cls)}
#: What each table of an array must have.
REQUIRED = {
    "worker": {"match": "wfs"},
    "mirror": {"source": "desk:wfs"},
    "hook": {"on": ["*"], "command": ["/bin/true"]},
}

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(0, 70_000),
    st.floats(),
    st.text(max_size=30),
    st.text("/abc:@.*[]0 ?#", max_size=12),
    st.sampled_from(["master", "auto", "0660", "*", "redis://x", "unix:///x", "/tmp", "info", "10.0.0.1"]),
    st.binary(max_size=5),
    st.just(datetime.datetime(2026, 11, 20, tzinfo=datetime.timezone.utc)),
    st.text(st.characters(codec=None), max_size=5),
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(sorted({part for dotted in KEYS for part in dotted.split(".")} | {*ARRAYS})) | st.text(
    max_size=6
)
inner_tables = st.dictionaries(names, anything, max_size=4)
arrays = st.dictionaries(
    st.sampled_from(sorted(ARRAYS)),
    st.lists(st.dictionaries(st.sampled_from(sorted(k.partition(".")[2] for k in KEYS_OF_ARRAYS)) | names, anything)),
)
mappings = st.builds(
    lambda tables, arrays: {**tables, **arrays},
    st.dictionaries(names, anything | inner_tables, max_size=5),
    st.just({}) | arrays,
)
overrides = st.dictionaries(st.sampled_from(sorted(KEYS)) | st.text(max_size=8), anything, max_size=3)


def keys_in(mapping: dict[str, Any]) -> list[str]:
    """All keys of a mapping as mistakes would name them, but for those in arrays of tables."""
    inner = [f"{t}.{shown(name)}" for t in TABLES for name in (mapping[t] if isinstance(mapping.get(t), dict) else ())]
    others = [name for name in mapping if name not in ARRAYS]
    return inner + [shown(name) for name in others if name not in TABLES or not isinstance(mapping[name], dict)]


def keys_in_arrays(mapping: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The keys in arrays of tables: as mistakes would name each, and without the number of its table."""
    for array in ARRAYS:
        for index, item in enumerate(mapping[array] if isinstance(mapping.get(array), list) else ()):
            for name in item if isinstance(item, dict) else ():
                yield f"{array}[{index}].{shown(name)}", f"{array}.{shown(name)}"


def outcome(mapping: dict[str, Any], **options: Any) -> tuple[Optional[Config], list[str]]:
    try:
        return Config.from_mapping(mapping, "FILE", **options), []
    except ConfigError as error:
        return None, error.mistakes


@given(mappings, overrides)
@example({"redis": {"url": "redis://[::1"}}, {})
@example({5: {6: 7}}, {})
def test_a_mapping_is_a_config_or_a_config_error(mapping: dict[str, Any], overrides: dict[str, Any]) -> None:
    config, mistakes = outcome(mapping, overrides=overrides)
    assert all("\n" not in mistake for mistake in mistakes)
    if config:
        assert set(keys_in(mapping)) <= set(KEYS)
        assert {key for _, key in keys_in_arrays(mapping)} <= KEYS_OF_ARRAYS
    else:
        assert mistakes


@given(mappings)
def test_each_unknown_key_is_named_by_a_mistake(mapping: dict[str, Any]) -> None:
    _, mistakes = outcome(mapping)
    for name in set(keys_in(mapping)) - set(KEYS):
        assert any(f" {name}" in mistake for mistake in mistakes), name
    for name, key in keys_in_arrays(mapping):
        assert key in KEYS_OF_ARRAYS or any(f" {name}" in mistake for mistake in mistakes), name


@given(st.sampled_from(sorted(KEYS_OF_ARRAYS)), anything)
def test_a_value_in_an_array_is_taken_or_its_key_is_named(dotted: str, value: object) -> None:
    array, _, key = dotted.partition(".")
    config, mistakes = outcome({"host": "rts", array: [{**REQUIRED[array], key: value}]})
    if config is None:
        assert len(mistakes) == 1
        assert f"{array}[0].{key}" in mistakes[0]
    else:
        assert getattr(getattr(config, array)[0], key) is not None


@given(st.sampled_from(sorted(KEYS)), anything)
def test_a_value_is_taken_or_its_key_is_named(dotted: str, value: object) -> None:
    table, _, key = dotted.rpartition(".")
    config, mistakes = outcome({table: {key: value}} if table else {key: value})
    if config is None:
        assert len(mistakes) == 1
        assert dotted in mistakes[0]
    else:
        assert functools.reduce(getattr, dotted.split("."), config) is not None


@given(st.text("secrt", min_size=6, max_size=6), st.text(max_size=4), st.text(max_size=4))
def test_what_stands_before_the_at_sign_is_never_told(password: str, before: str, after: str) -> None:
    for url in (
        f"redis://user:{password}@{before}",
        f"{before}:{password}@{after}",
        f"redis://{before}{password}@{after}",
    ):
        config, mistakes = outcome({"redis": {"url": url}})
        told = f"{config!r} {config.redis.display_url}" if config else "\n".join(mistakes)
        assert password not in told
