"""What the registry last knew of hosts, whether or not they answer.

Invariant: hosts that are named cost one command for each of their few keys; only for all of them the keys are walked
over, in small steps.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Optional

from daosup.adapters.registry_clock import parse_stamp
from daosup.adapters.registry_commands import read
from daosup.adapters.registry_scan import Run, read_hosts
from daosup.adapters.registry_views import HostView
from daosup.core import keys
from daosup.core.registry_values import decode_address, decode_instance, decode_word

_FIELDS: tuple[tuple[str, Callable[[bytes], str]], ...] = (
    ("ip", decode_address),
    ("role", decode_word),
    ("last_connect", decode_word),
)
_STEP = 100


async def read_views(
    run: Run, hosts: Optional[Collection[str]], now_s: float, decoded: Callable[..., Any]
) -> dict[str, HostView]:
    """Views by host, of those that are there.

    Args:
        run: Carries out commands.
        hosts: Which ones; None for all.
        now_s: Redis's time, seconds since 1970.
        decoded: Decodes a reply, or counts it as skipped.
    """
    named = sorted(set(hosts)) if hosts is not None else [sign.host for sign in await read_hosts(run)]
    found: dict[str, HostView] = {}
    for start in range(0, len(named), _STEP):
        step = named[start : start + _STEP]
        commands = [
            read(key)
            for host in step
            for key in (*(keys.machine_key(host, field) for field, _ in _FIELDS), keys.instance_key(host))
        ]
        replies = iter(await run(commands))
        for host in step:
            ip, role, last_connect = [decoded(decode, next(replies)) or "" for _, decode in _FIELDS]
            instance = decoded(decode_instance, next(replies))
            if ip or role or last_connect or instance is not None:
                stamp_s = parse_stamp(last_connect)
                age_s = None if stamp_s is None else max(0.0, now_s - stamp_s)
                found[host] = HostView(host, ip, role, last_connect, age_s, instance)
    return found
