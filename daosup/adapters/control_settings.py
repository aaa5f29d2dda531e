"""What a daemon tells of its settings over its control socket: what is in force, wherever it was given.

Invariant: no secret is in it; where Redis asks for a password that is in no file, only that it does is told.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Optional

from daosup.adapters.redis_address import RedisAddress
from daosup.adapters.redis_tls import Tls
from daosup.config import Config, Verify
from daosup.errors import ProtocolError


@dataclass(frozen=True)
class Settings:
    """The settings of one daemon, as far as somebody who looks for what is wrong needs them.

    ``ip`` is where others are told to reach this host. ``fifo_priority`` is the highest that any worker is to have, and
    ``lock_memory`` whether any is to lock its memory. ``has_hidden_password``: ``redis`` lacks a password.
    """

    host: str
    instance: str
    ip: str
    bind: str
    base_pub_port: int
    port_count: int
    segment_folder: str
    runtime_folder: str
    state_folder: str
    semaphore: int
    fifo_priority: int
    lock_memory: bool
    redis: RedisAddress
    has_hidden_password: bool = False

    @classmethod
    def of(cls, config: Config, redis: RedisAddress, ip: str) -> Settings:
        """Those of a configuration."""
        network, workers = config.network, config.workers
        return cls(
            host=config.host,
            instance=config.instance,
            ip=ip,
            bind=network.bind,
            base_pub_port=network.base_pub_port,
            port_count=network.port_count,
            segment_folder=str(config.segment_folder),
            runtime_folder=str(config.runtime_folder),
            state_folder=str(config.state_folder),
            semaphore=config.publish.semaphore,
            fifo_priority=max(workers.fifo_priority, *(each.fifo_priority or 0 for each in config.worker), 0),
            lock_memory=workers.lock_memory or any(each.lock_memory for each in config.worker),
            redis=redis,
        )

    def as_json(self) -> dict[str, Any]:
        """What is told."""
        address = replace(self.redis, password=None)
        said = asdict(replace(self, redis=address, has_hidden_password=self.redis.password is not None))
        if address.tls is not None:
            said["redis"]["tls"]["verify"] = address.tls.verify.value
        told: dict[str, Any] = _with_text_for_paths(said)
        return told

    @classmethod
    def of_json(cls, said: Any) -> Settings:
        """Read what was told.

        Raises:
            ProtocolError: If it is something else.
        """
        try:
            redis = _known(RedisAddress, said["redis"])
            if redis["tls"] is not None:
                tls = _known(Tls, redis["tls"])
                files = {name: _path(tls[name]) for name in ("ca_file", "cert_file", "key_file")}
                redis["tls"] = Tls(verify=Verify(tls["verify"]), **files)
            for name in ("password_file", "sentinel_password_file"):
                redis[name] = _path(redis[name])
            redis["sentinels"] = tuple((str(host), int(port)) for host, port in redis["sentinels"])
            return cls(**{**_known(cls, said), "redis": RedisAddress(**redis)})
        except (KeyError, TypeError, ValueError) as error:
            raise ProtocolError(f"daosupd tells its settings otherwise than this version does: {error}") from error


def _known(kind: Any, said: dict[str, Any]) -> dict[str, Any]:
    """What is said of the fields that this version knows."""
    return {each.name: said[each.name] for each in fields(kind) if each.name in said}


def _path(text: Optional[str]) -> Optional[Path]:
    return None if text is None else Path(text)


def _with_text_for_paths(said: Any) -> Any:
    if isinstance(said, dict):
        return {name: _with_text_for_paths(value) for name, value in said.items()}
    return str(said) if isinstance(said, Path) else said
