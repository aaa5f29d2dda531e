"""docs/operators.md is what tests/situations makes: its words are those told there, and its screens show them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.situations import catalogue
from tests.situations.__main__ import anchor
from tests.situations.stage import SITUATIONS, Situation

PAGE = (Path(__file__).parents[2] / "docs/operators.md").read_text("utf-8")


def test_the_page_lists_all_of_them() -> None:
    assert len(SITUATIONS) >= 11, catalogue.__name__
    for number, each in enumerate(SITUATIONS, 1):
        assert f"{number}. [{each.title}](#{anchor(number, each.title)})" in PAGE


@pytest.mark.parametrize("each", SITUATIONS, ids=lambda each: each.title)
def test_each_is_on_the_page_as_it_is_told(each: Situation) -> None:
    section = next(part for part in PAGE.split("\n## ") if part.partition("\n")[0].endswith(f". {each.title}"))
    screens = section.partition("```console\n")[2].partition("```")[0]
    assert all(re.search(sign, screens) for sign in each.signs)
    assert max(map(len, screens.splitlines())) <= 80
    for words in (each.why, each.todo):
        assert words in section, "run: make situations"


def test_a_link_goes_to_the_heading() -> None:
    assert anchor(1, "A mirror is stale: no new frames, and nothing is broken") == (
        "1-a-mirror-is-stale-no-new-frames-and-nothing-is-broken"
    )
