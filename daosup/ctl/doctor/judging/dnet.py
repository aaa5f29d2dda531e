"""DAO's own network service, where this host takes part in it: whether it hears nodes, they find it, and clocks agree.

That its gate does not run is the workers' check, and that a mirror has no link the mirrors'.
"""

from __future__ import annotations

from collections.abc import Iterator

from daosup.adapters.reachability import ANSWERS
from daosup.core.dnet_nodes import FORGET_S
from daosup.core.types import DNET_PROTOCOL
from daosup.ctl.doctor.facts import Facts, Status
from daosup.ctl.doctor.findings import Finding, few, ok, plural, problem, warning
from daosup.ctl.doctor.judging.streams import WHY
from daosup.ctl.units import duration

#: A frame that is older than this, or newer, when it comes was not written just now by a clock like this host's.
_CLOCK_S = 2.0
#: Of frames that come slowly, the newest may be so many periods old.
_PERIODS = 3


def dnet(facts: Facts) -> Iterator[Finding]:
    """Whether nodes are heard, and what they have can be had; and whether they find this host."""
    told = facts.status.get("dnet")
    if not facts.has_daemon or not told:
        return
    findings = [*_hearing(facts, told), *_gate(facts, told), *_clocks(facts)]
    yield from findings
    if not findings:
        nodes = told.get("nodes", ())
        count = sum(int(each.get("segments") or 0) for each in nodes)
        unreadable = sum(int(each.get("unreadable") or 0) for each in nodes)
        more = f", {unreadable} more cannot be mirrored" if unreadable else ""
        is_stopped = any(row.get("state") == "stopped" for row in facts.workers("gate"))
        gate = "; they do not find this host, for its gate is stopped" if is_stopped else ""
        yield ok("dnet", f"{plural(len(nodes), 'node')} heard, with {plural(count, 'segment')}{more}{gate}")


def _hearing(facts: Facts, told: Status) -> Iterator[Finding]:
    where = f"{told.get('group')}, UDP port {told.get('beacon_port')}"
    if told.get("error"):
        yield problem(
            "dnet",
            f"the multicast group {where}, cannot be joined, so no node is heard: {told['error']}",
            "see that the network is up, and that dnet.interface, if it is set, is an address of this host",
        )
        return
    nodes = told.get("nodes", ())
    if not nodes and float(facts.status.get("uptime_s") or 0.0) > FORGET_S:
        yield warning(
            "dnet",
            f"no node of domain {told.get('domain')} is heard at {where}",
            "do any run, with this domain, group and port? Switches must pass multicast on (an IGMP querier), and "
            "firewalls that UDP port; on a host in several networks, set dnet.interface",
        )
    mute: dict[str, list[str]] = {}
    for each in nodes:
        if each.get("error"):
            place = f"{each.get('address')}:{each.get('port')}"
            mute.setdefault(str(each["error"]), []).append(f"{each.get('node')} ({place})")
    for error, names in mute.items():
        yield warning(
            "dnet",
            f"{few(names)}: heard, but what there is cannot be asked: {error}",
            "let this host connect to it there: its service must run, and a firewall let its data port through",
        )


def _gate(facts: Facts, told: Status) -> Iterator[Finding]:
    for row in facts.workers("gate"):
        if row.get("state") == "running" and row.get("link") == "down":
            yield problem(
                "dnet",
                f"no node finds this host: {row.get('reason') or 'no beacon can be sent'}",
                "see that the network is up, and that dnet.interface, if it is set, is an address of this host",
            )
    endpoint = facts.gate_endpoint
    answer = facts.endpoints.get(endpoint or "", ANSWERS)
    if endpoint is not None and answer != ANSWERS:
        yield problem(
            "dnet",
            f"{endpoint.partition('://')[2]}, where nodes look for this host's segments, {WHY.get(answer, answer)}",
            f"open TCP port {told.get('data_port')} in this host's firewall, and check network.bind and dnet.interface",
        )


def _clocks(facts: Facts) -> Iterator[Finding]:
    """Nodes are in no registry whose clock theirs could be compared with; their frames tell."""
    off: dict[str, float] = {}
    for row in facts.workers("mirror"):
        age_s, rate_hz = row.get("age_s"), float(row.get("rate_hz") or 0.0)
        if row.get("protocol") != DNET_PROTOCOL or age_s is None or not rate_hz:
            continue
        if not -_CLOCK_S <= float(age_s) <= max(_CLOCK_S, _PERIODS / rate_hz):
            off[str(row.get("peer"))] = float(age_s)
    for node, age_s in off.items():
        which = "ahead of" if age_s < 0 else "behind"
        yield warning(
            "dnet",
            f"the clock of {node} is {duration(abs(age_s))} {which} this host's, by the write times of its frames",
            "set both clocks (NTP, PTP): ages and latencies of its frames mislead",
        )


CHECKS = (dnet,)
