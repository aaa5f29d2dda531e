"""Pictures of frames, the inks they are drawn in, and what keys a terminal sends."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pytest

from daosup.ctl.ink import Ink, clipped, has_colours, ink_of, width_of
from daosup.ctl.keys import Keys
from daosup.ctl.picture import LEVELS, Scale, bars, image, trace

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
    lines = bars(values, 10, columns, ink, Scale.symmetric(values))
    assert len(lines) == 10
    assert {len(line) for line in lines} == {min(columns, 97) * (columns // min(columns, 97))}
    middle = bars(np.zeros(97), 10, 97, ink, Scale(-1, 1))
    assert [line.strip() == "" for line in middle] == [True] * 5 + [False] * 5


def test_no_room_is_no_picture() -> None:
    assert image(FRAME, 0, 80, Ink.ASCII) == bars(np.zeros(3), 5, 0, Ink.ASCII, Scale(0, 1)) == []
    assert trace(np.zeros(3), 0, 5, Ink.ASCII, Scale(0, 1)) == []


def test_the_scale_says_what_is_dark_and_bright() -> None:
    values = np.array([-1.0, 0.0, 5.0, 10.0, 11.0, np.nan, np.inf, -np.inf])
    assert Scale(0, 10).places(values).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0, 0.0, 1.0, 0.0]
    assert Scale(0, 10).levels(values).tolist() == [0, 0, round((LEVELS - 1) / 2), 255, 255, 0, 255, 0]
    assert Scale.of(values) == Scale(-1.0, 11.0)
    assert Scale.of(np.array([np.nan, np.inf])) == Scale(0.0, 0.0)
    assert Scale.of(np.array([3, 9], np.uint64), is_log=True) == Scale(3.0, 9.0, True)


def test_a_logarithmic_scale_raises_what_is_faint_and_keeps_the_order() -> None:
    values = np.linspace(0, 1, 1001)
    places = Scale(0, 1, is_log=True).places(values)
    assert places[0] == 0.0
    assert places[-1] == pytest.approx(1.0)
    assert places[1] == pytest.approx(0.1, abs=0.01)
    assert (np.diff(places) > 0).all()


def test_a_scale_with_zero_in_the_middle_stands_still() -> None:
    assert Scale.symmetric(np.array([0.1, -0.24])) == Scale(-0.25, 0.25)
    assert Scale.symmetric(np.array([0.3])) == Scale(-0.5, 0.5)
    assert Scale.symmetric(np.array([])) == Scale(-0.25, 0.25)


@pytest.mark.parametrize("ink", Ink)
@pytest.mark.parametrize("count", [1, 3, 80, 5000])
def test_a_trace_fills_the_room_and_has_no_holes(ink: Ink, count: int) -> None:
    values = np.sin(np.arange(count) / 3.0)
    lines = trace(values, 10, 40, ink, Scale(-1, 1))
    assert {len(line) for line in lines} == {40}
    assert len(lines) == 10
    assert all(any(line[column] != " " for line in lines) for column in range(40))


def test_a_trace_shows_a_single_spike_among_many_values() -> None:
    values = np.zeros(10000)
    values[4321] = 1.0
    lines = trace(values, 5, 20, Ink.ASCII, Scale(0, 1))
    assert lines[0].count("*") >= 1
    assert lines[-1] == "*" * 20


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


def test_width_is_what_is_seen() -> None:
    assert width_of("ab\033[31mcdef\033[0mgh") == 8


def test_words_are_coloured_unless_told_otherwise() -> None:
    assert has_colours({"TERM": "xterm"})
    assert not has_colours({"TERM": "xterm", "NO_COLOR": "1"})
    assert not has_colours({"TERM": "dumb"})
    assert not has_colours({})


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        (b"qQ+", ["q", "Q", "+"]),
        (
            b"\033[A\033[B\033OC\033[5~\033[6~\033[H\033OF",
            ["up", "down", "right", "page up", "page down", "home", "end"],
        ),
        (b"\r\x7f\x0c", ["enter", "backspace", "redraw"]),
        (b"\033[0nq", ["caught up", "q"]),
        (b"\033[99~\033[1;5Ax", ["x"]),
        (b"\033\033[A", ["escape", "up"]),
        ("é€".encode(), ["é", "€"]),
        (b"\xff\x00a", ["a"]),
    ],
)
def test_keys_have_names_however_the_line_cuts_them(sent: bytes, keys: list[str]) -> None:
    assert Keys().take(sent) == keys
    whole = Keys()
    assert [key for byte in sent for key in whole.take(bytes([byte]))] == keys


def test_escape_is_a_key_when_nothing_follows() -> None:
    keys = Keys()
    assert keys.take(b"a\033") == ["a"]
    assert keys.is_begun
    assert keys.give_up() == ["escape"]
    assert not keys.is_begun
    assert keys.take(b"\033x") == ["escape", "x"]
