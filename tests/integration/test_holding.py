"""What a program holds goes on over the end of the supervisor, without the program's doing."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from daosup.server.daemon import Daemon
from daosup.server.dao_server import DaoServer
from tests.integration.fleet import Fleet
from tests.integration.processes_seen import is_alive, stat_of
from tests.waiting import wait_until


def test_what_a_program_holds_is_held_again_and_released_in_the_end(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.start("rts", "lab")
    monkeypatch.setenv("DAOSUP_SOCKET", str(fleet.lab.socket))
    segment = fleet.rts.create("wfs")
    segment.write(np.full((16, 16), 1, "uint16"))
    program, other = Daemon(options=None), Daemon(options=None)
    try:
        program.mirror("rts:wfs", 20.0)
        pid = fleet.lab.worker_pid("rts:wfs")
        fleet.lab.signal(signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
        (fleet.lab.runtime / "lab.workers" / "mirrors").unlink()
        fleet.lab.start()  # it knows of nothing, but from the program
        pid = fleet.lab.worker_pid("rts:wfs")
        other.mirror("rts:wfs", 20.0)
        other.release("rts:wfs")
        assert fleet.lab.worker_pid("rts:wfs") == pid
        program.release("rts:wfs")
        wait_until(lambda: not is_alive(pid), 10.0, "the worker to end")
    finally:
        program.stop()
        other.stop()
    segment.unlink()
    segment.close()


def test_a_supervisor_of_a_programs_own_that_is_killed_is_replaced_in_the_background(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAOSUP_SOCKET", str(fleet.folder / "none.sock"))
    fleet.start("rts")
    name = f"holding{os.getpid()}"  # mirrored into /tmp, which is everybody's
    segment = fleet.rts.create(name)
    segment.write(np.full((16, 16), 1, "uint16"))
    server = DaoServer(redis_host="127.0.0.1", redis_port=fleet.redis.port or 0)
    try:
        mirror = server.get_remote_shm("rts", name)
        assert (mirror.get_data() == 1).all()
        process = server._daemon._process
        assert process is not None
        workers = workers_of(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        wait_until(lambda: not any(map(is_alive, workers)), 10.0, "its workers to end with it")
        segment.write(np.full((16, 16), 2, "uint16"))
        wait_until(lambda: bool((mirror.get_data() == 2).all()), 30.0, "the frame to come by another supervisor")
        server.release_remote_shm("rts", name)
    finally:
        server.stop()
    assert not Path(f"/tmp/remote_rts_{name}.im.shm").exists()
    segment.unlink()
    segment.close()


def workers_of(pid: int) -> list[int]:
    """The grandchildren: the fork server is the child."""
    every = {int(each): stat_of(int(each)) for each in os.listdir("/proc") if each.isdigit()}
    children = {each for each, fields in every.items() if fields and int(fields[1]) == pid}
    return [each for each, fields in every.items() if fields and int(fields[1]) in children]
