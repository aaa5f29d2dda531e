"""What is on the screen of `daosupctl top`, and what its keys do."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from daosup.ctl.ink import width_of
from daosup.ctl.tables import Style
from daosup.ctl.top.screen import DO, QUIT, VIEW, Top
from daosup.ctl.top.workers import SORTABLE, matching, ordered
from tests.status_samples import a_status, a_worker

PLAIN = Style(False)
SIZE = (80, 24)
NAMES = ("wfs", "dm", "slopes", "gain")


def workers(**changes: Any) -> list[dict[str, Any]]:
    return [
        a_worker(source=f"rts:{name}", rate_hz=100.0 * (index + 1), pid=index + 1, **changes)
        for index, name in enumerate(NAMES)
    ]


def a_top(*rows: dict[str, Any]) -> Top:
    return Top(a_status(workers=list(rows) or workers()))


def drawn(top: Top, size: tuple[int, int] = SIZE, **more: Any) -> list[str]:
    return [re.sub(r"\033\[[0-9;]*m", "", line).rstrip() for line in top.lines(size, PLAIN, **more)]


def press(top: Top, *keys: str) -> list[Any]:
    orders = [top.press(key) for key in keys]
    return [(order.verb, order.command, order.name) for order in orders if order is not None]


def sources(top: Top) -> list[str]:
    return [line.split()[1] for line in drawn(top) if line.startswith("mirror ")]


def selected(top: Top) -> str:
    line = next(line for line in top.lines(SIZE, PLAIN) if line.startswith("\033[7m"))
    return line.split()[1]


@pytest.mark.parametrize("size", [(80, 24), (160, 50), (80, 10), (200, 6)])
def test_the_screen_is_full_and_no_wider(size: tuple[int, int]) -> None:
    many = [a_worker(source=f"rts:a_rather_long_name_{n}", pid=n) for n in range(100)]
    lines = a_top(*many).lines(size, Style(True))
    assert len(lines) == size[1]
    assert all(width_of(line) <= size[0] for line in lines)
    assert len([line for line in lines if "rather" in line]) == size[1] - 5


def test_what_is_not_well_is_on_top_and_its_trouble_is_told() -> None:
    top = a_top(*workers(), a_worker(source="rts:bad", state="failed", reason="it crashed"))
    assert sources(top)[0] == "rts:bad"
    assert drawn(top)[-2] == "it crashed"
    cut = a_top(*workers(), a_worker(source="rts:zz", link="down"))
    assert sources(cut)[0] == "rts:zz"


def test_the_selected_worker_stays_selected_wherever_it_moves() -> None:
    top = a_top()
    press(top, "down", "down")
    assert selected(top) == "rts:slopes"
    top.take(a_status(workers=[*workers(), a_worker(source="rts:aaa")]))
    assert selected(top) == "rts:slopes"
    top.take(a_status(workers=[each for each in workers() if each["source"] != "rts:slopes"]))
    assert selected(top) == "rts:wfs"
    top.take(a_status(workers=[]))
    assert drawn(top)[2] == "no workers"
    assert press(top, "v", "R", "enter", "down", "end") == []


def test_keys_move_and_the_table_scrolls_with_them() -> None:
    top = a_top(*(a_worker(source=f"rts:w{n:03}", pid=n) for n in range(100)))
    drawn(top)
    press(top, "page down")
    assert selected(top) == "rts:w019"
    press(top, "end")
    assert (selected(top), sources(top)[-1], len(sources(top))) == ("rts:w099", "rts:w099", 19)
    press(top, "up", "k")
    assert (selected(top), sources(top)[-1]) == ("rts:w097", "rts:w099")
    press(top, "home", "up")
    assert (selected(top), sources(top)[0]) == ("rts:w000", "rts:w000")


def test_sorting() -> None:
    top = a_top()
    assert sources(top) == ["rts:dm", "rts:gain", "rts:slopes", "rts:wfs"]
    press(top, ">", ">", ">")
    assert sources(top) == ["rts:gain", "rts:slopes", "rts:dm", "rts:wfs"]  # by rate
    press(top, "r")
    assert sources(top) == ["rts:wfs", "rts:dm", "rts:slopes", "rts:gain"]
    press(top, "<", "<", "<", "<")
    assert sources(top) == ["rts:dm", "rts:gain", "rts:slopes", "rts:wfs"]


@pytest.mark.parametrize("heading", SORTABLE)
@pytest.mark.parametrize("is_reversed", [False, True])
def test_what_is_not_known_comes_last(heading: str, is_reversed: bool) -> None:
    nothing = {"kind": None, "source": None}
    rows = ordered(
        [nothing, *workers(cpu=0.1, memory_bytes=5, latency={"p50_s": 1e-4, "p99_s": 1e-3})],
        heading,
        is_reversed=is_reversed,
    )
    if heading not in ("STATE", "PEER"):
        assert rows[-1] is nothing
    assert len(rows) == 5


def test_filtering() -> None:
    rows = workers()
    assert len(matching(rows, "")) == 4
    assert [each["source"] for each in matching(rows, "SLO")] == ["rts:slopes"]
    assert [each["source"] for each in matching(rows, "rts:?m")] == ["rts:dm"]
    assert [each["source"] for each in matching(rows, "*s")] == ["rts:wfs", "rts:slopes"]
    assert len(matching(rows, "running")) == 4
    top = a_top()
    press(top, "/", "s", "l", "x", "backspace")
    assert drawn(top)[-2].startswith("filter: sl_   (1 match")
    press(top, "o", "enter")
    assert sources(top) == ["rts:slopes"]
    assert "1 match 'slo'" in drawn(top)[1]
    press(top, "escape")
    assert len(sources(top)) == 4
    press(top, "/", "q", "R")  # are letters now
    assert drawn(top)[2] == "no workers that match 'qR'"
    press(top, "escape")
    assert len(sources(top)) == 4


def test_nothing_is_done_to_a_worker_before_y() -> None:
    top = a_top(a_worker(), a_worker(kind="publisher", source="rts:wfs"), a_worker(source="x:off", state="stopped"))
    assert press(top, "R") == []
    assert drawn(top)[-2] == "restart x:off? y, or any other key for no"
    assert press(top, "n") == []
    assert press(top, "S", "y") == [(DO, "start", "x:off")]
    press(top, "down")
    assert press(top, "S", "q") == []
    assert press(top, "S", "y") == [(DO, "stop", "rts:wfs")]
    press(top, "down")
    assert press(top, "R", "Y") == [(DO, "restart", "wfs")]
    assert press(top, "v") == [(VIEW, "", "rts:wfs")]
    assert press(top, "q") == [(QUIT, "", "")]


def test_a_message_stays_until_the_next_key() -> None:
    top = a_top()
    top.tell("mirror rts:wfs: \033running")
    assert drawn(top)[-2] == "mirror rts:wfs: ?running"
    press(top, "down")
    assert drawn(top)[-2] == ""


def test_a_story_is_shown_and_left() -> None:
    top = a_top()
    press(top, "end", "enter")
    assert top.story_of == "rts:wfs"
    assert drawn(top)[2] == "asking for the story of rts:wfs ..."
    history = [{"ago_s": n, "text": f"event {n}", "level": "info", "cause_id": "c-1"} for n in range(50)]
    top.take_story({"worker": a_worker(last_exit="killed by SIGKILL"), "segment": {}, "history": history})
    assert drawn(top)[2].startswith("mirror rts:wfs  running")
    assert any("killed by SIGKILL" in line for line in drawn(top))
    assert len(drawn(top)) == 24
    press(top, *["page down"] * 9)
    assert "event 49" in drawn(top)[-3]
    assert press(top, "R", "y") == [(DO, "restart", "rts:wfs")]
    assert press(top, "q") == []
    assert top.story_of == ""
    assert len(sources(top)) == 4


def test_an_answer_that_does_not_come_is_told() -> None:
    top = a_top()
    assert drawn(top, age_s=2.0)[2].startswith("WORKER")
    assert drawn(top, age_s=12.0)[2] == "as of 12 s ago: no answer since"
    assert drawn(top, age_s=12.0, error="it is\ngone")[2] == "as of 12 s ago: it is?gone"


def test_hostile_words_stay_words() -> None:
    top = a_top(a_worker(source="\033[2Jx:y", peers=[{"host": "\033]0;x\007", "protocol": 2}], reason="\033c"))
    text = "\n".join(top.lines(SIZE, PLAIN))
    assert "\033[2J" not in text
    assert "\033]" not in text
    assert "\033c" not in text


def test_five_hundred_workers_are_drawn_in_a_moment() -> None:
    status = a_status(workers=[a_worker(source=f"rts:w{n:03}", pid=n, cpu=0.1) for n in range(500)])
    top = Top(status)

    def refresh_s() -> float:
        began_s = time.perf_counter()
        top.take(status)
        top.lines((200, 60), Style(True))
        return time.perf_counter() - began_s

    assert min(refresh_s() for _ in range(10)) < 0.05
