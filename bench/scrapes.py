"""What Prometheus costs a daemon that has many workers: how long a page takes, and how long it keeps the loop.

The page is asked for packed, as Prometheus does.
"""

from __future__ import annotations

import gzip
import time
import urllib.request
from collections.abc import Iterator

from bench import commands
from bench.figures import Row
from bench.fleet import Host
from bench.machine import cpu_time_s
from bench.plan import Plan

#: Longer than the same page is given again.
_PAUSE_S = 1.1


def config(port: int) -> str:
    """What a host's configuration needs."""
    return f'[metrics]\nlisten = "127.0.0.1:{port}"\n'


def measure(plan: Plan, host: Host, port: int, title: str) -> Iterator[Row]:
    """Ask one daemon again and again."""
    supervisor = int(host.call("status")["pid"])
    plan.say(f"scrapes of {host.name}")
    times_s, cpu_ms, sizes = [], [], []
    for _ in range(plan.either(20, 5)):
        with plan.meter.repeat():
            time.sleep(_PAUSE_S)
            began_s, used_s = time.monotonic(), cpu_time_s(supervisor)
            text, packed_bytes = _page(port)
            times_s.append(time.monotonic() - began_s)
            cpu_ms.append(1e3 * (cpu_time_s(supervisor) - used_s))
            sizes.append((len(text), packed_bytes))
    nbytes, packed_bytes = sizes[-1]
    note = f"{nbytes / 1e6:.1f} MB, packed {packed_bytes / 1e3:.0f} kB"
    noise = plan.meter.take()
    yield Row(f"{title}: scrape of {host.name}", "s", tuple(times_s), note=note, noise=noise)
    yield Row(f"{title}: CPU of {host.name}'s supervisor for one", "ms", tuple(cpu_ms), noise=noise)
    yield commands.lag(plan, host, f"{title}: lag of {host.name}'s loop meanwhile")


def _page(port: int) -> tuple[str, int]:
    """The page, and how large it was on the way."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        packed = answer.read()
    return gzip.decompress(packed).decode(), len(packed)
