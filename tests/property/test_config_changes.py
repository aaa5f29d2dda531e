"""What a configuration that is read anew changes, and what waits for a restart."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from daosup.config import Config
from daosup.config.changes import adopt

BASE: dict[str, Any] = {"host": "rts", "runtime_folder": "/run/x", "state_folder": "/var/x"}
#: One other value for each of some keys of every kind.
OTHER = {
    "host": "lab",
    "role": "minion",
    "heartbeat_interval_s": 3.0,
    "segment_folder": "/dev/shm",
    "state_folder": "/var/y",
    "redis.host": "lab",
    "redis.timeout_s": 1.0,
    "control.mode": "0600",
    "network.bind": "10.0.0.1",
    "publish.exclude": ["x*"],
    "publish.read_only": ["x*"],
    "publish.single_writer": ["y*"],
    "mirrors.mode": "0600",
    "mirror": [{"source": "obs:wfs"}],
    "hook": [{"on": ["*"], "command": ["/bin/true"]}],
    "log.level": "debug",
}
NEEDS_RESTART = {
    "host", "role", "segment_folder", "state_folder", "redis.host", "redis.timeout_s", "control.mode"
}  # fmt: skip
some_keys = st.sets(st.sampled_from(sorted(OTHER)))


def config(keys: set[str]) -> Config:
    return Config.from_mapping(BASE, overrides={key: OTHER[key] for key in keys})


@given(some_keys, some_keys)
def test_live_keys_change_and_the_others_wait(before: set[str], after: set[str]) -> None:
    change = adopt(config(before), config(after))
    assert set(change.changed) == (before ^ after) - NEEDS_RESTART
    assert set(change.needs_restart) == (before ^ after) & NEEDS_RESTART
    in_force = (after - NEEDS_RESTART) | (before & NEEDS_RESTART)
    assert change.config == config(in_force)


@given(some_keys, some_keys)
def test_what_was_taken_is_no_change_any_more_and_what_waits_goes_on_waiting(before: set[str], after: set[str]) -> None:
    first = adopt(config(before), config(after))
    again = adopt(first.config, config(after))
    assert again.changed == ()
    assert again.needs_restart == first.needs_restart
    assert adopt(first.config, config(before)).needs_restart == ()
