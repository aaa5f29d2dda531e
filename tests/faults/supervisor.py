"""The supervisor dies, stands still, or is replaced; its workers are not to notice."""

from __future__ import annotations

import os
import signal
import time

from tests.faults.fault import fault
from tests.faults.scene import Scene
from tests.integration.fleet import Host
from tests.waiting import wait_until

_THEME = "A supervisor"


def _survived(scene: Scene, host: Host, replace: object) -> float:
    """The streams lose nothing while ``replace`` does its work; the seconds until status tells of them again."""
    streams = (scene.hit, scene.other)
    scene.hit.wait_healthy()
    pids = [stream.worker(host) for stream in streams]
    lost = [stream.unexplained() for stream in streams]
    began_s = time.monotonic()
    assert callable(replace)
    replace()
    wait_until(lambda: [stream.worker(host) for stream in streams] == pids, 20.0, "the workers to be adopted")
    healed_s = time.monotonic() - began_s
    for stream in streams:
        stream.wait_steady()
    assert [stream.unexplained() for stream in streams] == lost, "frames were lost"
    return healed_s


def _killed_and_started(host: Host) -> None:
    host.signal(signal.SIGKILL)
    host.start()


@fault(
    "reader's supervisor killed",
    theme=_THEME,
    how="SIGKILL to the supervisor that has the mirrors; started again at once, as systemd does",
    what="no frame is lost; the new supervisor adopts the workers, with the same PIDs",
    limit_s=5.0,
)
def lab_supervisor_killed(scene: Scene) -> float:
    return _survived(scene, scene.lab, lambda: _killed_and_started(scene.lab))


@fault(
    "owner's supervisor killed",
    theme=_THEME,
    how="SIGKILL to the supervisor that has the publishers; started again at once, as systemd does",
    what="no frame is lost; the new supervisor adopts the workers, with the same PIDs and ports",
    limit_s=5.0,
)
def rts_supervisor_killed(scene: Scene) -> float:
    return _survived(scene, scene.rts, lambda: _killed_and_started(scene.rts))


@fault(
    "supervisor stands still",
    theme=_THEME,
    how="SIGSTOP to a supervisor, SIGCONT 3 s later",
    what="no frame is lost, no worker is restarted",
    since="SIGCONT",
    limit_s=1.0,
)
def supervisor_stands_still(scene: Scene) -> float:
    def stand_still() -> None:
        os.kill(scene.lab.pid, signal.SIGSTOP)
        until_s = time.monotonic() + 3.0
        wait_until(lambda: time.monotonic() > until_s, 10.0, "the time to be over")
        os.kill(scene.lab.pid, signal.SIGCONT)

    return max(0.0, _survived(scene, scene.lab, stand_still) - 3.0)


@fault(
    "supervisor replaced by the installed version",
    theme=_THEME,
    how="`daosupctl reexec`",
    what="the process stays, no frame is lost; workers are renewed one at a time only where their version differs",
    limit_s=5.0,
)
def supervisor_replaced(scene: Scene) -> float:
    pid = scene.lab.pid

    def replace() -> None:
        scene.lab.call("reexec")
        scene.lab.wait_up()

    healed_s = _survived(scene, scene.lab, replace)
    assert scene.lab.status()["pid"] == pid
    return healed_s
