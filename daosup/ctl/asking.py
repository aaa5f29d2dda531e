"""Asking the daemon, or by it those of other hosts, and telling what they answer.

Invariant: with --json what is printed is exactly what the daemon answered.
"""

from __future__ import annotations

import os
import sys

from daosup.adapters.control_client import ControlClient, find_socket
from daosup.adapters.control_protocol import error_of
from daosup.ctl.tables import Style, safe
from daosup.ctl.units import duration
from daosup.errors import ConfigError, DaosupError, ProtocolError, UnavailableError, UnsupportedError, UsageError

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    #: What was answered, what it looks like to people, and what it means for the exit code.
    Told = tuple[object, Callable[["Style", "int | None"], list[str]], int]

    from daosup.ctl.options import Options

#: How much longer an answer may take than what was asked to be waited for, seconds.
ANSWER_S = 5.0
#: The same where other hosts are asked: until it is known that one does not answer, and on the way.
OTHERS_S = 6.0


def ask(options: Options, command: str, timeout_s: float, arguments: dict[str, Any] | None = None) -> object:
    """What the daemon answers to a command; with -H that of another host.

    Raises:
        DaosupError: If it does not, or with an error.
    """
    if options.host is None:
        return _call(options, command, timeout_s, arguments or {})
    answer = ask_hosts(options, [options.host], command, timeout_s, arguments).get(options.host)
    if not isinstance(answer, dict):
        raise ProtocolError("daosupd did not tell what the host answers")
    if answer.get("ok") is True:
        return answer.get("result")
    raise error_in(options.host, answer)


def ask_hosts(
    options: Options,
    hosts: list[str] | None,
    command: str,
    timeout_s: float,
    arguments: dict[str, Any] | None = None,
    each: dict[str, dict[str, Any]] | None = None,
) -> dict[str, dict[str, Any]]:
    """What hosts of the registry answer to a command.

    Args:
        options: Of the command line.
        hosts: Which ones; None for all.
        command: What to ask.
        timeout_s: How long an answer may take, seconds.
        arguments: Of the command.
        each: By host what more arguments it has there.

    Returns:
        By host ``{"ok": true, "result": ...}``, or ``{"ok": false, "error": {"kind", "message"}, "known": ...}``.
    """
    request = {"command": command, **(arguments or {})}
    asked = {"hosts": hosts, "request": request, "each": each or {}, "wait_s": timeout_s}
    answers = _object(_call(options, "ask", timeout_s + OTHERS_S, asked))
    return {host: answer for host, answer in answers.items() if isinstance(answer, dict)}


def ask_all(
    options: Options, command: str, timeout_s: float, arguments: dict[str, Any] | None = None
) -> dict[str, dict[str, Any]]:
    """What every host of the registry answers to a command (--all), as ``ask_hosts`` returns it."""
    return ask_hosts(options, None, command, timeout_s, arguments)


def ask_object(options: Options, command: str, timeout_s: float, arguments: dict[str, Any] | None = None) -> Any:
    """As ``ask``, where the answer must be a JSON object."""
    return _object(ask(options, command, timeout_s, arguments))


def show(
    options: Options,
    command: str,
    timeout_s: float,
    lines: Callable[[Any, Style, int | None], list[str]],
    arguments: dict[str, Any] | None = None,
    exit_code: Callable[[Any], int] = lambda result: 0,
    *,
    is_named: bool = False,
) -> int:
    """Ask this host, another one (-H) or all (--all) for a JSON object, and print it; with --watch again and again.

    Args:
        options: Of the command line.
        command: What to ask.
        timeout_s: How long the answer may take, seconds.
        lines: What an answer looks like to people.
        arguments: Of the command.
        exit_code: What an answer means for the exit code.
        is_named: Whether the lines say themselves of which host they are.

    Returns:
        The exit code; with --all the worst of all hosts', 69 for one that does not answer.
    """

    def answered() -> Told:
        if not options.all:
            result = ask_object(options, command, timeout_s, arguments)
            return result, lambda style, width: lines(result, style, width), exit_code(result)
        answers = ask_all(options, command, timeout_s, arguments)
        worst = max((_exit_code(answer, exit_code) for answer in answers.values()), default=0)
        return answers, lambda style, width: _blocks(answers, lines, style, width, is_named), worst

    if options.watch is not None:
        from daosup.ctl.repeating import repeat

        return repeat(options, answered)
    result, told, code = answered()
    tell(options, result, told)
    return code


