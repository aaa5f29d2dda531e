"""Where faults happen: hosts ``rts`` and ``lab``, a stream that is hit, and another one that must not notice.

Both streams come from cameras in processes of their own (every pixel of a frame is the frame's number), and each mirror
is watched frame by frame. The other stream is slow enough that a frame it misses is not the busy machine's fault.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Optional

from bench.children import camera
from bench.figures import recovery_s
from bench.watch import Sight, Watcher
from daosup.core.restart import HEALTHY_S
from tests.integration.fleet import Fleet, Host
from tests.waiting import wait_until

HIT_HZ = 200
OTHER_HZ = 50
SIDE = 64
#: Frames have to come this long without a pause before a stream counts as whole again.
STEADY_S = 0.3
#: A pause of a healthy stream on a busy machine is shorter than this.
PAUSE_S = 0.1
HEAL_S = 60.0


class Stream:
    """One watched stream of a scene; its camera's process is the writer of the source."""

    def __init__(self, hosts: Fleet, name: str, rate_hz: float) -> None:
        self.hosts = hosts
        self.rate_hz = rate_hz
        self.name = name
        self.source = f"rts:{name}"
        self.file = hosts.rts.path(name)
        self.mirror_file = hosts.lab.path(f"remote_rts_{name}")
        self.sight = Sight()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Filmed, mirrored and watched."""
        with ExitStack() as stack:
            self._filming = stack.enter_context(ExitStack())
            self.film()
            self.hosts.rts.wait_for_segment(self.name)
            self.hosts.lab.mirror(self.source).close()
            self.sight = stack.enter_context(Watcher(self.mirror_file)).sight
            self.wait_steady()
            yield
        self.hosts.remove(self.source)

    def film(self, **otherwise: Any) -> None:
        """Let a camera write the source; returns once it has a frame."""
        options = {"side": SIDE, **otherwise}
        self.camera = self._filming.enter_context(camera(self.file, rate_hz=self.rate_hz, **options))

    def stop_filming(self) -> None:
        """End the camera, which takes its segment along."""
        self._filming.close()

    def kill_camera(self) -> None:
        """SIGKILL to the camera: its segment stays, perhaps half written."""
        self.camera.kill()
        self._filming.close()

    def wait_steady(self) -> None:
        """Until frames come, one after the other."""

        def is_steady() -> bool:
            arrivals_s, now_s = self.sight.arrivals_s, time.monotonic()
            recent = [t for t in arrivals_s[-int(2 * STEADY_S * self.rate_hz) :] if t > now_s - STEADY_S]
            edges = [now_s - STEADY_S, *recent, now_s]
            return max(later - earlier for earlier, later in zip(edges, edges[1:])) < PAUSE_S

        wait_until(is_steady, HEAL_S, f"frames of {self.source} to come steadily")

    def outage_s(self, hurt: Callable[[], object]) -> float:
        """Hurt the stream and measure from then until its frames come again."""
        self.wait_steady()
        began_s = time.monotonic()
        hurt()
        wait_until(lambda: time.monotonic() > began_s + 2 * STEADY_S, 10.0, "the fault to bite")
        self.wait_steady()
        found = recovery_s([t for t in self.sight.arrivals_s if t > began_s - 1], began_s)
        assert found is not None
        return found

    def worker(self, host: Host) -> int:
        """The pid of its running worker on a host."""
        return host.worker_pid(self.source)

    def wait_healthy(self) -> None:
        """Until both its workers live long enough that their next death is a first one."""

        def is_healthy() -> bool:
            rows = [self.row(host) for host in (self.hosts.rts, self.hosts.lab)]
            return all(row.get("state") == "running" and row["uptime_s"] > HEALTHY_S for row in rows)

        wait_until(is_healthy, HEAL_S, f"the workers of {self.source} to be healthy")
        self.wait_steady()

    def unexplained(self) -> int:
        """Frames that never were in the mirror, less those that the publisher says it came too late for."""
        return self.sight.skipped - int(self.row(self.hosts.rts)["skipped"])

    def row(self, host: Host) -> dict[str, Any]:
        """What ``status`` says of its worker on a host, in whatever state."""
        rows: list[dict[str, Any]] = host.status()["workers"]
        return next((row for row in rows if row["source"] == self.source), {})


class Scene:
    """Two hosts, up, and two streams from the first to the second."""

    def __init__(self, hosts: Fleet) -> None:
        self.hosts = hosts
        self.hit = Stream(hosts, f"hit{os.getpid()}", HIT_HZ)
        self.other = Stream(hosts, f"other{os.getpid()}", OTHER_HZ)

    @property
    def rts(self) -> Host:
        """Owns the sources."""
        return self.hosts.rts

    @property
    def lab(self) -> Host:
        """Mirrors them."""
        return self.hosts.lab

    @contextmanager
    def other_undisturbed(self) -> Iterator[None]:
        """The other stream keeps its processes and loses no frame that its publisher had the time to take."""
        before = self._of_other()
        yield
        self.other.wait_steady()
        after = self._of_other()
        assert after == before, f"the other stream was disturbed: {before} became {after}"

    def _of_other(self) -> tuple[Any, ...]:
        rows = [self.other.row(host) for host in (self.rts, self.lab)]
        return (*((row["pid"], row["state"]) for row in rows), self.other.unexplained())


@contextmanager
def scene(prepare: Optional[Callable[[Fleet], None]] = None) -> Iterator[Scene]:
    """A scene of its own; ``prepare`` may add to the hosts' configuration before they start."""
    hosts = Fleet()
    try:
        for name in ("rts", "lab"):
            hosts.add(name)
        if prepare is not None:
            prepare(hosts)
        hosts.start("rts", "lab")
        made = Scene(hosts)
        with made.hit.running(), made.other.running():
            yield made
    finally:
        hosts.close()
        for left in Path("/dev/shm").glob(f"sem.*{os.getpid()}_sem*"):
            left.unlink(missing_ok=True)
