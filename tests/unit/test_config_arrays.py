"""Arrays of tables in a configuration: every mistake in one is named with its number and its line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

from daosup.config.kinds import HOST, key, whole
from daosup.config.reading import Source, build, line_numbers, read_dotted, read_nested, table, tables

# ruff: noqa: RUF009  # key(), table() and tables() make dataclass fields; that is what the rule asks for


@dataclass(frozen=True)
class Shelf:
    width: int = key(whole(1, 9), "How wide.", 3)


@dataclass(frozen=True)
class Book:
    owner: str = key(HOST, "Whose it is.", is_required=True)
    pages: Optional[int] = key(whole(1, 1000), "How many.", unset="not counted")


@dataclass(frozen=True)
class Library:
    shelf: Shelf = table("Where they are.", Shelf)
    book: tuple[Book, ...] = tables("What there is.", Book)


TEXT = """\
[[book]]
owner = "rts"

[[ book ]]  # the second
owner = "lab"
pages = 7
[shelf]
width = 2
"""
MAPPING: dict[str, Any] = {"book": [{"owner": "rts"}, {"owner": "lab", "pages": 7}], "shelf": {"width": 2}}


def read(mapping: dict[str, Any], text: str = "") -> tuple[dict[str, object], list[str]]:
    source, mistakes = Source("FILE", line_numbers(text)), list[str]()
    read_nested(Library, mapping, source, mistakes)
    return source.values, mistakes


def test_each_table_is_one_of_its_class_in_the_order_of_the_file() -> None:
    values, mistakes = read(MAPPING, TEXT)
    assert not mistakes
    assert build(Library, values) == Library(Shelf(2), (Book("rts"), Book("lab", 7)))


def test_without_any_there_are_none() -> None:
    assert build(Library, read({})[0]) == Library(Shelf(3), ())


def test_lines_are_those_of_the_table_and_of_its_keys() -> None:
    assert line_numbers(TEXT) == {
        "book": 1, "book[0]": 1, "book[0].owner": 2, "book[1]": 4, "book[1].owner": 5, "book[1].pages": 6,
        "shelf": 7, "shelf.width": 8,
    }  # fmt: skip


def test_each_mistake_is_named_with_its_line() -> None:
    mapping = {"book": [{"owner": "-"}, {"pages": 0, "ower": "x", "colour": 1}]}
    _, mistakes = read(mapping, TEXT.replace('owner = "lab"', "colour = 1"))
    assert mistakes == [
        f"FILE:2: book[0].owner is '-', not {HOST.allowed}",
        "FILE:6: book[1].pages is 0, not a whole number from 1 to 1000",
        "FILE:4: unknown key book[1].ower; did you mean book[1].owner?",
        "FILE:5: unknown key book[1].colour; [[book]] may have owner, pages",
        f"FILE:4: book[1] has no owner; set it to {HOST.allowed}",
    ]


def test_what_is_no_array_of_tables_is_told_how_to_be_one() -> None:
    assert read({"book": {"owner": "rts"}}, "\n[book]\n")[1] == [
        "FILE:2: book is a table, not an array of tables; begin each with a line [[book]]"
    ]
    assert read({"book": [1]}, "book = [1]")[1] == [
        "FILE:1: book[0] is 1, not a table; begin each with a line [[book]]"
    ]


def test_a_name_nearly_right_is_found() -> None:
    assert read({"bok": [{"owner": "rts"}]}, "[[bok]]\n")[1] == ["FILE:1: unknown table bok; did you mean [[book]]?"]


def test_the_command_line_gives_the_whole_array() -> None:
    source, mistakes = Source("command line", {}), list[str]()
    read_dotted(Library, {"book": MAPPING["book"], "shelf.width": None}, source, mistakes)
    assert (source.values["book"], mistakes) == ((Book("rts"), Book("lab", 7)), [])
