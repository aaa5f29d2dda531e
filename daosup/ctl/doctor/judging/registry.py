"""The registry, who is in it, and the clocks."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from daosup.core.clock import MOST_OFFSET_S
from daosup.ctl.doctor.facts import Facts
from daosup.ctl.doctor.findings import Finding, few, ok, plural, problem, skipped, warning
from daosup.ctl.units import duration, quantity

#: The usual round trip within a building is a thousandth of that.
SLOW_S = 0.1
_NEARLY_FULL = 0.9
_SET_CLOCK = "set that clock (chronyc tracking, timedatectl): ages of frames and times in logs mislead"


def registry(facts: Facts) -> Iterator[Finding]:
    """Whether Redis is there for the daemon and for us, and fit to hold the registry."""
    standing = facts.status.get("registry", {})
    look = facts.registry
    if facts.has_daemon and standing.get("state") != "up":
        since = duration(standing.get("since_s"))
        yield problem(
            "registry",
            f"away for {since}: {standing.get('error') or 'not connected yet'}; {standing.get('effect') or ''}",
            "it is answered again from here by now; the daemon follows within a second"
            if look is not None and not look.refused
            else "mend Redis or [redis]; the daemon comes back by itself",
        )
    elif facts.registry_error:
        yield problem("registry", facts.registry_error, "mend Redis or [redis]")
    if look is None:
        if facts.registry_unseen:
            yield skipped("registry", f"not looked at from here: {facts.registry_unseen}")
        return
    where = facts.settings.redis if facts.settings else ""
    if look.refused:
        yield problem("registry", f"{look.server} takes no writes: {look.refused}", "mend that at the Redis server")
    elif look.round_trip_s > SLOW_S:
        yield warning(
            "registry", f"{where} answers in {duration(look.round_trip_s)}", "is the server or the network overloaded?"
        )
    else:
        role = "master" if facts.settings and facts.settings.redis.sentinels else "takes writes"
        yield ok("registry", f"{look.server} at {where}, {role}, answers in {duration(look.round_trip_s)}")
    yield from _memory(facts)
    silent = [sentinel for sentinel, is_there in facts.sentinels.items() if not is_there]
    if silent:
        yield warning(
            "registry",
            f"{len(silent)} of {len(facts.sentinels)} sentinels take no connection: {few(silent)}",
            "start them, or a failover may find no majority",
        )
    if look.skipped:
        yield warning(
            "registry",
            f"{look.skipped} keys or values under dao: are not as they should be, and are passed over",
            "find out who writes them: redis-cli --scan --pattern 'dao:*'",
        )


def _memory(facts: Facts) -> Iterator[Finding]:
    assert facts.registry is not None
    said = facts.registry.memory
    most, used = (int(said[key]) if said.get(key, "").isdigit() else 0 for key in ("maxmemory", "used_memory"))
    if most and used > _NEARLY_FULL * most:
        yield warning(
            "registry",
            f"Redis uses {quantity(used, 'B')} of the {quantity(most, 'B')} it may",
            "raise maxmemory, or find out whose keys these are: redis-cli --bigkeys",
        )
    policy = said.get("maxmemory_policy", "noeviction").strip()
    if most and policy != "noeviction":
        yield warning(
            "registry",
            f"Redis drops keys when its memory is full (maxmemory-policy {policy}), the registry's among them",
            "set maxmemory-policy noeviction",
        )


def clock(facts: Facts) -> Iterator[Finding]:
    """Whether this host's clock, and those of the others, agree with Redis's."""
    said, look = facts.status.get("clock", {}), facts.registry
    offset_s = said.get("offset_s")
    if offset_s is None and look is not None:
        offset_s = look.offset_s
    if offset_s is None:
        yield skipped("clock", "not compared: Redis was not there to compare with")
    elif said.get("is_off") or abs(offset_s) > MOST_OFFSET_S:
        yield problem("clock", f"this host's clock is {_off(offset_s)} of Redis's", _SET_CLOCK)
    else:
        yield ok("clock", f"this host's clock is {_off(offset_s)} of Redis's")
    if look is None:
        return
    right = 0
    for host, instance in look.instances.items():
        if host == _host(facts) or instance.clock_offset_ms is None:
            continue
        other_s = instance.clock_offset_ms / 1000
        if abs(other_s) > MOST_OFFSET_S:
            yield warning("clock", f"the clock of {host} is {_off(other_s)} of Redis's", f"on {host}, {_SET_CLOCK}")
        else:
            right += 1
    if right:
        yield ok("clock", f"{plural(right, 'other host')} told of a clock that agrees with Redis's")


def _off(offset_s: float) -> str:
    return f"{duration(abs(offset_s))} {'ahead' if offset_s >= 0 else 'behind'}"


def fleet(facts: Facts) -> Iterator[Finding]:
    """Whether the registry has this host as it is, one address for each host, and a master."""
    look, host = facts.registry, _host(facts)
    if look is None:
        return
    by_name = {machine.hostname: machine for machine in look.machines}
    own = by_name.get(host)
    is_up = facts.has_daemon and facts.status.get("registry", {}).get("state") == "up"
    if own is None and is_up:
        yield problem(
            "fleet",
            f"the registry does not know {host}, though its daemon is connected",
            "if `daosupctl ls` lacks it in a second still: systemctl reload, or see the log",
        )
    elif own is not None and is_up and facts.settings and own.ip and own.ip != facts.settings.ip:
        yield problem(
            "fleet",
            f"the registry says {host} is at {own.ip}, but its daemon here tells {facts.settings.ip}",
            f"another daemon writes under the name {host}: stop it, or give it another host name",
        )
    elif own is not None:
        yield ok("fleet", f"{host} is in the registry, beside {plural(len(look.machines) - 1, 'other host')}")
    by_address: dict[str, list[str]] = {}
    for machine in look.machines:
        if machine.ip:
            by_address.setdefault(machine.ip, []).append(machine.hostname)
    for ip, hosts in by_address.items():
        if len(hosts) > 1:
            yield warning(
                "fleet",
                f"{len(hosts)} hosts tell one address, {ip}: {few(sorted(hosts))}",
                "unless they are daemons of one machine, correct network.advertise of the wrong one",
            )
    lease = facts.status.get("lease", {})
    if is_up and lease.get("state") in ("none", "lapsed"):
        yield warning("fleet", "there is no master now", "one is found within 10 s; else see the log")


def address(facts: Facts) -> Iterator[Finding]:
    """Whether other hosts can reach this one where they are told to."""
    settings = facts.settings
    if settings is None:
        return
    ip = facts.address
    advertise = "set network.advertise to the address by which others reach this host"
    others = [] if facts.registry is None else [m.ip for m in facts.registry.machines if m.hostname != settings.host]
    elsewhere = [each for each in others if each and not _is_loopback(each)]
    if ip is None:
        yield problem("address", f"{settings.ip}, which others are told, has no IPv4 address", advertise)
    elif not facts.is_own_address:
        yield problem("address", f"{settings.ip}, which others are told, is no address of this machine", advertise)
    elif _is_loopback(ip) and elsewhere:
        yield problem(
            "address", f"others are told {settings.ip}, where each finds itself (loopback), not this host", advertise
        )
    elif settings.bind not in ("*", "0.0.0.0", ip):
        yield problem(
            "address",
            f"publishers listen on {settings.bind} alone, but others are told {settings.ip}",
            'set network.bind to "*" or to that address',
        )
    elif _is_loopback(ip):
        yield ok("address", f"{settings.ip}: for daemons of this machine only")
    else:
        yield ok("address", f"{settings.ip} is an address of this machine")


def _is_loopback(ip: str) -> bool:
    try:
        return ip_address(ip).is_loopback
    except ValueError:
        return ip == "localhost"


def _host(facts: Facts) -> str:
    return facts.settings.host if facts.settings else str(facts.status.get("host", ""))


CHECKS = (registry, clock, fleet, address)
