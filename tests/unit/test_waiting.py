from __future__ import annotations

import pytest

from tests.waiting import wait_until


def test_it_returns_what_the_condition_gave():
    answers = iter([None, 0, "", "here"])
    assert wait_until(lambda: next(answers)) == "here"


def test_it_says_what_it_waited_for_and_the_last_value():
    with pytest.raises(AssertionError, match=r"waited 0\.08 s in vain for a reader; its last value was \[\]"):
        wait_until(list, timeout_s=0.02, what="a reader")


def test_a_condition_is_asked_once_more_at_the_deadline():
    answers = iter([False, True])
    assert wait_until(lambda: next(answers), timeout_s=0.0) is True


def test_an_error_in_the_condition_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        wait_until(lambda: 1 / 0)
