"""A worker dies, stands still, or cannot work at all."""

from __future__ import annotations

import os
import shutil
import signal
import time
from contextlib import ExitStack
from pathlib import Path

from daosup.shm import Segment
from tests.faults.fault import BY_BOTH, fault
from tests.faults.scene import HEAL_S, Scene, Stream
from tests.integration.fleet import Host
from tests.integration.processes_seen import child_of, is_alive
from tests.waiting import wait_until

_GRACE_S = 2.0
_THEME = "A worker"


def _signalled(scene: Scene, host: Host, number: int) -> float:
    stream: Stream = scene.hit
    stream.freshen()
    pid = stream.worker(host)
    with scene.other_undisturbed():
        outage_s = stream.outage_s(lambda: os.kill(pid, number))
    assert host.worker_pid(stream.source, other_than=pid) != pid
    said = str(stream.row(host)["last_exit"])
    # Of a worker that was adopted only its parent, which is gone, would know the signal, unless it left last words.
    died = (signal.Signals(number).name, "how is not known", str(signal.strsignal(number)))
    told = ("hung",) if number == signal.SIGSTOP else died
    assert any(each in said for each in told), said
    return outage_s


@fault(
    "publisher killed",
    theme=_THEME,
    how="SIGKILL to a publisher",
    what="its supervisor starts another on the same port, the mirror goes on with the next frame; "
    "`status` shows the restart and `killed by SIGKILL`; the other stream loses nothing",
    limit_s=0.5,
    transports=BY_BOTH,
)
def publisher_killed(scene: Scene) -> float:
    return _signalled(scene, scene.rts, signal.SIGKILL)


@fault(
    "mirror killed",
    theme=_THEME,
    how="SIGKILL to the mirror's worker",
    what="another one goes on in the same mirror file; readers that have it open notice only a pause",
    limit_s=0.5,
    transports=BY_BOTH,
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
    transports=BY_BOTH,
)
def publisher_hangs(scene: Scene) -> float:
    return _signalled(scene, scene.rts, signal.SIGSTOP)


@fault(
    "mirror hangs",
    theme=_THEME,
    how="SIGSTOP to the mirror's worker",
    what="its stamp stands still: it is killed and replaced, and the log says hung, not crashed",
    limit_s=2.0,
    transports=BY_BOTH,
)
def mirror_hangs(scene: Scene) -> float:
    return _signalled(scene, scene.lab, signal.SIGSTOP)


@fault(
    "fork server killed",
    theme=_THEME,
    how="SIGKILL to the process that workers are forked from",
    what="no worker notices and no frame is lost; there is another fork server at once, and the next worker that is "
    "needed (a mirror's, killed for that) comes from it",
    since="the next worker's death",
    limit_s=0.5,
)
def fork_server_killed(scene: Scene) -> float:
    scene.hit.freshen()
    pid = scene.hit.worker(scene.lab)
    server = child_of(scene.lab.pid, "dao-fork-server")
    with scene.undisturbed():
        os.kill(server, signal.SIGKILL)
        wait_until(lambda: not is_alive(server), HEAL_S, "the fork server to be dead")
    with scene.other_undisturbed():
        outage_s = scene.hit.outage_s(lambda: os.kill(pid, signal.SIGKILL))
    assert scene.hit.worker(scene.lab) != pid
    return outage_s


def _short_grace(scene: Scene, _stack: ExitStack) -> None:
    scene.lab.configure(f"[workers]\norphan_grace_s = {_GRACE_S}\n")


@fault(
    "supervisor gone without a successor",
    theme=_THEME,
    how=f"SIGKILL to the supervisor that has the mirrors; the next one comes when all its workers have ended "
    f"(`orphan_grace_s`, 30 s, is {_GRACE_S:g} s here)",
    what="workers end by themselves when the grace is over, not before and not later than 2 s after; mirrors say that "
    "they are stale and keep their last frame; the next supervisor goes on in the same files",
    since="the next supervisor's start",
    limit_s=5.0,
    prepare=_short_grace,
    is_wide=True,
    is_renewal=True,
)
def no_successor(scene: Scene) -> float:
    lab = scene.lab
    inodes = [stream.mirror_file.stat().st_ino for stream in scene.streams]
    lab.signal(signal.SIGKILL)
    began_s = time.monotonic()
    wait_until(lambda: not lab.processes(), HEAL_S, "its workers to end")
    took_s = time.monotonic() - began_s
    assert _GRACE_S - 0.5 < took_s < _GRACE_S + 2.0, f"workers ended after {took_s:.1f} s"
    for stream in scene.streams:
        with Segment.open(stream.mirror_file, writable=False) as mirror:
            assert mirror.keywords["NET_LINK"] == 0
    began_s = time.monotonic()
    lab.start()
    healed_s = max(stream.first_frame_s(began_s) for stream in scene.streams)
    assert [stream.mirror_file.stat().st_ino for stream in scene.streams] == inodes
    return healed_s


def _power_cut(scene: Scene, host: Host) -> None:
    """What lay in memory is gone as well."""
    host.kill_all()
    for folder in (host.runtime, host.segments):
        shutil.rmtree(folder)
        folder.mkdir()
    for stream in scene.streams:
        name = stream.name if host is scene.rts else stream.mirror_file.name.removesuffix(".im.shm")
        for semaphore in Path("/dev/shm").glob(f"sem.{name}_sem*"):
            semaphore.unlink()


@fault(
    "owner loses power",
    theme=_THEME,
    how="SIGKILL to every process of the owner, the cameras too, and all that lay in memory is removed (segments, "
    "semaphores, the runtime folder); then its supervisor and its cameras start",
    what="the other host's mirrors say that they are stale and keep their last frame; they go on by themselves, in the "
    "same files",
    since="its supervisor's start",
    limit_s=5.0,
    is_wide=True,
    is_renewal=True,
)
def owner_loses_power(scene: Scene) -> float:
    inodes = [stream.mirror_file.stat().st_ino for stream in scene.streams]
    for stream in scene.streams:
        stream.kill_camera()
    _power_cut(scene, scene.rts)
    for stream in scene.streams:
        wait_until(lambda: stream.row(scene.lab)["link"] == "down", HEAL_S, "the mirror to be stale")  # noqa: B023
    began_s = time.monotonic()
    scene.rts.spawn()
    for stream in scene.streams:
        stream.film()
    scene.rts.wait_up()
    healed_s = max(stream.first_frame_s(began_s) for stream in scene.streams)
    assert [stream.mirror_file.stat().st_ino for stream in scene.streams] == inodes
    return healed_s


@fault(
    "reader loses power",
    theme=_THEME,
    how="as the owner, but the host that has the mirrors; they were asked for with `daosupctl mirror --keep`",
    what="the kept mirrors are there again; the owner's publishers go on",
    since="its supervisor's start",
    limit_s=5.0,
    is_wide=True,
    is_renewal=True,
)
def reader_loses_power(scene: Scene) -> float:
    for stream in scene.streams:
        scene.lab.call("mirror", source=stream.source, keep=True, wait_s=20)
    publishers = [stream.worker(scene.rts) for stream in scene.streams]
    _power_cut(scene, scene.lab)
    began_s = time.monotonic()
    scene.lab.start()
    healed_s = max(stream.first_frame_s(began_s) for stream in scene.streams)
    assert [stream.worker(scene.rts) for stream in scene.streams] == publishers
    return healed_s
