"""What is offered for a word of a command line, from the tables of options."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from daosup import config, daosupd
from daosup.completing import FILES, Line, answer, configured_instances, files, next_words, options_of
from daosup.ctl import completing, options
from daosup.ctl.commands import COMMANDS, Command
from daosup.ctl.commands.command import NAME
from daosup.ctl.options import Option

OPTIONS = {
    "--config": ("FILE", "a file"),
    "--role": ("master|minion", "what it is"),
    "-n, --number": ("N", "how many"),
    "--json": ("", "as JSON"),
}


def offered(*words: str) -> list[str]:
    *before, typed = words
    found = next_words(Line(before, OPTIONS), typed, OPTIONS, {"FILE": files})
    return [word for word, _ in found]


def test_a_line_is_read_as_its_options_say() -> None:
    line = Line(
        ["a", "--config", "b", "--role=minion", "-n", "3", "--json", "c", "--unknown", "d", "--config"], OPTIONS
    )
    assert line.arguments == ["a", "c", "d"]
    assert line.values == {"--config": "", "--role": "minion", "-n": "3", "--json": "", "--unknown": ""}
    assert line.pending == "FILE"
    assert Line(["--role="], OPTIONS).pending == ""


def test_values_of_options() -> None:
    assert offered("--role", "") == ["master", "minion"]
    assert offered("--role=") == ["--role=master", "--role=minion"]
    assert offered("--config", "x") == offered("--config=x") == [FILES]
    assert offered("-n", "") == offered("--number=") == offered("--nonsense=") == []


def test_options_that_are_not_there_yet() -> None:
    assert offered("--") == ["--config", "--role", "--number", "--json"]
    assert offered("--json", "-n", "3", "-") == ["--config", "--role"]
    assert offered("") == []


def test_options_of_a_parser() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("word", help="no option")
    parser.add_argument("--hidden", help=argparse.SUPPRESS)
    parser.add_argument("-n", "--number", metavar="N", help="how many")
    parser.add_argument("--role", choices=("master", "minion"), help="what it is")
    parser.add_argument("--json", action="store_true", help="as JSON")
    assert options_of(parser) == {name: OPTIONS[name] for name in ("-n, --number", "--role", "--json")}


def test_instances_that_are_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "CONFIG_FOLDER", tmp_path / "none")
    assert list(configured_instances()) == []
    for name in ("minion.toml", "master.toml", "redis.password"):
        (tmp_path / name).touch()
    monkeypatch.setattr(config, "CONFIG_FOLDER", tmp_path)
    assert [name for name, _ in configured_instances()] == ["master", "minion"]
    assert {"master", "minion"} <= {name for name, _ in completing.offers(["--instance", ""], COMMANDS)}


def test_an_answer_is_harmless_whatever_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    found = [
        ("rts:wfs", "12x9 \x1b[2J"),
        ("a b", ""),
        ("$(x)", ""),
        ("x;y", ""),
        ("x\ty", ""),
        ("é", ""),
        ("x+y-1", "o k"),
    ]
    assert answer(lambda words: found, []) == 0
    assert capsys.readouterr() == ("rts:wfs\nx+y-1\to k\n", "")


def test_no_fault_is_shown_to_who_types(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(lambda words: 1 / 0, ["x"]) == 0  # type: ignore[arg-type, return-value]
    assert daosupd.main(["__complete", "--role", ""]) == 0
    assert capsys.readouterr() == ("master\nminion\n", "")


def test_a_command_and_options_that_are_added_to_the_tables_are_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    film = Command("", "a film", "frames as a film", "colour|grey FILE", ("--to", "--speed"), more="")
    commands = {**COMMANDS, "film": film}
    monkeypatch.setitem(options.OWN, "--to", Option("--to", "to", "FILE", "where to"))
    monkeypatch.setitem(options.OWN, "--speed", Option("--speed", "speed", "slow|fast", "how"))

    def words(*typed: str) -> list[str]:
        return [word for word, _ in completing.offers(list(typed), commands)]

    assert "film" in words("")
    assert words("film", "") == ["colour", "grey"]
    assert words("film", "--speed", "") == ["slow", "fast"]
    assert words("film", "colour", "--to", "") == [FILES]
    assert words("film", "colour", "") == [FILES]
    assert {"--to", "--speed"} <= set(words("film", "colour", "x", ""))
    assert "--to" not in words("status", "-")


@pytest.mark.parametrize(("name", "among"), [("HOST:NAME", "remote"), (NAME, "known"), ("a|b", ""), ("", "")])
def test_an_argument_says_which_segments_it_is_among(name: str, among: str) -> None:
    assert Command("", "", "", name, more="").among == among
    assert Command("", "", "", name, among="stopped", more="").among == "stopped"
