"""750 segments published by one host and mirrored by another on the same machine, each written once a second.

All mirrors are configured, so the time until they run is that of two hosts that are switched on. Own memory is PSS:
each page a worker shares with others counts for its share. CPU is the supervisor process alone, all workers streaming;
a mirror that is late has no frame of the last three seconds. Commands are given on lab, which has all the mirrors;
their CPU time is told as well, for two cores that 1,500 workers keep busy leave them little. Lag is how late the loop
of a supervisor came round at worst within a minute, by its own account.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path

from bench import commands, scrapes
from bench.children import first_line, running, wait_until
from bench.figures import Goal, Judged, Row
from bench.fleet import TAG, Fleet, Host, fleet
from bench.machine import cpu_time_s
from bench.many_sources import name_of
from bench.plan import Plan
from daosup.errors import UnavailableError

STREAMS = 750
START_S = 120.0
LATE_S = 3.0
_GIVE_UP_S = 300.0


def measure(plan: Plan) -> Iterator[Row]:
    """Start them all, then look at what they need."""
    count = plan.either(STREAMS, 50)
    mirrors = "".join(f'[[mirror]]\nsource = "rts:{name_of(TAG, number)}"\n' for number in range(count))
    ports = _free_ports(2)
    rts_config, lab_config = (scrapes.config(port) for port in ports)
    with fleet(lab_config + mirrors, rts_config, is_waiting=False) as hosts:
        plan.redis_flavour = hosts.redis_flavour
        folder = hosts.rts.segment_folder
        arguments = ["-m", "bench.many_sources", str(folder), TAG, str(count)]
        log = folder / "sources.log"
        with running(arguments, log, is_talking=True) as sources:
            began_s = time.monotonic()
            first_line(sources, log, "the sources")
            plan.say(f"waiting for {2 * count} workers")
            with plan.meter.repeat():
                wait_until(lambda: _running(hosts) == 2 * count, _GIVE_UP_S, f"{2 * count} workers to run")
            title = f"{2 * count} workers"
            goal = Goal(START_S, Judged.WORST)
            yield Row(f"{title}: until all run", "s", (time.monotonic() - began_s,), goal, noise=plan.meter.take())
            yield from _needs(plan, hosts, title)
            yield from commands.measure(plan, hosts.lab, f"remote_rts_{name_of(TAG, 0)}", title)
            for host, port in zip((hosts.rts, hosts.lab), ports):
                yield from scrapes.measure(plan, host, port, title)
            restarts = sum(int(str(worker["restarts"])) for host in (hosts.rts, hosts.lab) for worker in _workers(host))
            yield Row("workers that were restarted", "", (float(restarts),), Goal(0.0), note=_told(hosts))


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        listeners = [stack.enter_context(closing(socket.create_server(("127.0.0.1", 0)))) for _ in range(count)]
        return [int(listener.getsockname()[1]) for listener in listeners]


def _told(hosts: Fleet) -> str:
    """The first that was said of a worker that did not go on."""
    lines = (line for host in (hosts.rts, hosts.lab) for line in host.log.read_text(errors="replace").splitlines())
    return next((line for line in lines if "worker hung" in line or "worker died" in line), "")


def _running(hosts: Fleet) -> int:
    """How many workers run; none while a daemon has only begun, or has no time to answer."""
    try:
        return sum(worker["state"] == "running" for host in (hosts.rts, hosts.lab) for worker in _workers(host))
    except UnavailableError:
        return 0


def _workers(host: Host) -> list[dict[str, object]]:
    workers: list[dict[str, object]] = host.call("status")["workers"]
    time.sleep(0.2)  # to be asked is not what the supervisor is to be busy with
    return workers


def _needs(plan: Plan, hosts: Fleet, title: str) -> Iterator[Row]:
    wait_until(lambda: not _late(hosts.lab), 60.0, "all mirrors to have fresh frames")
    seconds = commands.LAG_WINDOW_S + 1 if not plan.is_quick else 5.0
    for host, kind in ((hosts.rts, "publisher"), (hosts.lab, "mirror")):
        plan.say(f"what the {kind}s need")
        pids = [int(str(worker["pid"])) for worker in _workers(host) if worker["pid"]]
        sizes = tuple(_own_mb(pid) for pid in pids)
        yield Row(f"{title}: own memory of a {kind}", "MB", sizes, Goal(8.0, Judged.WORST), noise=plan.meter.take())
        supervisor = int(host.call("status")["pid"])
        with plan.meter.repeat():
            before_s, worked_s = cpu_time_s(supervisor), _worked_s(pids)
            time.sleep(seconds)
            share = 100 * (cpu_time_s(supervisor) - before_s) / seconds
            after_s = _worked_s(pids)
            workers = 100 * sum(after_s[pid] - worked_s[pid] for pid in after_s.keys() & worked_s.keys()) / seconds
        note = f"all {kind}s together: {workers:.0f} %"
        noise = plan.meter.take()
        yield Row(f"{host.name}: CPU of the supervisor", "%", (share,), Goal(5.0), note=note, noise=noise)
        yield replace(commands.lag(plan, host, f"{host.name}: lag of the loop while nobody asks"), noise=noise)
    late = float(_late(hosts.lab))
    yield Row("mirrors without a frame in the last 3 s", "", (late,), Goal(0.0), noise=plan.meter.take())


def _worked_s(pids: Iterable[int]) -> dict[int, float]:
    """The CPU time of each that is there, in seconds."""
    worked_s = {}
    for pid in pids:
        with suppress(ProcessLookupError):
            worked_s[pid] = cpu_time_s(pid)
    return worked_s


def _late(host: Host) -> int:
    ages_s = [worker["age_s"] for worker in _workers(host)]
    return sum(not isinstance(age_s, float) or age_s > LATE_S for age_s in ages_s)


def _own_mb(pid: int) -> float:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024
