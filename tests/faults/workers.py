"""A worker dies, stands still, or cannot work at all."""

from __future__ import annotations

import os
import signal

from tests.faults.fault import fault
from tests.faults.scene import Scene, Stream
from tests.integration.fleet import Host
from tests.integration.processes_seen import stat_of
from tests.waiting import wait_until

_THEME = "A worker"


def _signalled(scene: Scene, host: Host, number: int) -> float:
    stream: Stream = scene.hit
    stream.wait_healthy()
    pid = stream.worker(host)
    with scene.other_undisturbed():
        outage_s = stream.outage_s(lambda: os.kill(pid, number))
    assert host.worker_pid(stream.source, other_than=pid) != pid
    said = str(stream.row(host)["last_exit"])
    assert ("hung" in said) if number == signal.SIGSTOP else (signal.Signals(number).name in said), said
    return outage_s


@fault(
    "publisher killed",
    theme=_THEME,
    how="SIGKILL to a publisher",
    what="its supervisor starts another on the same port, the mirror goes on with the next frame; "
    "`status` shows the restart and `killed by SIGKILL`; the other stream loses nothing",
    limit_s=0.5,
)
def publisher_killed(scene: Scene) -> float:
    return _signalled(scene, scene.rts, signal.SIGKILL)


@fault(
    "mirror killed",
    theme=_THEME,
    how="SIGKILL to the mirror's worker",
    what="another one goes on in the same mirror file; readers that have it open notice only a pause",
    limit_s=0.5,
)
def mirror_killed(scene: Scene) -> float:
    return _signalled(scene, scene.lab, signal.SIGKILL)


@fault(
    "worker crashed in native code",
    theme=_THEME,
    how="SIGSEGV to the mirror's worker",
    what="as killed; the last lines of its traceback are in `status` and in the log",
    limit_s=0.5,
)
def mirror_crashed(scene: Scene) -> float:
    return _signalled(scene, scene.lab, signal.SIGSEGV)


@fault(
    "publisher hangs",
    theme=_THEME,
    how="SIGSTOP to the publisher",
    what="its stamp stands still: it is killed and replaced, and the log says hung, not crashed",
    limit_s=2.0,
)
def publisher_hangs(scene: Scene) -> float:
    return _signalled(scene, scene.rts, signal.SIGSTOP)


@fault(
    "mirror hangs",
    theme=_THEME,
    how="SIGSTOP to the mirror's worker",
    what="its stamp stands still: it is killed and replaced, and the log says hung, not crashed",
    limit_s=2.0,
)
def mirror_hangs(scene: Scene) -> float:
    return _signalled(scene, scene.lab, signal.SIGSTOP)


@fault(
    "fork server killed",
    theme=_THEME,
    how="SIGKILL to the process that workers are forked from",
    what="no worker notices and no frame is lost; the next worker that is needed brings a new fork server",
    limit_s=0.5,
)
def fork_server_killed(scene: Scene) -> float:
    scene.hit.wait_healthy()
    pids = [stream.worker(scene.lab) for stream in (scene.hit, scene.other)]
    server = int(stat_of(pids[0])[1])
    outage_s = scene.hit.outage_s(lambda: os.kill(server, signal.SIGKILL))
    assert [stream.worker(scene.lab) for stream in (scene.hit, scene.other)] == pids
    os.kill(pids[0], signal.SIGKILL)
    wait_until(lambda: scene.hit.worker(scene.lab) != pids[0], 10.0, "a worker from the new fork server")
    scene.hit.wait_steady()
    return outage_s
