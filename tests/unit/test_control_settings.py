"""What a daemon tells of its settings, and what it keeps to itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from daosup.adapters.control_settings import Settings
from daosup.adapters.redis_address import RedisAddress
from daosup.adapters.redis_tls import Tls
from daosup.config import Config, Verify
from daosup.errors import ProtocolError

CONFIG = Config.from_mapping(
    {
        "host": "rts",
        "workers": {"fifo_priority": 10},
        "worker": [{"match": "wfs", "fifo_priority": 40, "lock_memory": True}, {"match": "dm"}],
    }
)


def told(redis: RedisAddress) -> Settings:
    said = json.loads(json.dumps(Settings.of(CONFIG, redis, "10.0.0.1").as_json()))
    return Settings.of_json(said)


@pytest.mark.parametrize(
    "redis",
    [
        RedisAddress(),
        RedisAddress(unix_socket="/run/redis.sock", db=3, username="dao", password_file=Path("/etc/secret")),
        RedisAddress("redis", tls=Tls(Path("/ca.pem"), None, None, Verify.CA)),
        RedisAddress(sentinels=(("a", 1), ("b", 2)), sentinel_service="dao", sentinel_password_file=Path("/etc/other")),
    ],
)
def test_what_is_told_arrives(redis: RedisAddress) -> None:
    assert told(redis) == Settings.of(CONFIG, redis, "10.0.0.1")


def test_the_most_that_any_worker_wants_counts() -> None:
    settings = told(RedisAddress())
    assert (settings.fifo_priority, settings.lock_memory) == (40, True)


def test_a_password_is_not_told_but_that_there_is_one() -> None:
    redis = RedisAddress("redis", password="hush")
    assert "hush" not in json.dumps(Settings.of(CONFIG, redis, "10.0.0.1").as_json())
    settings = told(redis)
    assert settings.has_hidden_password
    assert settings.redis == replace(redis, password=None)


def test_fields_of_a_later_version_are_passed_over_and_missing_ones_are_an_error() -> None:
    said = Settings.of(CONFIG, RedisAddress(), "10.0.0.1").as_json()
    assert Settings.of_json({**said, "colour": "red"}).host == "rts"
    del said["host"]
    for odd in (said, {}, None, 3, {**said, "redis": {"tls": 1}}):
        with pytest.raises(ProtocolError):
            Settings.of_json(odd)
