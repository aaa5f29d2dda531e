"""What a crash of a whole host leaves behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.faults.fault import fault
from tests.faults.scene import HEAL_S, Scene
from tests.integration.registry_hosts import all_keys
from tests.waiting import wait_until

_THEME = "What a crash leaves behind"
_CLAIMED_S = 3.0
#: As much shorter as that, too, is the time before what nobody remembers is removed.
_QUICK = f"""
import daosup.core.host as host
import daosup.core.mirrors as mirrors
mirrors.ADOPTED_S = {_CLAIMED_S}
host.LEFTOVER_GRACE_S = {_CLAIMED_S}
"""


def _left(scene: Scene, name: str) -> list[str]:
    folders = (scene.lab.segments, Path("/dev/shm"))
    return [each for folder in folders for each in os.listdir(folder) if name in each]


@fault(
    "leftovers of a reader's crash",
    theme=_THEME,
    how="SIGKILL to every process of the host with the mirrors, one of which only a program had asked for; "
    f"started again (the program has {_CLAIMED_S:g} s to come back here, in place of 30 s)",
    what="mirrors that are still wanted go on in the same files; the other one is removed with its semaphores and a "
    "file that was just being made, and the owner stops publishing it; what cannot be proved ours stays",
    since="the start",
    limit_s=_CLAIMED_S + 3.0,
    is_wide=True,
    is_renewal=True,
)
def leftovers_of_a_reader(scene: Scene) -> float:
    lab = scene.lab
    stranger = lab.segments / "remote_of_another_program.im.shm"
    stranger.write_bytes(b"?")
    unwanted = f"unwanted{os.getpid()}"
    segment = scene.rts.create(unwanted)
    lab.call("mirror", source=f"rts:{unwanted}", holder="program", wait_s=20)
    (lab.segments / f".remote_rts_{unwanted}.im.shm.0a1b2c3d.new").touch()
    assert _left(scene, f"remote_rts_{unwanted}")
    inodes = [each.mirror_file.stat().st_ino for each in scene.streams]
    lab.kill_all()
    began_s = time.monotonic()
    lab.spawn(before=_QUICK)
    lab.wait_up()
    wait_until(lambda: not _left(scene, f"remote_rts_{unwanted}"), HEAL_S, "what is not wanted to be removed")
    healed_s = time.monotonic() - began_s
    wait_until(lambda: scene.rts.worker(f"rts:{unwanted}") is None, HEAL_S, "the owner to stop publishing it")
    for each in scene.streams:
        each.wait_steady()
    assert [each.mirror_file.stat().st_ino for each in scene.streams] == inodes
    assert stranger.read_bytes() == b"?"
    segment.unlink()
    segment.close()
    stranger.unlink()
    return healed_s


@fault(
    "leftovers of an owner's crash",
    theme=_THEME,
    how="SIGKILL to every process of the owner; one of its segments is removed before it starts again",
    what="the registry's keys of the segment that is gone are removed, and no others; the streams go on",
    since="the start",
    limit_s=5.0,
    is_wide=True,
    is_renewal=True,
)
def leftovers_of_an_owner(scene: Scene) -> float:
    rts = scene.rts
    gone = f"gone{os.getpid()}"
    segment = rts.create(gone)
    registry = scene.hosts.redis.address

    def keys() -> list[bytes]:
        return [key for key in all_keys(registry) if gone.encode() in key]

    assert keys()
    rts.kill_all()
    segment.unlink()
    segment.close()
    assert keys()
    began_s = time.monotonic()
    rts.start()
    wait_until(lambda: not keys(), HEAL_S, "its keys to be gone")
    healed_s = time.monotonic() - began_s
    frames_s = [stream.first_frame_s(began_s) for stream in scene.streams]
    names = {each["name"] for each in rts.status()["segments"]}
    assert names == {stream.name for stream in scene.streams}, names
    return max(healed_s, *frames_s)
