"""Pictures and lines of the demonstration."""

from __future__ import annotations

import re
from typing import Any, Union

import numpy as np
import pytest

from daosup.ctl.ink import Ink
from daosup.ctl.tables import Style
from daosup.ctl.watching import Shot
from daosup.demo.camera import FRAMES, spots
from daosup.demo.deformable_mirror import commands
from daosup.demo.view import pictures, report, segments
from tests.status_samples import a_status, a_worker

PLAIN = Style(False)
FRAME = np.arange(240 * 240, dtype=np.uint16).reshape(240, 240)


def plain(line: str) -> str:
    return re.sub(r"\033\[[0-9;]*m", "", line)


def test_no_room_is_no_picture() -> None:
    shot = Shot("rts:wfs", 1, FRAME)
    assert pictures(shot, None, 4, 80, Ink.ASCII) == []


def test_pictures_say_when_there_is_no_frame() -> None:
    lines = pictures(None, None, 10, 80, Ink.ASCII)
    assert len(lines) == 10
    assert "camera: no frame yet" in lines[0]
    assert "deformable mirror: no frame yet" in lines[0]


@pytest.mark.parametrize("ink", Ink)
def test_pictures_stand_side_by_side(ink: Ink) -> None:
    lines = pictures(Shot("rts:wfs", 7, FRAME), Shot("rts:dm", 9, np.ones((97, 1), np.float32)), 15, 80, ink)
    assert "camera rts:wfs, frame 7" in lines[0]
    assert "rts:dm, frame 9" in lines[0]
    assert len(lines) == 15
    assert {plain(line)[28:31] for line in lines[1:]} == {"   "}
    assert max(len(plain(line)) for line in lines) <= 80


def test_the_report_has_workers_then_troubles_then_nothing_else() -> None:
    status = a_status(workers=[a_worker(restarts=1)])
    statuses: dict[str, Union[dict[str, Any], str]] = {"rts": status, "lab": "no daosupd at \033[2J"}
    lines = report(statuses, ["camera was killed by SIGKILL"], PLAIN, 80)
    assert "1234" in lines[1]
    assert lines[2:] == ["camera was killed by SIGKILL", "rts: mirror rts:wfs: restarted 1x", "lab: no daosupd at ?[2J"]
    down = a_status(workers=[], registry={"state": "down", "error": "refused"})
    assert report({"rts": down}, [], PLAIN, 80)[-1] == "rts: registry down (refused)"


def test_the_segments_line() -> None:
    assert segments(a_status()) == "rts:wfs 240x240 uint16"
    assert segments("gone") == segments(None) == ""


def test_the_simulations_are_cycles_without_a_jump() -> None:
    frames = spots()
    assert frames.shape == (FRAMES, 240, 240)
    assert frames.dtype == np.dtype("uint16")
    smooth = frames.astype(float)
    steps = np.abs(smooth - np.roll(smooth, 1, axis=0)).mean(axis=(1, 2))
    assert steps[0] < 2 * np.median(steps)
    shapes = commands()
    assert shapes.shape[1:] == (97, 1)
    assert shapes.dtype == np.dtype("float32")
    assert np.abs(shapes[0] - shapes[-1]).max() < 0.02
    assert 0.1 < np.abs(shapes).max() <= 1
