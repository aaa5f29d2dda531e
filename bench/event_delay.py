"""How long after something happened on one host ``daosupctl events -f`` shows it on another.

What happens is that somebody asks for a mirror, each time another one: the time is from asking for that until the line
is there. By design events are told at a turn of the loop (0.25 s) and looked for twice a second.
"""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

from bench.children import BenchError, stop
from bench.figures import Goal, Judged, Row
from bench.fleet import Host, fleet
from bench.plan import Plan
from bench.status import console_script
from daosup.errors import DaosupError

GOAL = Goal(0.75, Judged.WORST)
_EVENT = "mirror-asked"
_PATIENCE_S = 20.0
#: No multiple of what the daemons do at intervals.
_PAUSE_S = 0.61


def measure(plan: Plan) -> Iterator[Row]:
    """One row: the delays of all events."""
    with fleet() as hosts, _followed(hosts.lab) as shown:
        plan.redis_flavour = hosts.redis_flavour
        plan.say("events of rts as lab shows them")
        _shown_s(hosts.rts, "first", shown)  # from now on it follows
        delays_s = []
        for number in range(plan.either(30, 10)):
            time.sleep(_PAUSE_S)
            with plan.meter.repeat():
                delays_s.append(_shown_s(hosts.rts, f"nothing{number}", shown))
    yield Row("an event of one host, on another", "s", tuple(delays_s), GOAL, noise=plan.meter.take())


@contextmanager
def _followed(host: Host) -> Iterator[queue.Queue[float]]:
    """When the lines of the events in question came out of ``daosupctl events -f``."""
    command = [*console_script(), "--socket", str(host.control_socket), "events", "-f", "--json"]
    shown: queue.Queue[float] = queue.Queue()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert process.stdout is not None
    reader = threading.Thread(target=_read, args=(process.stdout, shown))
    reader.start()
    try:
        yield shown
    finally:
        process.terminate()
        reader.join()
        stop(process)


def _read(lines: IO[bytes], shown: queue.Queue[float]) -> None:
    for line in lines:
        if json.loads(line)["event"] == _EVENT:
            shown.put(time.monotonic())


def _shown_s(host: Host, name: str, shown: queue.Queue[float]) -> float:
    """Ask a host for a mirror of what there is not; how long until that is shown, s."""
    began_s = time.monotonic()
    with suppress(DaosupError):
        host.call("mirror", source=f"lab:{name}", wait_s=0)
    try:
        return shown.get(timeout=_PATIENCE_S) - began_s
    except queue.Empty:
        raise BenchError(f"no {_EVENT} of {host.name} was shown within {_PATIENCE_S:g} s") from None
