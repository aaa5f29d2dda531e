"""The supervisor dies, stands still, or is replaced; its workers are not to notice."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.fault import fault
from tests.faults.scene import HEAL_S, Scene
from tests.integration.fleet import Host
from tests.integration.registry_hosts import raw
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
    healed_s = _survived(scene, scene.lab.reexec)
    assert scene.lab.status()["pid"] == pid
    return healed_s


@fault(
    "wrong configuration",
    theme=_THEME,
    how="a file with mistakes, then SIGHUP; then the right file and SIGHUP",
    what="all of it is refused, the one before stays in force; the mistakes are in the log and in `status` until they "
    "are mended; no worker and no frame is touched",
    since="the second SIGHUP",
    limit_s=1.0,
)
def wrong_configuration(scene: Scene) -> float:
    lab = scene.lab
    right = lab.config.read_text()
    refused = lab.log.count("configuration refused; the one before stays in force")

    def mistakes() -> list[str]:
        found: list[str] = lab.status()["config"]["mistakes"]
        return found

    with scene.undisturbed():
        try:
            lab.config.write_text(right + '[log]\nlevel = "loud"\n[mirrors]\nmode = "0600"\n')
            os.kill(lab.pid, signal.SIGHUP)
            said = wait_until(mistakes, HEAL_S, "the mistake in the status")
            assert any("log.level is 'loud', not one of" in each for each in said), said
            assert lab.log.count("configuration refused; the one before stays in force") > refused
        finally:
            lab.config.write_text(right)
        os.kill(lab.pid, signal.SIGHUP)
        began_s = time.monotonic()
        wait_until(lambda: not mistakes(), HEAL_S, "the mistake to be gone")
        return time.monotonic() - began_s


@fault(
    "supervisor hangs in a stop",
    theme=_THEME,
    how="SIGSTOP to a supervisor and a worker, SIGTERM in vain, SIGKILL as when systemd's patience is over, then "
    "`daosupd --after-stop` with `SERVICE_RESULT=timeout`",
    what="every worker ends, also the one that hears nothing, and nothing is left: no process, mirror, semaphore or "
    "socket; the next start begins as after any stop",
    since="the start of `--after-stop`, until nothing is left",
    limit_s=5.0,
    is_wide=True,
    is_renewal=True,
)
def hangs_in_a_stop(scene: Scene) -> float:
    lab = scene.lab
    for pid in (lab.pid, scene.hit.worker(lab)):
        os.kill(pid, signal.SIGSTOP)
    os.kill(lab.pid, signal.SIGTERM)
    lab.signal(signal.SIGKILL)
    began_s = time.monotonic()
    assert lab.after_stop("timeout") == 0
    healed_s = time.monotonic() - began_s
    assert lab.left_behind() == []
    lab.start()
    for stream in scene.streams:
        lab.mirror(stream.source).close()
        stream.wait_steady()
    return healed_s


@fault(
    "two hosts with one name",
    theme=_THEME,
    how="a second supervisor with the name of a running host, as on another machine",
    what="the one that started later says who has the name, and ends with exit code 69; no frame is lost, and the "
    "registry tells of the first one",
    since="its start",
    limit_s=5.0,
)
def two_hosts_with_one_name(scene: Scene) -> float:
    with tempfile.TemporaryDirectory(dir=scene.hosts.folder) as folder, scene.undisturbed():
        twin = Host("rts", Path(folder) / "twin", scene.hosts.redis.tcp_address)
        try:
            began_s = time.monotonic()
            twin.spawn()
            assert twin.wait() == 69, twin.log
            healed_s = time.monotonic() - began_s
            assert f"another daosupd, pid {scene.rts.pid} at " in twin.log, twin.log
            assert twin.processes() == []
        finally:
            twin.close()
        speaker = raw(scene.hosts.redis.address, ("GET", "daosup:host:rts"))[0]
        assert b'"pid": %d' % scene.rts.pid in speaker, speaker
    return healed_s
