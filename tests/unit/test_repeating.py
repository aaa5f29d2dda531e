"""What --watch shows of answers that come again and again."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest

from daosup.ctl.repeating import Question, Screen
from daosup.ctl.tables import Style
from daosup.errors import UnavailableError

PLAIN = Style(False)


def told(text: str, count: int = 1) -> Any:
    return {}, lambda style, width: [f"{text} {width}"] * count, 0


def test_the_newest_answer_is_shown_below_what_it_is_about() -> None:
    screen = Screen("daosupctl status, every 1 s; q ends", told("first"))
    lines = screen.lines((60, 10), PLAIN)
    assert re.fullmatch(r"daosupctl status, every 1 s; q ends +\d\d:\d\d:\d\d", lines[0])
    assert len(lines[0]) == 60
    assert lines[1:] == ["first 60"]
    screen.take(told("second"), None)
    assert screen.lines((50, 10), PLAIN)[1:] == ["second 50"]


def test_an_error_stands_above_what_was_answered_last_until_there_is_an_answer() -> None:
    screen = Screen("it", told("first"))
    screen.take(None, UnavailableError("no daemon \033[2J"))
    lines = screen.lines((60, 10), PLAIN)
    assert re.fullmatch(r"no answer, this is \d s old: no daemon \?\[2J", lines[1])
    assert lines[2:] == ["first 60"]
    screen.take(None, None)
    assert len(screen.lines((60, 10), PLAIN)) == 3
    screen.take(told("second"), None)
    assert screen.lines((60, 10), PLAIN)[1:] == ["second 60"]


def test_what_does_not_fit_is_counted() -> None:
    lines = Screen("it", told("line", 1500)).lines((60, 24), PLAIN)
    assert len(lines) == 24
    assert lines[-1] == "... 1478 lines more; a taller window shows them"
    assert len(Screen("it", told("line", 23)).lines((60, 24), PLAIN)) == 24


def test_a_narrow_window_is_enough() -> None:
    assert Screen("it" * 100, told("line")).lines((5, 2), PLAIN)


def test_a_question_is_asked_beside_and_answered_once() -> None:
    asked, may_answer, woken = threading.Event(), threading.Event(), threading.Event()

    def answered() -> Any:
        asked.set()
        may_answer.wait(10)
        return told("it")

    question = Question(answered, woken.set)
    question.begin()
    assert asked.wait(10)
    assert question.is_open
    assert question.answer() == (None, None)
    may_answer.set()
    assert woken.wait(10)
    assert not question.is_open
    assert question.answer()[0] is not None
    assert question.answer() == (None, None)


def test_errors_of_ours_are_answers_and_others_are_raised() -> None:
    for error in (UnavailableError("no daemon"), ValueError("a bug")):
        woken = threading.Event()

        def answered(error: Exception = error) -> Any:
            raise error

        question = Question(answered, woken.set)
        question.begin()
        assert woken.wait(10)
        if isinstance(error, UnavailableError):
            assert question.answer() == (None, error)
        else:
            with pytest.raises(ValueError, match="a bug"):
                question.answer()
