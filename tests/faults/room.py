"""There is no room or no right to make what is needed, or something lies in its place."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.faults.fault import fault
from tests.faults.scene import HEAL_S, SIDE, Scene
from tests.integration.obstacles import WITHOUT_OVERRIDE, ask_without_waiting, row, wait_for_reason
from tests.mounts import is_private, resize, small
from tests.waiting import wait_until

_THEME = "Room and rights"
_LIMIT_S = 1.0
_SINCE = "the cause's end"
_SHM = Path("/dev/shm")
_ROOM = "4m"


def on_a_small_disk(scene: Scene, stack: ExitStack) -> None:
    """The mirrors have a file system of their own."""
    _need_root()
    stack.enter_context(small(scene.lab.segments, _ROOM))


def with_semaphores_apart(_scene: Scene, stack: ExitStack) -> None:
    """/dev/shm is ours alone; it is as large as before in the end."""
    _need_root()
    if not is_private(_SHM):
        raise RuntimeError("/dev/shm is not this run's own")
    stack.callback(resize, _SHM, "50%")


def _need_root() -> None:
    if os.geteuid() != 0:
        raise RuntimeError("takes root: a small file system has to be mounted")


@contextmanager
def _full(folder: Path) -> Iterator[None]:
    """Not one page more can be written into a folder on a file system of its own."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    try:
        yield
    finally:
        ballast.unlink()


def _not_made(scene: Scene, begin: Callable[[], object], end: Callable[[], object], *words: str) -> float:
    """A mirror that was given back is asked for while it cannot be made, and is made when the cause has ended."""
    stream, lab = scene.hit, scene.lab
    with scene.other_undisturbed():
        scene.hosts.remove(stream.source)
        # A file that somebody has open takes its room.
        wait_until(lambda: str(stream.mirror_file) not in Path("/proc/self/maps").read_text(), HEAL_S, "it to be left")
        begin()
        with ask_without_waiting(lab, stream.source) as asking:
            wait_for_reason(lab, stream.source, *words)
            pid = row(lab, stream.source)["pid"]
            end()
            healed_s = scene.hit.first_frame_s(time.monotonic())
            assert asking.wait(10.0) == 0
        made = row(lab, stream.source)
        assert (made["state"], made["reason"], made["pid"], made["restarts"]) == ("running", None, pid, 0), made
    return healed_s


_WAITS = "`status` says why; the worker waits and tries on, and makes it in the moment it can; no worker ends"


@fault(
    "no room for a mirror",
    theme=_THEME,
    how="the file system of the mirrors is full when one is to be made; then there is room",
    what=_WAITS,
    since=_SINCE,
    limit_s=_LIMIT_S,
    prepare=on_a_small_disk,
)
def no_room_for_a_mirror(scene: Scene) -> float:
    with ExitStack() as stack:
        return _not_made(
            scene,
            lambda: stack.enter_context(_full(scene.lab.segments)),
            stack.close,
            "No space left on device",
        )


@fault(
    "no room for a mirror that grows",
    theme=_THEME,
    how="the source is made anew with four times as many pixels while the file system of the mirrors is full",
    what="the old mirror is stale, with its last frame; " + _WAITS,
    since=_SINCE,
    limit_s=_LIMIT_S,
    prepare=on_a_small_disk,
)
def no_room_to_grow(scene: Scene) -> float:
    stream = scene.hit
    with scene.other_undisturbed():
        stream.stop_filming()
        pid = stream.row(scene.lab)["pid"]
        with _full(scene.lab.segments):
            stream.film(side=2 * SIDE)
            wait_for_reason(scene.lab, stream.source, "No space left on device")
        healed_s = scene.hit.first_frame_s(time.monotonic())
        assert stream.worker(scene.lab) == pid
        stream.stop_filming()
        stream.film()
        stream.wait_steady()
    return healed_s


@fault(
    "no room for semaphores",
    theme=_THEME,
    how="/dev/shm is full when a mirror is to be made; then there is room",
    what=_WAITS + "; no half-made mirror lies about",
    since=_SINCE,
    limit_s=_LIMIT_S,
    prepare=with_semaphores_apart,
)
def no_room_for_semaphores(scene: Scene) -> float:
    def fill() -> None:
        found = os.statvfs(_SHM)
        used = (found.f_blocks - found.f_bfree) * found.f_frsize
        resize(_SHM, str(max(used, 4096)))
        if not used:  # tmpfs has no size of nothing
            (_SHM / "ballast").write_bytes(bytes(4096))

    def make_room() -> None:
        assert not scene.hit.mirror_file.exists()
        resize(_SHM, "50%")

    return _not_made(scene, fill, make_room, "semaphore", "No space left on device")


@fault(
    "folder in the mirror's place",
    theme=_THEME,
    how="a folder of the mirror's name lies there when it is to be made; then it is taken away",
    what=_WAITS,
    since=_SINCE,
    limit_s=_LIMIT_S,
)
def folder_in_its_place(scene: Scene) -> float:
    place = scene.hit.mirror_file
    return _not_made(scene, place.mkdir, place.rmdir, str(place), "it is a folder")


def without_override(scene: Scene, _stack: ExitStack) -> None:
    """Root may open everything; the owner of the sources does not have that right here."""
    scene.rts.launcher = [sys.executable, "-c", WITHOUT_OVERRIDE]


@fault(
    "source may not be read any more",
    theme=_THEME,
    how="`chmod 0` of a source that is written all the time, then its mode is given back",
    what="`status` says `Permission denied`; the mirror is stale, with its last frame, and goes on in the same file",
    since=_SINCE,
    limit_s=_LIMIT_S,
    prepare=without_override,
)
def source_unreadable(scene: Scene) -> float:
    stream = scene.hit
    mode = stream.file.stat().st_mode & 0o777
    inode = stream.mirror_file.stat().st_ino
    with scene.other_undisturbed():
        os.chmod(stream.file, 0)
        refused = wait_until(lambda: scene.rts.status()["segment_folder"]["refused"], HEAL_S, "it to be refused")
        assert [each["name"] for each in refused] == [stream.name], refused
        assert "Permission denied" in refused[0]["reason"], refused
        wait_until(lambda: stream.row(scene.lab).get("link") != "up", HEAL_S, "the mirror to be stale")
        os.chmod(stream.file, mode)
        healed_s = scene.hit.first_frame_s(time.monotonic())
        wait_until(lambda: not scene.rts.status()["segment_folder"]["refused"], HEAL_S, "nothing to be refused")
    assert stream.mirror_file.stat().st_ino == inode
    return healed_s
