"""A worker runs wild: it spins, grows, or fails each time it begins."""

from __future__ import annotations

import os
import re
import time
from contextlib import ExitStack

from daosup.core.crew import HEALTHY_GROWTH_S
from daosup.core.restart import HEALTHY_S, RESTARTS_IN_A_ROW
from daosup.supervisor.worker_health import MEMORY_ROUND_S
from daosup.workers.looking import LOOK_INTERVAL_S
from tests.faults.fault import fault
from tests.faults.scene import HEAL_S, Scene
from tests.integration.fleet import Host
from tests.integration.unruly import order_of, tell
from tests.waiting import wait_until

_THEME = "A worker that runs wild"
_LIMIT_MB = 100


def unruly(scene: Scene, _stack: ExitStack) -> None:
    """Workers that misbehave when they are told to, and are otherwise the product's."""
    for host in (scene.rts, scene.lab):
        host.program, host.before = "tests.integration.unruly", ""
        host.configure(f'[[worker]]\nmatch = "{scene.hit.name}"\nmemory_limit_mb = {_LIMIT_MB}\n')


def _told(scene: Scene, host: Host, what: str, healthy_s: float = HEALTHY_S) -> tuple[float, str]:
    """The seconds until frames come from another process, and what was said of the worker's end."""
    stream = scene.hit
    stream.freshen(healthy_s)
    pid = stream.worker(host)
    kind = "publisher" if host is scene.rts else "mirror"
    with scene.other_undisturbed():
        tell(host.runtime, kind, stream.source, what)
        order = order_of(host.runtime, kind, stream.source)
        wait_until(lambda: not order.exists(), 2 * LOOK_INTERVAL_S, "the worker to look around and obey")
        began_s = time.monotonic()
        host.worker_pid(stream.source, other_than=pid)
        replaced_s = time.monotonic()
        healed_s = replaced_s - began_s + stream.first_frame_s(replaced_s)
    return healed_s, str(stream.row(host)["last_exit"])


def _spins(scene: Scene, host: Host) -> float:
    outage_s, said = _told(scene, host, "spin")
    assert said.startswith("hung: its loop stood still for "), said
    return outage_s


_SPINS = "its stamp stands still: it is killed and replaced, and the log says hung, not crashed"


@fault(
    "publisher spins",
    theme=_THEME,
    how="the publisher's loop is made to turn for ever, which takes all of a core",
    what=_SPINS,
    limit_s=2.0,
    prepare=unruly,
)
def publisher_spins(scene: Scene) -> float:
    return _spins(scene, scene.rts)


@fault(
    "mirror spins",
    theme=_THEME,
    how="the loop of the mirror's worker is made to turn for ever, which takes all of a core",
    what=_SPINS,
    limit_s=2.0,
    prepare=unruly,
)
def mirror_spins(scene: Scene) -> float:
    return _spins(scene, scene.lab)


@fault(
    "worker grows too big",
    theme=_THEME,
    how=f"the mirror's worker takes 100 MB more, and its `memory_limit_mb` is {_LIMIT_MB}",
    what=f"found within the {MEMORY_ROUND_S:g} s of one round it is stopped and replaced; frames come until then; "
    "`status` says how much it had",
    limit_s=MEMORY_ROUND_S + 1.0,
    prepare=unruly,
)
def worker_grows(scene: Scene) -> float:
    # Who grows again within a minute is restarted ever later.
    outage_s, said = _told(scene, scene.lab, "leak", HEALTHY_GROWTH_S)
    assert re.fullmatch(rf"stopped: 1\d\d MB of own memory, and memory_limit_mb is {_LIMIT_MB}", said), said
    return outage_s


@fault(
    "worker fails again and again",
    theme=_THEME,
    how="the publisher dies of an exception each time it begins; then its cause ends and its segment is made anew",
    what=f"after {RESTARTS_IN_A_ROW + 1} deaths it is `failed`, with the exception and the time of the next try, "
    "which is up to a minute away; a new segment has it tried at once",
    since="the new segment's first frame",
    limit_s=1.0,
    prepare=unruly,
)
def worker_fails(scene: Scene) -> float:
    stream, host = scene.hit, scene.rts
    stream.freshen()
    with scene.other_undisturbed():
        tell(host.runtime, "publisher", stream.source, "die")
        wait_until(lambda: stream.row(host)["state"] == "failed", HEAL_S, "the publisher to be failed")
        row = stream.row(host)
        assert "told to die" in row["reason"], row
        assert row["pid"] is None, row
        assert 0.0 < row["next_try_s"] <= 60.0, row
        assert row["restarts"] >= RESTARTS_IN_A_ROW, row
        order_of(host.runtime, "publisher", stream.source).unlink()
        stream.kill_camera()
        os.unlink(stream.file)
        stream.film()
        healed_s = stream.first_frame_s(time.monotonic())
    return healed_s
