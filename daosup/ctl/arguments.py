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
commands; `daosupctl COMMAND --help` has more options, and examples:
{commands}

exit codes: 0 all is well; 1 status: a worker does not run, or the registry is
  not there; doctor: 1 warnings, 2 problems; 64 wrong command line; 69 no
  daemon, host, segment or answer; 74 result not written; 76 daemon cannot do
  this; 77 denied; 78 configuration refused; 130 interrupted
"""


#: The options of single commands: what each is followed by, and does. A shell offers what it knows of FILE, PATH, HOST,
#: INSTANCE and of words to choose from that are joined by ``|``; for any other it offers nothing.
_OWN = {
    "--wait": ("S", "wait up to S seconds until it is so (default 30)"),
    "--keep": ("", "for good, over restarts"),
    "--as": ("NAME", "what the mirror is called"),
    "--write-back": ("", "what is written into it goes to its source"),
    "-v": ("", "show also what is fine"),
    "-f": ("", "go on with what happens from now on"),
    "-n": ("N", "the last N entries"),
    "-p": ("error|warning|info|debug", "only this level and worse"),
    "-x": ("", "with what it means, and what to do"),
    "--since": ("WHEN", "10min, 2h, today, 2026-11-20 12:00"),
    "--host": ("HOST", "of that host, by ssh"),
    "--config": ("FILE", "the configuration of a daemon that does not run"),
}


class Options(argparse.Namespace):
    """What the command line says."""

    command: str | None
    name: str | None
    instance: str | None
    socket: str | None
    json: bool
    wait: float | None
    keep: bool
    called: str | None
    write_back: bool
    verbose: bool
    config: str | None
    follow: bool
    count: int | None
    level: str | None
    explain: bool
    since: str | None
    host: str | None
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
        raise UsageError(f"there is no command {options.command!r}{nearest(options.command, list(commands))}")
    choices = command.name.split("|") if "|" in command.name else []
    if choices and options.name not in choices:
        raise UsageError(
            f"{options.command} needs one of {', '.join(choices)} (see daosupctl {options.command} --help)"
        )
    if command.name and not command.name.startswith("[") and options.name is None:
        raise UsageError(f"{options.command} needs a segment, for example: daosupctl {options.command} rts:wfs")
    if options.name is not None and not command.name:
        raise UsageError(f"{options.command} takes no {options.name!r} (see daosupctl --help)")
    given = {"--wait": options.wait is not None, "--keep": options.keep, "--as": options.called is not None}
    given |= {"--write-back": options.write_back}
    given |= {"-v": options.verbose, "--config": options.config is not None}
    given |= {"-f": options.follow, "-n": options.count is not None, "-p": options.level is not None}
    given |= {"-x": options.explain, "--since": options.since is not None, "--host": options.host is not None}
    for option, is_given in given.items():
        if is_given and option not in command.options:
            raise UsageError(f"{options.command} takes no {option} (see daosupctl {options.command} --help)")
    return options


def help_text(commands: Mapping[str, Command], name: str | None = None) -> str:
    """What --help prints: of one command, if it is one, else of all."""
    command = commands.get(name or "")
    if command is None:
        return _parser(commands).format_help()
    usage = " ".join(filter(None, ("daosupctl [OPTION ...]", name, command.name)))
    own = "".join(f"  {f'{option} {_OWN[option][0]}':15}  {_OWN[option][1]}\n" for option in command.options)
    options = f"options, beside those of every command:\n{own}\n" if own else ""
    return f"usage: {usage}\n\n{command.summary}.\n\n{options}{command.more}"


def options_for(commands: Mapping[str, Command], name: str | None = None) -> dict[str, tuple[str, str]]:
    """The options of every command, and the own ones of the command ``name``: what each is followed by, and does."""
    from daosup.completing import options_of

    command = commands.get(name or "")
    own = command.options if command else ()
    return {**{option: _OWN[option] for option in own}, **options_of(_parser(commands))}


def _parser(commands: Mapping[str, Command]) -> _Parser:
    forms = {name: f"{name} {command.name}".rstrip() for name, command in commands.items()}
    width = max(map(len, forms.values()))
    summaries = "\n".join(f"  {form:{width}}   {commands[name].summary}" for name, form in forms.items())
    parser = _Parser(
        prog="daosupctl",
        usage="daosupctl [OPTION ...] COMMAND [NAME | HOST:NAME]",
        epilog=EPILOG.format(commands=summaries),
        formatter_class=_Formatter,
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("name", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("--instance", metavar="INSTANCE", help="the daosupd to ask, if several run here")
    parser.add_argument("--socket", metavar="PATH", help="its control socket (default: $DAOSUP_SOCKET, or found)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--wait", type=_seconds, help=argparse.SUPPRESS)
    parser.add_argument("--keep", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--as", dest="called", help=argparse.SUPPRESS)
    parser.add_argument("--write-back", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("-v", "--verbose", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--config", help=argparse.SUPPRESS)
    parser.add_argument("-f", "--follow", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("-n", dest="count", type=_count, help=argparse.SUPPRESS)
    parser.add_argument("-p", dest="level", help=argparse.SUPPRESS)
    parser.add_argument("-x", dest="explain", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--since", help=argparse.SUPPRESS)
    parser.add_argument("--host", help=argparse.SUPPRESS)
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


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of entries")
    return int(text)


def nearest(word: str, known: list[str]) -> str:
    """What was meant by a word that is none of those known, as the end of a sentence."""
    import difflib  # only a typo needs it

    near = difflib.get_close_matches(word, known, 1, 0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; use one of {', '.join(known)}"