def tell(options: Options, result: object, lines: Callable[[Style, int | None], list[str]]) -> None:
    """Print a result: as ``lines`` has it for people, or as JSON."""
    if options.json:
        import json

        print(json.dumps(result, indent=2))
        return
    width = os.get_terminal_size(1).columns if sys.stdout.isatty() else None
    print("\n".join(lines(style_of(), width or None)))


def style_of() -> Style:
    """Colours, if standard output is a terminal that has them and nobody minds."""
    return Style(sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb")


def _call(options: Options, command: str, timeout_s: float, arguments: dict[str, Any]) -> object:
    try:
        with ControlClient(find_socket(options.instance, options.socket), timeout_s) as client:
            return client.call(command, **arguments)
    except UsageError as error:
        if str(error).startswith("unknown command"):  # what versions before 0.1 said
            raise UnsupportedError(f"this host's daosupd is older than daosupctl: {error}; update it") from None
        raise


def _object(result: object) -> Any:
    if not isinstance(result, dict):
        raise ProtocolError("daosupd answered with something else than an object")
    return result


def error_in(host: str, answer: dict[str, Any]) -> DaosupError:
    """What a host's answer says that is none."""
    said = answer.get("error") or {}
    error = error_of(str(said.get("kind")), "")
    known = known_of(answer) if isinstance(error, UnavailableError) else ""
    mistakes = [f"{host}: {mistake}" for mistake in safe_lines(said.get("message"))]
    mistakes[-1] += f" ({known})" if known else ""
    return ConfigError(mistakes) if isinstance(error, ConfigError) else type(error)("\n".join(mistakes))


def safe_lines(text: object) -> list[str]:
    """The lines of a text of another host; one at least."""
    return [safe(line) for line in str(text).splitlines()] or [""]


def known_of(answer: dict[str, Any]) -> str:
    """What the registry last knew of a host that does not answer; empty if nothing."""
    known = answer.get("known")
    if not isinstance(known, dict):
        return ""
    version = f", daosup {safe(known['version'])}" if known.get("version") else ""
    seen = f", last seen {duration(known['age_s'])} ago" if known.get("age_s") is not None else ""
    return f"in the registry: {safe(known.get('role') or 'host')} at {safe(known.get('ip') or '?')}{version}{seen}"


def _blocks(
    answers: dict[str, dict[str, Any]],
    lines: Callable[[Any, Style, int | None], list[str]],
    style: Style,
    width: int | None,
    is_named: bool,
) -> list[str]:
    """Each host's lines; for one that does not answer why, and what was known of it."""
    told: list[str] = []
    for host, answer in answers.items():
        told += [""] if told else []
        is_there = answer.get("ok") is True
        if not (is_there and is_named):
            told.append(style(safe(host), "strong"))
        if is_there:
            told += lines(_object(answer.get("result")), style, width)
            continue
        said = answer.get("error") or {}
        told += [f"  {style(line, 'bad')}" for line in safe_lines(said.get("message"))]
        told += [f"  {known_of(answer)}"] if known_of(answer) else []
    return told


def _exit_code(answer: dict[str, Any], exit_code: Callable[[Any], int]) -> int:
    if answer.get("ok") is True:
        return exit_code(_object(answer.get("result")))
    return error_of(str((answer.get("error") or {}).get("kind")), "").exit_code
