"""The streams: whether readers reach this host's publishers, and this host reaches the owners of its mirrors.

A port can only be tried from here. What is known from the other side is who has subscribed: a reader that is written
down in the registry and is not connected cannot get through, or is not there.
"""

from __future__ import annotations

from collections.abc import Iterator

from daosup.adapters.reachability import ANSWERS, REFUSED, SILENT, STRANGER, UNNAMED, UNROUTED
from daosup.core.types import DNET_PROTOCOL
from daosup.ctl.doctor.facts import Facts, Status, endpoint_of
from daosup.ctl.doctor.findings import Finding, few, ok, plural, problem, warning

_SETTLED_S = 3.0
#: What an endpoint that does not answer does, in words.
WHY = {
    REFUSED: "refuses the connection: nobody listens there",
    SILENT: "does not answer",
    UNROUTED: "cannot be reached from here: no route",
    UNNAMED: "cannot be found: its name has no address",
    STRANGER: "is somebody else's: what answers there is no publisher",
}


def ports(facts: Facts) -> Iterator[Finding]:
    """Whether this host's publishers answer where others are told to look for them."""
    settings, rows = facts.settings, facts.workers("publisher")
    if settings is None or not facts.has_daemon:
        return
    answers = {
        row["port"]: facts.endpoints.get(f"tcp://{settings.ip}:{row['port']}") for row in rows if row.get("port")
    }
    bad = {port: answer for port, answer in answers.items() if answer not in (None, ANSWERS)}
    for answer in sorted({str(each) for each in bad.values()}):
        some = sorted(port for port, each in bad.items() if each == answer)
        yield problem(
            "ports",
            f"{settings.ip}, as others are told, {WHY.get(answer, answer)}: {plural(len(some), 'port')} "
            f"({few(map(str, some))})",
            "open the publishers' ports in this host's firewall, and check network.advertise and network.bind",
        )
    if not bad and answers:
        tried = sum(answer is not None for answer in answers.values())
        yield ok("ports", f"{settings.ip} answers, tried from here, for {plural(tried, 'publisher')}")
    first, count = settings.base_pub_port, settings.port_count
    wanted = len(facts.status.get("segments", ()))
    if first and wanted > count:
        yield warning(
            "ports",
            f"{plural(wanted, 'segment')} here, but network.port_count allows {plural(count, 'publisher')}",
            "raise network.port_count, and open those ports in the firewall",
        )


def readers(facts: Facts) -> Iterator[Finding]:
    """Whether those who are written down as readers are connected."""
    if not facts.has_daemon:
        return
    lacking: dict[str, list[str]] = {}
    readers_of = {each.get("name"): each.get("readers", []) for each in facts.status.get("segments", ())}
    connected = 0
    for row in facts.workers("publisher"):
        later = facts.later_worker(row)
        wanted = readers_of.get(row.get("segment"), [])
        connected += int(row.get("connected") or 0)
        if not wanted or later is None or row.get("state") != "running" or _is_new(later):
            continue
        most = max(int(row.get("connected") or 0), int(later.get("connected") or 0))
        if most < len(wanted):
            who = f"{few(wanted)}" if not most else f"{len(wanted) - most} of {few(wanted)}"
            lacking.setdefault(who, []).append(f"{row.get('segment')} (port {row.get('port')})")
    for who, names in lacking.items():
        yield problem(
            "readers",
            f"{who}: written down as reader of {few(names)}, but not connected",
            f"there: `daosupctl doctor`; a firewall on the way must let it connect to "
            f"{facts.settings.ip if facts.settings else 'this host'} at that port",
        )
    if not lacking:
        yield ok("readers", f"all readers that are written down are connected ({connected} subscriptions)")


def _is_new(row: Status) -> bool:
    uptime_s = row.get("uptime_s")
    return not isinstance(uptime_s, (int, float)) or uptime_s < _SETTLED_S


def mirrors(facts: Facts) -> Iterator[Finding]:
    """Whether this host's mirrors hear their owners, and why not."""
    if not facts.has_daemon:
        return
    lost: dict[tuple[str, str, str], list[str]] = {}
    rows = facts.workers("mirror")
    for row in rows:
        why = _why_lost(facts, row)
        if why is not None:
            lost.setdefault((str(row.get("peer")), *why), []).append(str(row.get("source")))
    for (_, told, advice), sources in lost.items():
        yield problem("mirrors", f"{few(sources)}: {told}", advice)
    heard = sum(row.get("link") == "up" and row.get("state") == "running" for row in rows)
    if not lost:
        yield ok("mirrors", f"{heard} of {len(rows)} hear their owners, the others are stopped")
    of_hosts = [row for row in rows if row.get("protocol") != DNET_PROTOCOL]
    by_owner = {str(row.get("peer")) for row in of_hosts} - {owner for owner, _, _ in lost}
    gone = sorted(owner for owner in by_owner if _is_gone(facts, owner))
    if gone:
        yield warning(
            "mirrors",
            f"{few(gone)}, whose segments are mirrored here, {'is' if len(gone) == 1 else 'are'} not in the registry",
            "see there whether daosupd runs and reaches Redis: `daosupctl doctor`",
        )


