"""Asking the daemon, and telling its answer.

Invariant: with --json what is printed is exactly what the daemon answered.
"""

from __future__ import annotations

import os
import sys

from daosup.adapters.control_client import ControlClient, find_socket
from daosup.ctl.tables import Style
from daosup.errors import ProtocolError

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from daosup.ctl.arguments import Options

#: How much longer an answer may take than what was asked to be waited for, seconds.
ANSWER_S = 5.0


def ask(options: Options, command: str, timeout_s: float, arguments: dict[str, Any] | None = None) -> object:
    """What the daemon answers to a command.

    Raises:
        DaosupError: If it does not, or with an error.
    """
    with ControlClient(find_socket(options.instance, options.socket), timeout_s) as client:
        return client.call(command, **(arguments or {}))


def ask_object(options: Options, command: str, timeout_s: float, arguments: dict[str, Any] | None = None) -> Any:
    """As ``ask``, where the answer must be a JSON object."""
    result = ask(options, command, timeout_s, arguments)
    if not isinstance(result, dict):
        raise ProtocolError("daosupd answered with something else than an object")
    return result


def tell(options: Options, result: object, lines: Callable[[Style, int | None], list[str]]) -> None:
    """Print a result: as ``lines`` has it for people, or as JSON."""
    if options.json:
        import json

        print(json.dumps(result, indent=2))
        return
    is_terminal = sys.stdout.isatty()
    has_colours = is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    width = os.get_terminal_size(1).columns if is_terminal else None
    print("\n".join(lines(Style(has_colours), width or None)))
