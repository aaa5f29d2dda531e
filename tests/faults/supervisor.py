"""The supervisor dies, stands still, or is replaced; its workers are not to notice."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from tests.faults.fault import fault
from tests.faults.scene import Scene
from tests.integration.fleet import Host
from tests.waiting import wait_until

_THEME = "A supervisor"


def _survived(scene: Scene, replace: Callable[[], object]) -> float:
    """The streams lose nothing while ``replace`` does its work; the seconds until status tells of them again."""
    pids = _pids(scene)
    with scene.undisturbed():
        began_s = time.monotonic()
        replace()
        wait_until(lambda: _pids(scene) == pids, 20.0, "the workers to be adopted")
        return time.monotonic() - began_s


def _pids(scene: Scene) -> list[int]:
    return [stream.worker(host) for stream in scene.streams for host in (scene.rts, scene.lab)]


def _killed_and_started(host: Host) -> None:
    host.signal(signal.SIGKILL)
    host.start()


@fault(
    "reader's supervisor killed",
    theme=_THEME,
    how="SIGKILL to the supervisor that has the mirrors; started again at once, as systemd does",
    what="no frame is lost; the new supervisor adopts the workers, with the same PIDs",
    limit_s=5.0,
    is_renewal=True,
)
def lab_supervisor_killed(scene: Scene) -> float:
    return _survived(scene, lambda: _killed_and_started(scene.lab))


@fault(
    "owner's supervisor killed",
    theme=_THEME,
    how="SIGKILL to the supervisor that has the publishers; started again at once, as systemd does",
    what="no frame is lost; the new supervisor adopts the workers, with the same PIDs and ports",
    limit_s=5.0,
    is_renewal=True,
)
def rts_supervisor_killed(scene: Scene) -> float:
    return _survived(scene, lambda: _killed_and_started(scene.rts))


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

    return max(0.0, _survived(scene, stand_still) - 3.0)


@fault(
    "supervisor replaced by the installed version",
    theme=_THEME,
    how="`daosupctl reexec`",
    what="the process stays, no frame is lost; workers are renewed one at a time only where their version differs",
    limit_s=5.0,
    is_renewal=True,
)
def supervisor_replaced(scene: Scene) -> float:
    pid = scene.lab.pid

    def replace() -> None:
        scene.lab.call("reexec")
        scene.lab.wait_up()

    healed_s = _survived(scene, replace)
    assert scene.lab.status()["pid"] == pid
    return healed_s
