"""Any mapping is a configuration or one ConfigError, and no key of it is passed over in silence."""

from __future__ import annotations

import datetime
import functools
from typing import Any, Optional

from hypothesis import example, given
from hypothesis import strategies as st

from daosup.config import Config
from daosup.config.reading import keys_of, shown, tables_of
from daosup.errors import ConfigError

KEYS = keys_of(Config)
TABLES = tables_of(Config)

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
names = st.sampled_from(sorted({part for dotted in KEYS for part in dotted.split(".")})) | st.text(max_size=6)
mappings = st.dictionaries(names, anything | st.dictionaries(names, anything, max_size=4), max_size=5)
overrides = st.dictionaries(st.sampled_from(sorted(KEYS)) | st.text(max_size=8), anything, max_size=3)


def keys_in(mapping: dict[str, Any]) -> list[str]:
    inner = [f"{t}.{shown(name)}" for t in TABLES for name in (mapping[t] if isinstance(mapping.get(t), dict) else ())]
    return inner + [shown(name) for name in mapping if name not in TABLES or not isinstance(mapping[name], dict)]


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
    else:
        assert mistakes


@given(mappings)
def test_each_unknown_key_is_named_by_a_mistake(mapping: dict[str, Any]) -> None:
    _, mistakes = outcome(mapping)
    for name in set(keys_in(mapping)) - set(KEYS):
        assert any(f" {name}" in mistake for mistake in mistakes), name


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
