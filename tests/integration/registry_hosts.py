"""Hosts that use a registry, and a look at the raw keys behind their backs."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Callable

from daosup.adapters.redis_address import RedisAddress
from daosup.adapters.redis_link import Command, blocking_link
from daosup.adapters.registry import Instance, Registry, RegistryEvent
from daosup.core.types import Reader, SegmentFacts, StreamRecord

TTL_S = 60.0


class Host:
    """A registry and the events it told."""

    def __init__(self, address: RedisAddress, name: str, number: int = 1) -> None:
        self.name = name
        self.instance = Instance(f"{name}-{number}", 2, "0.1.0", 4320 + number, "10.0.0.1")
        self.events: list[RegistryEvent] = []
        self.registry = Registry(address, name, self.instance, self.events.append)

    def reader(self, beat: int = 1) -> Reader:
        return Reader(self.name, "10.0.0.9", beat, self.instance.instance)


@contextlib.asynccontextmanager
async def connected(address: RedisAddress, name: str, number: int = 1) -> AsyncIterator[Host]:
    host = Host(address, name, number)
    await host.registry.connect()
    try:
        yield host
    finally:
        await host.registry.close()


def raw(address: RedisAddress, *commands: Command) -> list[Any]:
    """Replies to commands that bypass the registry."""
    with blocking_link(replace(address, timeout_s=5.0)) as run:
        return run(commands)


def all_keys(address: RedisAddress) -> set[bytes]:
    (found,) = raw(address, ("KEYS", "*"))
    return set(found)


def segment(name: str, shape: tuple[int, ...] = (512, 512), dtype: str = "float32") -> SegmentFacts:
    return SegmentFacts(name, shape, dtype, "v0", 1, 4, "1")


def record(client: str) -> StreamRecord:
    return StreamRecord("10.0.0.1", 5560, client, "10.0.0.2")


async def eventually(condition: Callable[[], object], what: str, timeout_s: float = 5.0) -> None:
    """Let the loop run until ``condition`` holds."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"waited {timeout_s:g} s in vain for {what}"
        await asyncio.sleep(0.005)
