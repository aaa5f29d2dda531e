"""The command line of daosupctl.

Invariant: options may stand anywhere; every mistake is a UsageError of one line that names the nearest right thing.
"""

from __future__ import annotations

import argparse

from daosup.errors import UsageError

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from daosup.ctl.commands import Command

EPILOG = """\
commands:
{commands}

for example:
  daosupctl mirror rts:wfs --wait 10  have rts:wfs here as remote_rts_wfs

exit codes: 0 all is well; 1 status: a worker does not run, or the registry is
  not there; 64 wrong command line; 69 no daemon, host, segment or answer;
  74 result not written; 76 daemon cannot do this; 77 denied; 130 interrupted
"""


class Options(argparse.Namespace):
    """What the command line says."""

    command: str | None
    source: str | None
    instance: str | None
    socket: str | None
    json: bool
    wait: float | None
    version: bool
    help: bool


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
    options = _parser(commands).parse_intermixed_args(arguments, Options())
    if options.version or options.help:
        return options
    if options.command is None:
        raise UsageError(f"no command given; use one of {', '.join(commands)} (see daosupctl --help)")
    command = commands.get(options.command)
    if command is None:
        raise UsageError(f"there is no command {options.command!r}{_nearest(options.command, list(commands))}")
    if command.has_source and options.source is None:
        raise UsageError(f"{options.command} needs a segment, for example: daosupctl {options.command} rts:wfs")
    if options.source is not None and not command.has_source:
        raise UsageError(f"{options.command} takes no {options.source!r} (see daosupctl --help)")
    if options.wait is not None and not command.has_wait:
        raise UsageError(f"{options.command} takes no --wait (see daosupctl --help)")
    return options


def help_text(commands: Mapping[str, Command]) -> str:
    """What --help prints."""
    return _parser(commands).format_help()


def _parser(commands: Mapping[str, Command]) -> _Parser:
    forms = {name: f"{name} HOST:NAME" if command.has_source else name for name, command in commands.items()}
    width = max(map(len, forms.values()))
    summaries = "\n".join(f"  {form:{width}}   {commands[name].summary}" for name, form in forms.items())
    parser = _Parser(
        prog="daosupctl",
        usage="daosupctl [OPTION ...] COMMAND [HOST:NAME]",
        epilog=EPILOG.format(commands=summaries),
        formatter_class=_Formatter,
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("source", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("--instance", metavar="NAME", help="the daosupd to ask, if several run here")
    parser.add_argument("--socket", metavar="PATH", help="its control socket (default: $DAOSUP_SOCKET, or found)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--wait", type=_seconds, metavar="S", help="mirror: wait up to S seconds for data (default 30)")
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.add_argument("-h", "--help", action="store_true", help="print this")
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 86400")
    return seconds


def _nearest(word: str, known: list[str]) -> str:
    import difflib  # only a typo needs it

    near = difflib.get_close_matches(word, known, 1, 0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; use one of {', '.join(known)}"
