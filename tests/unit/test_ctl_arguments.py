"""The command line of daosupctl."""

from __future__ import annotations

from typing import Optional

import pytest

from daosup import ctl
from daosup.ctl.arguments import help_text, parse
from daosup.ctl.commands import COMMANDS
from daosup.errors import UsageError


@pytest.mark.parametrize(
    "line",
    [
        "--json --instance lab mirror rts:wfs --wait 3",
        "mirror --json --wait 3 rts:wfs --instance lab",
        "mirror --wait=3 --instance=lab --json rts:wfs",
    ],
)
def test_options_stand_anywhere(line: str) -> None:
    options = parse(line.split(), COMMANDS)
    told = (options.command, options.name, options.wait, options.instance, options.json)
    assert told == ("mirror", "rts:wfs", 3.0, "lab", True)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("", "no command given; use one of status, "),
        ("stauts", "did you mean 'status'"),
        ("Miror rts:wfs", "did you mean 'mirror'"),
        ("xyzzy", "use one of status, "),
        ("mirror", "mirror needs a segment, for example: daosupctl mirror rts:wfs"),
        ("release", "release needs a segment"),
        ("doctor rts:wfs", "doctor takes no 'rts:wfs'"),
        ("ls --wait 3", "ls takes no --wait"),
        ("release rts:wfs --as wfs", "release takes no --as (see daosupctl release --help)"),
        ("release rts:wfs --write-back", "release takes no --write-back (see daosupctl release --help)"),
        ("keep rts:wfs --keep", "keep takes no --keep (see daosupctl keep --help)"),
        ("stop", "stop needs a segment, for example: daosupctl stop rts:wfs"),
        ("reload rts", "reload takes no 'rts'"),
        ("mirror rts:wfs --wait soon", "'soon' is not a number of seconds"),
        ("mirror rts:wfs --wait nan", "'nan' is not a number of seconds"),
        ("mirror rts:wfs --wait=-1", "'-1' is not a number of seconds"),
        ("mirror rts:wfs --frames all", "mode=all is not known here, newest and every are"),
        ("mirror rts:wfs --rate 0", "rate=0 is not a number of frames a second from 0.001 to 1000000"),
        ("mirror rts:wfs --roi 3:1", "roi=3:1 is not of the form y0:y1,x0:x1"),
        ("keep rts:wfs --stride 0,1", "stride=0,1 is not of the form sy,sx"),
        ("keep rts:wfs --compress zip", "compress=zip is not known here, none and lz4 are"),
        ("release rts:wfs --rate 10", "release takes no --rate"),
        ("mirror rts:wfs rts:dm", "mirror takes no 'rts:dm' (see daosupctl mirror --help)"),
        ("completion fish", "completion takes bash or zsh, not 'fish'"),
        ("completion", "completion needs one of bash, zsh (see daosupctl completion --help)"),
        ("mirror rts:wfs --kep", "there is no option --kep; did you mean '--keep'?"),
        ("status --jsn", "there is no option --jsn; did you mean '--json'?"),
        ("status -f", "status takes no --follow (see daosupctl status --help)"),
        ("ls --host lab", "ls takes no --host"),
        ("logs -n some", "'some' is not a number of entries"),
        ("logs --wait 3", "logs takes no --wait"),
        ("events --host lab", "events takes no --host (see daosupctl events --help)"),
        ("events wfs dm", "events takes no 'dm'"),
        ("status --js", "--js"),
        ("status --watch=soon", "'soon' is not a number of seconds"),
        ("status --watch 0", "'0' is less than 0.1 s"),
        ("status --watch=0.01", "'0.01' is less than 0.1 s"),
        ("status -- --watch rts:dm", "status takes no 'rts:dm'"),
        ("mirror rts:wfs --watch", "mirror takes no --watch"),
    ],
)
def test_mistakes_are_told_in_one_line(line: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError) as caught:
        parse(line.split(), COMMANDS)
    assert told in str(caught.value)
    assert ctl.main(line.split()) == 64
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("daosupctl: ")
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize(
    ("line", "words", "watch"),
    [
        ("status", ["status"], None),
        ("status --watch", ["status"], 1.0),
        ("--watch status", ["status"], 1.0),
        ("status --watch 2", ["status"], 2.0),
        ("status --watch=0.5 wfs", ["status", "wfs"], 0.5),
        ("status --watch wfs", ["status", "wfs"], 1.0),
        ("status wfs --watch --json", ["status", "wfs"], 1.0),
    ],
)
def test_an_option_whose_value_may_be_left_out_takes_no_other_word(
    line: str, words: list[str], watch: Optional[float]
) -> None:
    options = parse(line.split(), COMMANDS)
    assert (options.words, options.watch) == (words, watch)


def test_help_fits_a_screen_and_documents_every_command_and_exit_code() -> None:
    text = help_text(COMMANDS)
    lines = text.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    options = ("--instance", "--socket", "--json", "--version", "--help")
    for word in (*COMMANDS, *options, "exit codes: 0", " 1 ", " 2 ", "64", "69", "74", "76", "77", "78", "130"):
        assert word in text


def test_help_and_version_need_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    from daosup import __version__

    assert ctl.main(["--version"]) == 0
    assert capsys.readouterr().out == f"daosupctl {__version__}\n"
    assert ctl.main(["--help"]) == 0
    assert capsys.readouterr().out == help_text(COMMANDS)
    assert ctl.main(["mirror", "--help"]) == 0
    assert capsys.readouterr().out == help_text(COMMANDS, "mirror")


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_with_examples_that_are_right(name: str) -> None:
    command, text = COMMANDS[name], help_text(COMMANDS, name)
    assert text.startswith(f"usage: daosupctl [OPTION ...] {name}")
    assert all(option in text for option in command.options)
    assert max(map(len, text.splitlines())) <= 80
    examples = [line.split("  ")[1] for line in text.splitlines() if line.startswith("  daosupctl ")]
    assert examples
    for example in examples:
        arguments = example.split(" | ")[0].split()[1:]
        assert parse(arguments, COMMANDS).command == name


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_brief_and_names_a_function_that_is_there(name: str) -> None:
    command = COMMANDS[name]
    assert 0 < len(command.brief) <= 26
    assert callable(command.function())


@pytest.mark.parametrize("source", ["rts", ":wfs", "rts:", "rts:a/b", "-x:y", "rts:a b\n"])
def test_a_source_that_cannot_be_is_refused_before_anybody_is_asked(
    source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ctl.main(["release", "--socket", "/nowhere.sock", "--", source]) == 64
    assert capsys.readouterr().err.startswith("daosupctl: ")
