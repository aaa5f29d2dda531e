"""Pictures and lines of the demonstration."""

from __future__ import annotations

import re
from typing import Any, Union

import numpy as np
import numpy.typing as npt
import pytest

from daosup.ctl.tables import Style
from daosup.demo.camera import FRAMES, spots
from daosup.demo.deformable_mirror import commands
from daosup.demo.picture import Ink, bars, image
from daosup.demo.screen import clipped, ink_of
from daosup.demo.view import Shot, pictures, report, segments
from tests.status_samples import a_status, a_worker

PLAIN = Style(False)
FRAME = np.arange(240 * 240, dtype=np.uint16).reshape(240, 240)


def plain(line: str) -> str:
    return re.sub(r"\033\[[0-9;]*m", "", line)


@pytest.mark.parametrize("ink", Ink)
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 80), (14, 28), (40, 20), (200, 500)])
def test_an_image_keeps_its_aspect_within_the_room_it_has(ink: Ink, rows: int, columns: int) -> None:
    lines = [plain(line) for line in image(FRAME, rows, columns, ink)]
    assert 1 <= len(lines) <= rows
    assert {len(line) for line in lines} <= set(range(1, columns + 1))
    if min(rows, columns) > 10:
        assert len(lines[0]) == pytest.approx(2 * len(lines), abs=2)


@pytest.mark.parametrize("ink", Ink)
@pytest.mark.parametrize("frame", [np.zeros((240, 240), np.uint16), np.full((1, 1), 65535, np.uint16), FRAME[:1]])
def test_any_frame_has_an_image(ink: Ink, frame: npt.NDArray[np.uint16]) -> None:
    assert image(frame, 10, 20, ink)


def test_a_small_spot_survives_being_shrunk() -> None:
    frame = np.zeros((240, 240), np.uint16)
    frame[123, 45] = 1000
    text = "".join(image(frame, 5, 10, Ink.ASCII))
    assert text.count("@") == 1


@pytest.mark.parametrize("ink", Ink)
@pytest.mark.parametrize("columns", [1, 46, 97, 300])
def test_bars_fill_the_room_and_show_zero_half_way_up(ink: Ink, columns: int) -> None:
    values = np.linspace(-1, 1, 97).astype(np.float32)
    lines = bars(values, 10, columns, ink)
    assert len(lines) == 10
    assert {len(line) for line in lines} == {min(columns, 97) * (columns // min(columns, 97))}
    middle = bars(np.zeros(97), 10, 97, ink)
    assert [line.strip() == "" for line in middle] == [True] * 5 + [False] * 5


def test_no_room_is_no_picture() -> None:
    shot = Shot("rts:wfs", 1, FRAME)
    assert pictures(shot, None, 4, 80, Ink.ASCII) == []
    assert image(FRAME, 0, 80, Ink.ASCII) == bars(np.zeros(3), 5, 0, Ink.ASCII) == []


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


@pytest.mark.parametrize(
    ("environment", "encoding", "ink"),
    [
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, "utf-8", Ink.TRUE_COLOUR),
        ({"TERM": "xterm-256color"}, "UTF-8", Ink.COLOURS_256),
        ({"TERM": "xterm"}, "utf-8", Ink.UNICODE),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor", "NO_COLOR": "1"}, "utf-8", Ink.UNICODE),
        ({"TERM": "dumb"}, "utf-8", Ink.UNICODE),
        ({}, "utf-8", Ink.UNICODE),
        ({"TERM": "xterm-256color"}, "iso-8859-1", Ink.ASCII),
    ],
)
def test_the_terminal_tells_the_ink(environment: dict[str, str], encoding: str, ink: Ink) -> None:
    assert ink_of(environment, encoding) is ink


def test_clipping_counts_characters_and_keeps_colours() -> None:
    line = "ab\033[31mcdef\033[0mgh"
    assert clipped(line, 4) == "ab\033[31mcd\033[0m"
    assert clipped(line, 0) == "\033[31m\033[0m"
    assert clipped(line, 80) == line


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