def direct(facts: Facts) -> Iterator[Finding]:
    """Whether frames can come and go directly, and not only by ZeroMQ."""
    settings = facts.settings
    if settings is None or not facts.has_daemon:
        return
    own = [row["direct_port"] for row in facts.workers("publisher") if row.get("direct_port")]
    answers = {port: facts.endpoints.get(f"direct://{settings.ip}:{port}", ANSWERS) for port in own}
    bad = sorted(port for port, answer in answers.items() if answer != ANSWERS)
    if bad:
        yield warning(
            "direct",
            f"{settings.ip}, as others are told, {WHY.get(answers[bad[0]], answers[bad[0]])}, where frames can be had "
            f"directly: {plural(len(bad), 'port')} ({few(map(str, bad))}); readers get them by ZeroMQ",
            "open all ports of [network] in this host's firewall, not only the first ones",
        )
    behind: dict[tuple[str, str, str], list[str]] = {}
    count = 0
    for row in facts.workers("mirror"):
        count += row.get("transport") == "direct"
        where = str(row.get("direct_endpoint") or "").replace("tcp://", "direct://")
        answer = facts.endpoints.get(where, ANSWERS)
        if row.get("transport") != "direct" and row.get("transport_reason") and answer != ANSWERS:
            instead = "by ZeroMQ" if row.get("transport") == "zmq" else "waiting"
            behind.setdefault((str(row.get("peer")), answer, instead), []).append(
                f"{row.get('source')} (port {_port_of(where)})"
            )
    for (owner, answer, instead), sources in behind.items():
        yield warning(
            "direct",
            f"{few(sources)}: {instead}, for the port where {owner} offers frames directly {WHY.get(answer, answer)}",
            f"on {owner}, open all ports of its [network] to this host; or set mirrors.transport to zmq here",
        )
    if not bad and not behind and (own or count):
        yield ok(
            "direct", f"frames of {plural(count, 'mirror')} come directly, {plural(len(own), 'publisher')} offer that"
        )


def _port_of(endpoint: str) -> str:
    return endpoint.rpartition(":")[2]


def _why_lost(facts: Facts, row: Status) -> tuple[str, str] | None:
    """Why a mirror gets nothing, and what to do; None if it hears its owner, or is another check's."""
    later = facts.later_worker(row) or row
    state, owner = row.get("state"), str(row.get("peer"))
    # One that begins and hears nobody goes on beginning.
    if state not in ("running", "waiting", "starting") or state != later.get("state"):
        return None
    if state == "running" and "up" in (row.get("link"), later.get("link")):
        return None
    is_node = row.get("protocol") == DNET_PROTOCOL
    there = f"see whether DAO's network service runs on {owner}" if is_node else f"on {owner}: `daosupctl doctor`"
    if _is_gone(facts, owner) and not is_node:
        return f"its owner is gone, host {owner} is not in the registry", f"start daosupd on {owner}; {there}"
    if state == "waiting":
        return str(row.get("reason") or "waiting for its owner"), there
    if _is_new(later):
        return None
    endpoint = str(row.get("endpoint") or "")
    answer = facts.endpoints.get(endpoint_of(row), "")
    if answer == REFUSED:
        who = "it" if is_node else "its publisher, or daosupd,"
        return f"no link; {endpoint} {WHY[answer]}", f"is {who} dead? {there}"
    if answer in (SILENT, UNROUTED):
        return (
            f"no link; {endpoint} {WHY[answer]}",
            f"is {owner} up, and that port open to this host in its firewall? {there}",
        )
    if answer in WHY:
        return f"no link; {endpoint} {WHY[answer]}", f"check network.advertise {there}"
    told = row.get("reason") or "no link"
    return (f"{told}; {endpoint} answers a plain connection" if answer else str(told)), there


def _is_gone(facts: Facts, owner: str) -> bool:
    """Whether the registry, if it could be looked at, lacks a host."""
    return facts.registry is not None and all(machine.hostname != owner for machine in facts.registry.machines)


CHECKS = (ports, readers, mirrors, direct)
