"""daosupctl: what an operator asks a daosupd.

Invariant: a command prints its result to standard output or one line to standard error, and its exit code says
which; no failure of the daemon, the terminal or the pipe shows a traceback. Nothing that a command does not need is
imported, for operators call this in loops and scripts.
"""

from __future__ import annotations

import gc
import os
import sys

from daosup import __version__
from daosup.errors import ConfigError, DaosupError

INTERRUPTED = 130
PIPE_CLOSED = 141
CANNOT_WRITE = 74


def program() -> None:
    """Be daosupctl: run it and end the process.

    Neither garbage collection nor the interpreter's own tidying up has anything to do in a process that answers once;
    together they would cost as much as the answer.
    """
    gc.disable()
    exit_code = main()
    try:
        sys.stderr.flush()
    finally:
        os._exit(exit_code)


def main(arguments: list[str] | None = None) -> int:
    """Run daosupctl with ``arguments`` (by default the process's own) and return the exit code."""
    try:
        return _run(sys.argv[1:] if arguments is None else arguments)
    except ConfigError as error:
        return max(_fail(mistake, error.exit_code) for mistake in str(error).split("\n"))
    except DaosupError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _abandon_output()
        return PIPE_CLOSED
    except OSError as error:
        _abandon_output()
        return _fail(f"cannot write the result: {error.strerror or error}", CANNOT_WRITE)


def _run(arguments: list[str]) -> int:
    from daosup.completing import ASKED, answer
    from daosup.ctl.arguments import help_text, parse
    from daosup.ctl.commands import COMMANDS
    from daosup.ctl.completing import offers

    if arguments[:1] == [ASKED]:
        return answer(lambda words: offers(words, COMMANDS), arguments[1:])
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    options = parse(arguments, COMMANDS)
    exit_code = 0
    if options.help:
        print(help_text(COMMANDS, options.command), end="")
    elif options.version:
        print(f"daosupctl {__version__}")
    elif options.command is not None:
        exit_code = COMMANDS[options.command].function()(options)
    sys.stdout.flush()
    return exit_code


def _fail(message: str, exit_code: int) -> int:
    try:
        print(f"daosupctl: {' '.join(message.split())}", file=sys.stderr)
    except OSError:
        pass
    return exit_code


def _abandon_output() -> None:
    """Let Python's own flush at exit go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
