"""A configuration that is told: written into a file it is the same one, and no password is in it."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daosup.config import Config
from daosup.config.changes import adopt
from daosup.config.reading import arrays_of, keys_of, line_numbers
from daosup.config.telling import told_change, told_keys
from daosup.ctl.configuration import _config_lines
from daosup.ctl.tables import Style
from daosup.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: Some values of each key, as TOML has them.
SAMPLES: dict[str, list[Any]] = {
    "host": ["rts", "a.b-c"],
    "runtime_folder": ["/run/x", '/run/with "quotes" and \\'],
    "state_folder": ["/var/x"],
    "role": ["master", "minion"],
    "heartbeat_interval_s": [2, 0.5],
    "segment_folder": ["/dev/shm"],
    "redis.url": ["redis://rts:7000/2", "rediss://obs:geheim@rts", "unix://obs:geheim@/run/redis.sock?db=3"],
    "redis.host": ["10.0.0.1", "fd00::1"],
    "redis.port": [6380],
    "redis.db": [3],
    "redis.sentinels": [["rts:26379", "[fd00::1]:26379"]],
    "redis.sentinel_service": ["mymaster"],
    "redis.sentinel_password_file": ["/etc/s"],
    "redis.user": ["obs"],
    "redis.password_file": ["/etc/p"],
    "redis.ca_file": ["/etc/ca"],
    "redis.cert_file": ["/etc/cert"],
    "redis.key_file": ["/etc/key"],
    "redis.verify": ["ca", "none"],
    "redis.embedded": ["never", "always"],
    "redis.timeout_s": [1, 0.25],
    "dnet.enable": [True, False],
    "dnet.domain": ["dao", "lab.2"],
    "dnet.node": ["rts"],
    "dnet.group": ["239.1.2.3"],
    "dnet.data_port": [7720],
    "dnet.ttl": [0, 4],
    "dnet.beacon_port": [7712],
    "dnet.interface": ["10.0.0.3"],
    "network.port_count": [10],
    "network.bind": ["*", "10.0.0.2"],
    "network.advertise": ["rts.obs.example"],
    "network.base_pub_port": [0, 7000],
    "control.socket": ["/run/c.sock"],
    "control.mode": ["0600", "660"],
    "control.group": ["dao"],
    "control.secret_file": ["/etc/daosup/secret"],
    "publish.include": [["wfs*", "dm[12]"], []],
    "publish.exclude": [["x*"]],
    "publish.semaphore": [0],
    "publish.direct": [False],
    "publish.read_only": [["wfs*"]],
    "publish.single_writer": [["dm*"]],
    "mirrors.mode": ["0644"],
    "mirrors.layout": ["fifo"],
    "mirrors.depth": [1, 4],
    "mirrors.transport": ["zmq", "direct"],
    "mirrors.name": ["{name}", "at_{host}_{name}"],
    "workers.survive_supervisor": [False],
    "workers.orphan_grace_s": [5],
    "workers.memory_limit_mb": [300],
    "workers.cpu_affinity": [[0, 3]],
    "workers.nice": [-5],
    "workers.fifo_priority": [50],
    "workers.lock_memory": [True],
    "workers.spin_ms": [10],
    "workers.busy_poll_us": [50],
    "workers.quick_ack": [True],
    "workers.huge_pages": [True],
    "metrics.listen": ["127.0.0.1:9777", "*:9777", "[fd00::1]:9777"],
    "log.level": ["debug"],
}
ARRAYS: dict[str, list[dict[str, Any]]] = {
    "mirror": [
        {"source": "obs:wfs"},
        {
            "source": "obs:dm",
            "mode": "0600",
            "layout": "fifo",
            "depth": 2,
            "name": "dm_of_{host}",
            "write_back": True,
            "transport": "zmq",
        },
        {"source": "obs:cam", "frames": "every", "roi": "0:64,3:9", "stride": "2,1", "compress": "lz4"},
        {"source": "obs:eye", "frames": "newest", "rate": 10, "compress": "none"},
        {"source": "obs:psf", "rate": 0.25},
    ],
    "worker": [
        {"match": "dm*"},
        {
            "match": "lab:*",
            "memory_limit_mb": 32,
            "cpu_affinity": [1],
            "nice": 19,
            "fifo_priority": 0,
            "lock_memory": False,
            "spin_ms": 0,
            "busy_poll_us": 0,
            "quick_ack": False,
            "huge_pages": True,
        },
    ],
}
ARRAYS["hook"] = [
    {"on": ["worker-*"], "command": ["/usr/bin/logger", 'a "b" \\ c\nd\x7f\u202e']},
    {"on": ["*"], "command": ["/bin/true"], "of": "fleet", "level": "error", "match": "rts:*", "timeout_s": 2},
]
PASSWORD = "geheim"
some_keys = st.sets(st.sampled_from(sorted(SAMPLES)), max_size=12).flatmap(
    lambda keys: st.fixed_dictionaries({key: st.sampled_from(SAMPLES[key]) for key in sorted(keys)})
)
some_tables = st.fixed_dictionaries(
    {name: st.lists(st.sampled_from(tables), max_size=2, unique_by=str) for name, tables in ARRAYS.items()}
)


def read(values: dict[str, Any], tables: dict[str, Any]) -> Config | None:
    """None if they do not fit together, which is no concern here."""
    try:
        return Config.from_mapping(
            {}, instance="rts", overrides={**values, **{name: each for name, each in tables.items() if each}}
        )
    except ConfigError:
        return None


def text_of(config: Config) -> str:
    told = {"daemon": None, "file": "f", "keys": list(told_keys(config)), "needs_restart": []}
    return "\n".join(_config_lines(told, Style(has_colours=False), None))


def test_there_are_samples_of_every_key() -> None:
    assert set(SAMPLES) == set(keys_of(Config))
    for name, array in arrays_of(Config).items():
        assert set().union(*ARRAYS[name]) == set(keys_of(array.cls))


@pytest.mark.parametrize("dotted", sorted(SAMPLES))
def test_what_a_kind_writes_it_reads_as_the_same(dotted: str) -> None:
    kind = keys_of(Config)[dotted].kind
    for sample in SAMPLES[dotted]:
        value = kind.read(sample)
        assert kind.read(kind.write(value)) == value


@given(some_keys, some_tables)
def test_what_is_told_is_read_as_the_same_configuration(values: dict[str, Any], tables: dict[str, Any]) -> None:
    config = read(values, tables)
    if config is not None and PASSWORD not in str(values):
        text = text_of(config)
        again = Config.from_mapping(tomllib.loads(text), instance="rts", lines=line_numbers(text))
        assert again == config
        assert again.origins.keys() == config.origins.keys()


@given(some_keys, some_tables)
def test_no_password_is_told(values: dict[str, Any], tables: dict[str, Any]) -> None:
    config, plain = read(values, tables), read({}, {})
    if config is not None and plain is not None:
        assert PASSWORD not in text_of(config)
        for running, later in ((plain, config), (config, plain)):
            assert PASSWORD not in str(told_change(running, later, adopt(running, later)))


@given(some_keys, some_tables, some_keys, some_tables)
def test_each_value_in_force_has_the_origin_that_it_came_from(
    values: dict[str, Any], tables: dict[str, Any], later_values: dict[str, Any], later_tables: dict[str, Any]
) -> None:
    before, after = read(values, tables), read(later_values, later_tables)
    if before is None or after is None:
        return
    change = adopt(before, after)
    for each in told_keys(change.config):
        source = after if each["is_live"] else before
        assert each in list(told_keys(source))
    told = told_change(before, after, change)
    assert [each["key"] for each in told["changed"]] == list(change.changed)
    for each in (*told["changed"], *told["needs_restart"]):
        assert each["before"] != each["after"] or PASSWORD in f"{values}{later_values}"
