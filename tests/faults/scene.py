"""Where faults happen: hosts ``rts`` and ``lab``, a stream that is hit, and another one that must not notice.

Both streams come from cameras in processes of their own (every pixel of a frame is the frame's number), and each mirror
is watched frame by frame. The other stream is slow enough that a frame it misses is not the busy machine's fault.
Frames come directly, as they do where nothing is said, or by ZeroMQ as an operator says.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Optional, TypeVar

from bench.children import camera
from bench.figures import recovery_s
from bench.watch import Sight, Watcher
from daosup.core.restart import HEALTHY_S
from daosup.workers.looking import LOOK_INTERVAL_S
from tests.integration.fleet import TELLING_ALL, Fleet, Host
from tests.waiting import wait_until

HIT_HZ = 100
OTHER_HZ = 50
SIDE = 64
#: Frames have to come this long without a pause before a stream counts as whole again.
STEADY_S = 0.3
#: A pause of a healthy stream on a busy machine is shorter than this.
PAUSE_S = 0.1
HEAL_S = 60.0
#: How frames come; as `status` has it.
DIRECT, ZMQ = "direct", "zmq"
#: Longer than from one stamp of a worker's page to the next, and from one frame to the next.
TOLD_S = LOOK_INTERVAL_S + 0.2

Prop = TypeVar("Prop")


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
        self.transport = DIRECT

    @contextmanager
    def running(self) -> Iterator[None]:
        """Filmed, mirrored and watched."""
        with ExitStack() as stack:
            self._filming = stack.enter_context(ExitStack())
            self.film()
            self.hosts.rts.wait_for_segment(self.name)
            self.mirror()
            self.sight = stack.enter_context(Watcher(self.mirror_file)).sight
            self.wait_steady()
            yield
        self.hosts.remove(self.source)

    def mirror(self) -> None:
        """Have it mirrored."""
        told = None if self.transport == DIRECT else self.transport
        self.hosts.lab.call("mirror", source=self.source, wait_s=HEAL_S, transport=told)

    def come_by(self, transport: str) -> None:
        """Have its frames come so."""
        row, self.transport = self.row(self.hosts.lab), transport
        # By ZeroMQ because they cannot come directly is not what is meant.
        if (row.get("transport"), row.get("transport_reason")) != (transport, None):
            self.hosts.remove(self.source)
            self.mirror()
            by_it = lambda: self.row(self.hosts.lab).get("transport") == transport  # noqa: E731
            wait_until(by_it, HEAL_S, f"frames of {self.source} by {transport}")
        self.wait_steady()

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

    def first_frame_s(self, since_s: float) -> float:
        """The seconds from a moment to the first frame after it; returns when frames come steadily again."""
        wait_until(lambda: self.sight.arrivals_s[-1] > since_s, HEAL_S, f"a frame of {self.source}")
        self.wait_steady()
        return next(t for t in self.sight.arrivals_s if t > since_s) - since_s

    def freshen(self, healthy_s: float = HEALTHY_S) -> None:
        """See to it that the next death of one of its workers is a first one, as it is after ``healthy_s`` of life."""
        hosts = (self.hosts.rts, self.hosts.lab)
        wait_until(lambda: all(host.worker(self.source) for host in hosts), HEAL_S, f"the workers of {self.source}")
        if any(self.row(host)["uptime_s"] <= healthy_s for host in hosts):
            # Nobody remembers the deaths of a worker that was not wanted any more.
            self.hosts.remove(self.source)
            self.mirror()
        self.wait_steady()

    def unexplained(self) -> int:
        """Frames that never were in the mirror, less those that one of the workers says it came too late for.

        The one is known with the next frame, the others with the workers' next stamps: what they say counts once it
        has held for longer than all of them take.
        """
        found, since_s = self._unexplained(), time.monotonic()

        def has_held() -> bool:
            nonlocal found, since_s
            now = self._unexplained()
            if now != found:
                found, since_s = now, time.monotonic()
            return time.monotonic() > since_s + TOLD_S

        wait_until(has_held, HEAL_S, f"all frames of {self.source} to be accounted for")
        return found

    def _unexplained(self) -> int:
        owned_up = self.row(self.hosts.rts)["skipped"] + self.row(self.hosts.lab)["passed_over"]
        return self.sight.skipped - int(owned_up)

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
        self._props: dict[type, object] = {}

    @property
    def streams(self) -> tuple[Stream, Stream]:
        """Both."""
        return self.hit, self.other

    def bring(self, prop: object) -> None:
        """Have something at hand that some faults need."""
        self._props[type(prop)] = prop

    def prop(self, kind: type[Prop]) -> Prop:
        """What was brought of a kind."""
        found = self._props[kind]
        assert isinstance(found, kind)
        return found

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

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Neither stream loses a frame or a process."""
        before = self._pids(), [stream.unexplained() for stream in self.streams]
        yield
        wait_until(lambda: self._pids() == before[0], HEAL_S, "the workers to be the same")
        for stream in self.streams:
            stream.wait_steady()
        after = self._pids(), [stream.unexplained() for stream in self.streams]
        assert after == before, f"workers and frames lost were {before} and are {after}"

    def _pids(self) -> list[Any]:
        return [stream.row(host).get("pid") for stream in self.streams for host in (self.rts, self.lab)]

    def _of_other(self) -> tuple[Any, ...]:
        rows = [self.other.row(host) for host in (self.rts, self.lab)]
        return (*((row["pid"], row["state"]) for row in rows), self.other.unexplained())


Prepare = Callable[[Scene, ExitStack], None]


@contextmanager
def scene(*preparing: Optional[Prepare]) -> Iterator[Scene]:
    """A scene of its own; what prepares it may change the hosts before they start, and has its end at the scene's."""
    hosts = Fleet()
    try:
        with ExitStack() as stack:
            for name in ("rts", "lab"):
                # Faults come faster here than the log would tell of them, and some are seen by what it tells.
                hosts.add(name).before = TELLING_ALL
            made = Scene(hosts)
            for prepare in preparing:
                if prepare is not None:
                    prepare(made, stack)
            hosts.start("rts", "lab")
            with made.hit.running(), made.other.running():
                yield made
    except Exception:
        _tell(hosts)
        raise
    finally:
        hosts.close()
        for left in Path("/dev/shm").glob(f"sem.*{os.getpid()}_sem*"):
            left.unlink(missing_ok=True)


def _tell(hosts: Fleet) -> None:
    """What the daemons said before something was not as promised."""
    for title, said in hosts.logs():
        print(f"--- {title}\n{said}", file=sys.stderr, flush=True)
