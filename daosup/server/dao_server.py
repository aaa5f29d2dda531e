"""DaoServer: the embeddable API, as DAO's documentation has it.

Source of the names, defaults and errors: "Distributed SHM Server (daoServer)" in the documentation of daoBase.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Optional

from daosup.adapters.redis_address import RedisAddress
from daosup.adapters.redis_discovery import discover_redis
from daosup.adapters.registry import ping
from daosup.core.types import Source, check_host, check_name, clean_name
from daosup.errors import (
    ConfigError,
    DeniedError,
    NoAnswerError,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
    UsageError,
)
from daosup.server.daemon import Daemon
from daosup.server.opening import MIRROR_TIMEOUT_S
from daosup.shm.daoshm import shm

ROLES = ("master", "minion")


class DaoServer:
    """Shares this host's segments and mirrors those of others.

    Works with the daosupd of this machine if one runs; else it starts one of its own, as a process of its own that
    ends with this program. Every method may be called from any thread.

    Args:
        redis_host: Host of the Redis server.
        redis_port: Its port.
        role: ``master`` or ``minion``; None to find out.
        heartbeat_interval: Seconds between heartbeats.
        base_pub_port: First port to publish segments on.

    Raises:
        ConnectionError: If Redis cannot be reached.
        ValueError: If an argument cannot be used.
    """

    def __init__(
        self,
        redis_host: str = "localhost",
        redis_port: int = 6379,
        role: Optional[str] = None,
        heartbeat_interval: float = 30.0,
        base_pub_port: int = 5560,
    ) -> None:
        if role is not None and role not in ROLES:
            raise ValueError(f"role is {role!r}, not 'master', 'minion' or None")
        with _as_documented():
            ping(RedisAddress(host=redis_host, port=int(redis_port)))
        options = ["--redis-host", redis_host, "--redis-port", str(int(redis_port))]
        options += ["--heartbeat-interval", str(float(heartbeat_interval)), "--base-pub-port", str(int(base_pub_port))]
        options += ["--set", 'log.level="warning"']
        options += ["--role", role] if role else []
        self._daemon = Daemon(options)
        self._stopped = threading.Event()

    # -- life

    def start(self) -> None:
        """Register this host, serve its segments, and block until ``stop`` is called.

        Raises:
            ConnectionError: If the supervisor cannot be started.
        """
        self._stopped.clear()
        with _as_documented():
            self._daemon.hold()
            self._daemon.call("register")
        self._stopped.wait()

    def stop(self) -> None:
        """Release what this object mirrors, end the supervisor if it is our own, and let ``start`` return."""
        self._stopped.set()
        self._daemon.stop()

    # -- the fleet

    def list_machines(self) -> list[dict[str, Any]]:
        """All registered hosts: ``hostname``, ``ip``, ``role``, ``last_connect`` (ISO-8601 UTC), ``shm_segments``."""
        with _as_documented():
            machines = self._daemon.call("machines")
        return [
            {
                "hostname": machine["hostname"],
                "ip": machine["ip"],
                "role": machine["role"],
                "last_connect": machine["last_connect"],
                "shm_segments": [segment["name"] for segment in machine["segments"]],
            }
            for machine in machines
        ]

    def register_machine(self) -> None:
        """Write this host and its segments to the registry now.

        Raises:
            ConnectionError: If the registry is away.
        """
        with _as_documented():
            self._daemon.call("register")

    def heartbeat(self) -> None:
        """Renew this host's entry in the registry now; errors as ``register_machine``."""
        self.register_machine()

    def deregister_machine(self, hostname: Optional[str] = None) -> None:
        """Take a host, by default this one, out of the registry.

        Raises:
            PermissionError: If it is another host and this one is not the master.
            ConnectionError: If the registry is away.
        """
        with _as_documented():
            self._daemon.call("deregister", host=hostname)

    def cleanup_stale_machines(self, ttl_seconds: float = 120.0) -> list[str]:
        """Take all hosts out of the registry that gave no sign of life for so long.

        Returns:
            Their names.

        Raises:
            PermissionError: If this host is not the master.
            ConnectionError: If the registry is away.
        """
        with _as_documented():
            removed: list[str] = self._daemon.call("cleanup", ttl_s=ttl_seconds)
        return removed

    # -- mirrors

    def get_remote_shm(self, hostname: str, name: str, bidirectional: bool = False) -> shm:
        """Mirror a segment of another host and open the mirror, ``remote_<hostname>_<name>.im.shm``.

        The mirror lasts until it is released or this program ends. If it is ``bidirectional``, what programs of this
        host write into it goes to its source, and from there to all that mirror it.

        Raises:
            KeyError: If the registry knows no such host or segment.
            TimeoutError: If the owner does not stream it within 30 s.
            PermissionError: If it is to be bidirectional, and its owner does not allow that.
            NotImplementedError: If the owner offers no stream that can be read.
            ConnectionError: If the registry or the supervisor is away.
        """
        with _as_documented():
            source = Source(check_host(hostname), check_name(clean_name(name)))
            mirror = self._daemon.mirror(str(source), MIRROR_TIMEOUT_S, is_bidirectional=bidirectional)
            return shm(mirror["path"])

    def release_remote_shm(self, hostname: str, name: str) -> None:
        """Stop mirroring; the mirror goes when nobody else on this host holds it. Not mirrored: nothing happens."""
        with _as_documented():
            self._daemon.release(str(Source(hostname, clean_name(name))))

    @staticmethod
    def discover(port: int = 6379, timeout: float = 0.3, max_workers: int = 64) -> list[dict[str, Any]]:
        """Look for Redis servers on the local networks; as ``discover_redis``."""
        return discover_redis(port=port, timeout=timeout, max_workers=max_workers)


@contextmanager
def _as_documented() -> Iterator[None]:
    """Raise what DAO's documentation promises in place of our own errors."""
    try:
        yield
    except NotFoundError as error:
        raise KeyError(str(error)) from error
    except NoAnswerError as error:
        raise TimeoutError(str(error)) from error
    except UnsupportedError as error:
        raise NotImplementedError(str(error)) from error
    except DeniedError as error:
        raise PermissionError(str(error)) from error
    except (UnavailableError, ConfigError) as error:
        raise ConnectionError(str(error)) from error
    except UsageError as error:
        raise ValueError(str(error)) from error
