"""The command line of daosupctl.

Invariant: options may stand anywhere; every mistake is a UsageError of one line that names the nearest right thing.
"""

from __future__ import annotations

import argparse

from daosup.ctl.commands.command import choices_of
from daosup.ctl.options import COMMON, OWN, Options
from daosup.errors import UsageError

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import NoReturn

    from daosup.ctl.commands import Command

__all__ = ["Options", "help_text", "nearest", "options_for", "parse"]

USAGE = "daosupctl [OPTION ...] COMMAND [ARGUMENT ...]"
EXIT_CODES = """\
exit codes: 0 all is well; 1 status: not well, doctor: warnings; 2 doctor:
  problems; 64 wrong command line; 69 no daemon, host, segment or answer; 74
  result not written; 76 daemon cannot do this; 77 denied; 78 configuration
  refused; 130 interrupted
"""
_EXAMPLES = {"HOST:NAME": "rts:wfs", "NAME": "rts:wfs", "HOST": "rts", "FILE": "flat.npy"}
_MEANT = {"HOST:NAME": "a segment", "NAME": "a segment", "HOST": "a host", "FILE": "a file"}


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Of fixed width, because argparse imports a fifth of its weight again to ask for the terminal's."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=80)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see daosupctl --help)")


def parse(arguments: list[str], commands: Mapping[str, Command]) -> Options:
    """Read the command line.

    Raises:
        UsageError: If it is wrong.
    """
    options, unknown = _parser().parse_known_intermixed_args(list(_spelled_out(arguments)), Options())
    if unknown:
        raise UsageError(f"{_unknown(unknown[0], options, commands)} (see daosupctl --help)")
    if options.version or options.help:
        return options
    if options.command is None:
        raise UsageError(f"no command given; use one of {', '.join(commands)} (see daosupctl --help)")
    command = commands.get(options.command)
    if command is None:
        raise UsageError(f"there is no command {options.command!r}{nearest(options.command, list(commands))}")
    for form, option in OWN.items():
        if option.is_given(options) and form not in command.options:
            raise UsageError(f"{options.command} takes no {option.forms[-1]} (see daosupctl {options.command} --help)")
    if options.host is not None and options.all:
        raise UsageError(f"--all and --host contradict each other; give one of them to {options.command}")
    _check_arguments(options, command)
    return options


def _spelled_out(arguments: list[str]) -> Iterator[str]:
    """The same, where options whose value was left out have one: `--watch wfs` is `--watch=1 wfs`."""
    bare = {form: option for option in OWN.values() if option.bare for form in option.forms}
    for index, word in enumerate(arguments):
        if word == "--":
            yield from arguments[index:]
            return
        option = bare.get(word)
        has_value = index + 1 < len(arguments) and _is_number(arguments[index + 1])
        yield f"{word}={option.bare}" if option is not None and not has_value else word


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _check_arguments(options: Options, command: Command) -> None:
    name, given = options.command, options.words[1:]
    for form, word in zip(command.arguments, given):
        choices = choices_of(form)
        if choices and word not in choices:
            raise UsageError(f"{name} takes {' or '.join(choices)}, not {word!r}{nearest(word, choices)}")
    if len(given) > len(command.arguments):
        raise UsageError(f"{name} takes no {given[len(command.arguments)]!r} (see daosupctl {name} --help)")
    if len(given) < command.least_arguments:
        missing = command.arguments[len(given)]
        if choices_of(missing):
            raise UsageError(f"{name} needs one of {', '.join(choices_of(missing))} (see daosupctl {name} --help)")
        needed = command.arguments[: command.least_arguments]
        example = " ".join(_EXAMPLES.get(form, form) for form in needed)
        raise UsageError(f"{name} needs {_MEANT.get(missing, missing)}, for example: daosupctl {name} {example}")


def _unknown(word: str, options: Options, commands: Mapping[str, Command]) -> str:
    """What is said of an option that is none."""
    option = word.partition("=")[0]
    command = commands.get(options.command or "")
    known = [form for each in COMMON for form in each.forms]
    known += [form for own in (command.options if command else OWN) for form in OWN[own].forms]
    from daosup.core.nearest import did_you_mean  # only a typo needs it

    return f"there is no option {option}{did_you_mean(option, known) if len(option) > 2 else ''}"


def help_text(commands: Mapping[str, Command], name: str | None = None) -> str:
    """What --help prints: of one command, if it is one, else of all."""
    command = commands.get(name or "")
    if command is None:
        return _overview()
    usage = " ".join(("daosupctl [OPTION ...]", str(name), *command.arguments))
    own = "".join(f"  {_form(form):20}  {OWN[form].about}\n" for form in command.options)
    options = f"options, beside those of every command:\n{own}\n" if own else ""
    return f"usage: {usage}\n\n{command.summary}.\n\n{options}{command.more}"


def _form(form: str) -> str:
    option = OWN[form]
    return f"{', '.join(option.forms)} {option.value}".rstrip()


def _overview() -> str:
    """All commands on one screen of 80 columns and 24 lines, by their groups and two in a line."""
    from daosup.ctl.commands import GROUPS

    lines = [f"usage: {USAGE}", ""]
    for group in GROUPS.values():
        cells = [f"{name:11}{command.brief:26}" for name, command in group.items()]
        half = (len(cells) + 1) // 2
        pairs = zip(cells[:half], [*cells[half:], ""])
        lines += [f"  {left} {right}".rstrip() for left, right in pairs]
        lines.append("")
    common = "; ".join(f"{', '.join(each.forms)} {each.value}".rstrip() for each in COMMON)
    return "\n".join([*lines, common, "", EXIT_CODES])


def options_for(commands: Mapping[str, Command], name: str | None = None) -> dict[str, tuple[str, str]]:
    """The options of every command, and the own ones of the command ``name``: what each is followed by, and does."""
    command = commands.get(name or "")
    options = [*(OWN[form] for form in (command.options if command else ())), *COMMON]
    return {", ".join(each.forms): (each.value, each.about) for each in options}


def _parser() -> _Parser:
    parser = _Parser(prog="daosupctl", usage=USAGE, formatter_class=_Formatter, allow_abbrev=False, add_help=False)
    parser.add_argument("words", nargs="*")
    for option in (*COMMON, *OWN.values()):
        option.add_to(parser)
    return parser


def nearest(word: str, known: list[str]) -> str:
    """What was meant by a word that is none of those known, as the end of a sentence."""
    from daosup.core.nearest import did_you_mean  # only a typo needs it

    return did_you_mean(word, known) or f"; use one of {', '.join(known)}"
