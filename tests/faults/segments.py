"""A segment is made anew, spoiled or taken away, on either host."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from daosup.shm import Segment
from tests.faults.fault import BY_BOTH, fault
from tests.faults.scene import SIDE, Scene
from tests.waiting import wait_until

_THEME = "A segment"
_LIMIT_S = 1.0
_SINCE = "the new segment's first frame"


def _made_anew(scene: Scene, end: Callable[[], object], **otherwise: object) -> float:
    """The source ends, and comes back as ``otherwise`` says; then as it was before. The slower of the two."""
    stream = scene.hit
    times_s = []
    for options in (otherwise, {}):
        ended_s = time.monotonic()
        end()
        stream.film(**options)
        filmed_s = time.monotonic()
        stream.wait_steady()
        first_s = next(t for t in stream.sight.arrivals_s if t > ended_s and _is_new(t, stream.sight.arrivals_s))
        times_s.append(max(0.0, first_s - filmed_s))
        with Segment.open(stream.mirror_file, writable=False) as mirror, Segment.open(stream.file) as source:
            ours, theirs = mirror.geometry, source.geometry
            assert (ours.layout, ours.dtype, ours.shape, ours.depth) == (
                theirs.layout,
                theirs.dtype,
                theirs.shape,
                theirs.depth,
            )
    return max(times_s)


def _is_new(t: float, arrivals_s: list[float]) -> bool:
    """Whether a frame came after the pause between two cameras, and not from the first one's last moments."""
    before = [other for other in arrivals_s if other < t]
    return not before or t - before[-1] > 0.05


for _what, _options in (
    ("shape", {"side": SIDE // 2}),
    ("dtype", {"dtype": "float32"}),
    ("depth", {"depth": 8}),
    ("layout", {"layout": "v0"}),
):

    def _run(scene: Scene, options: dict[str, object] = _options) -> float:  # type: ignore[assignment]
        with scene.other_undisturbed():
            return _made_anew(scene, scene.hit.stop_filming, **options)

    fault(
        f"source made anew with another {_what}",
        theme=_THEME,
        how=f"its program ends and another one makes the segment with another {_what}",
        what="the mirror is made anew like it, in a new file; who has the old one open sees it as lost",
        since=_SINCE,
        limit_s=_LIMIT_S,
        transports=BY_BOTH,
    )(_run)


@fault(
    "writer killed",
    theme=_THEME,
    how="SIGKILL to the program that writes a source, which then starts again and makes its segment anew",
    what="the mirror keeps its last frame and follows the new segment",
    since=_SINCE,
    limit_s=_LIMIT_S,
)
def writer_killed(scene: Scene) -> float:
    with scene.other_undisturbed():
        return _made_anew(scene, scene.hit.kill_camera)


def _spoiled(scene: Scene, spoil: Callable[[], object]) -> float:
    def end() -> None:
        noticed = scene.rts.log.count("publisher away")
        scene.hit.kill_camera()
        spoil()
        wait_until(lambda: scene.rts.log.count("publisher away") > noticed, 10.0, "the publisher to notice")

    with scene.other_undisturbed():
        return _made_anew(scene, end)


@fault(
    "source unlinked",
    theme=_THEME,
    how="its program is killed and its file unlinked, then it is made anew",
    what="the mirror keeps its last frame and follows the new segment",
    since=_SINCE,
    limit_s=_LIMIT_S,
)
def source_unlinked(scene: Scene) -> float:
    return _spoiled(scene, lambda: os.unlink(scene.hit.file))


@fault(
    "source truncated",
    theme=_THEME,
    how="the file is cut to half its size while it is open everywhere, then made anew",
    what="no process crashes; the mirror keeps its last frame and follows the new segment",
    since=_SINCE,
    limit_s=_LIMIT_S,
    transports=BY_BOTH,
)
def source_truncated(scene: Scene) -> float:
    return _spoiled(scene, lambda: os.truncate(scene.hit.file, scene.hit.file.stat().st_size // 2))


@fault(
    "source replaced by garbage",
    theme=_THEME,
    how="the file's bytes are overwritten with random ones, then it is made anew",
    what="no process crashes; the mirror keeps its last frame and follows the new segment",
    since=_SINCE,
    limit_s=_LIMIT_S,
)
def source_garbage(scene: Scene) -> float:
    def spoil() -> None:
        size = scene.hit.file.stat().st_size
        scene.hit.file.write_bytes(os.urandom(size))

    return _spoiled(scene, spoil)


@fault(
    "mirror removed",
    theme=_THEME,
    how="the mirror's file is unlinked on the reading host",
    what="it is made anew; who has the old one open sees it as lost",
    limit_s=_LIMIT_S,
)
def mirror_removed(scene: Scene) -> float:
    with scene.other_undisturbed():
        return scene.hit.outage_s(scene.hit.mirror_file.unlink)


@fault(
    "mirror truncated",
    theme=_THEME,
    how="the mirror's file is cut to nothing on the reading host",
    what="no process crashes; it is made anew",
    limit_s=_LIMIT_S,
)
def mirror_truncated(scene: Scene) -> float:
    with scene.other_undisturbed():
        return scene.hit.outage_s(lambda: os.truncate(scene.hit.mirror_file, 0))
