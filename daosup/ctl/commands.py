"""The commands of daosupctl: what each asks the daemon, and how its result is told.

Invariant: with --json a command prints exactly what the daemon answered.
"""

from __future__ import annotations

import os
import sys
import time

from daosup.adapters.control_client import ControlClient, find_socket
from daosup.ctl.reports import is_well, machines_report, status_report
from daosup.ctl.tables import Style, safe
from daosup.ctl.units import shape
from daosup.errors import NoAnswerError, ProtocolError, UnavailableError

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from daosup.ctl.arguments import Options

NOT_WELL = 1
STATUS_S = 5.0
MACHINES_S = 10.0
MIRROR_S = 30.0
REEXEC_S = 40.0
ANSWER_S = 5.0
"""How much longer than the mirror's own wait its answer may take, seconds."""


class Command:
    """One command: how it is run and what its command line may have."""

    def __init__(
        self, run: Callable[[Options], int], summary: str, *, has_source: bool = False, has_wait: bool = False
    ) -> None:
        self.run = run
        self.summary = summary
        self.has_source = has_source
        self.has_wait = has_wait


def _status(options: Options) -> int:
    status = _object(_ask(options, "status", STATUS_S))
    _tell(options, status, lambda style, width: status_report(status, style, width))
    return 0 if is_well(status) else NOT_WELL


def _ls(options: Options) -> int:
    machines = _ask(options, "machines", MACHINES_S)
    if not isinstance(machines, list):
        raise ProtocolError("daosupd answered with something else than a list of machines")
    _tell(options, machines, lambda style, width: machines_report(machines, style, width))
    return 0


def _mirror(options: Options) -> int:
    wait_s = MIRROR_S if options.wait is None else options.wait
    source = _source(options)
    arguments = {"source": source, "bidirectional": False, "wait_s": wait_s, "holder": "operator"}
    mirror = _object(_ask(options, "mirror", wait_s + ANSWER_S, arguments))
    what = f"{shape(mirror.get('shape'))} {safe(mirror.get('dtype'))}" if mirror.get("shape") else "shape not yet known"
    told = f"{source} is mirrored as {safe(mirror.get('name'))} ({what}): {safe(mirror.get('state'))}"
    _tell(options, mirror, lambda style, width: [told, f"file {safe(mirror.get('path'))}"])
    return 0


def _release(options: Options) -> int:
    source = _source(options)
    released = _ask(options, "release", MACHINES_S, {"source": source})
    _tell(options, released, lambda style, width: [f"{source} is released"])
    return 0


def _reexec(options: Options) -> int:
    old = _object(_ask(options, "status", STATUS_S))
    started = _object(_ask(options, "reexec", REEXEC_S))
    deadline = time.monotonic() + REEXEC_S
    new = old
    while not float(new.get("uptime_s", 0)) < float(old.get("uptime_s", 0)):
        if time.monotonic() > deadline:
            raise NoAnswerError(f"the new daosupd did not answer within {REEXEC_S:g} s; see its log")
        time.sleep(0.05)
        try:
            new = _object(_ask(options, "status", STATUS_S))
        except UnavailableError:
            pass  # it is just beginning
    versions = f"from version {safe(old.get('version'))} to {safe(new.get('version'))}"
    _tell(options, started, lambda style, width: [f"daosupd (pid {safe(new.get('pid'))}) went {versions}"])
    return 0


COMMANDS = {
    "status": Command(_status, "how the daemon, registry, segments and workers are"),
    "ls": Command(_ls, "all hosts of the fleet and their segments"),
    "mirror": Command(_mirror, "mirror another host's segment here", has_source=True, has_wait=True),
    "release": Command(_release, "give up a mirror", has_source=True),
    "reexec": Command(_reexec, "have the installed version take over; streams go on"),
}


def _ask(options: Options, command: str, timeout_s: float, arguments: dict[str, Any] | None = None) -> object:
    with ControlClient(find_socket(options.instance, options.socket), timeout_s) as client:
        return client.call(command, **(arguments or {}))


def _source(options: Options) -> str:
    from daosup.core.types import Source  # dear to import, and status does without

    return str(Source.parse(options.source or ""))


def _object(result: object) -> dict[str, Any]:
    if not isinstance(result, dict):
        raise ProtocolError("daosupd answered with something else than an object")
    return result


def _tell(options: Options, result: object, lines: Callable[[Style, int | None], list[str]]) -> None:
    if options.json:
        import json

        print(json.dumps(result, indent=2))
        return
    is_terminal = sys.stdout.isatty()
    has_colours = is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    width = os.get_terminal_size(1).columns if is_terminal else None
    print("\n".join(lines(Style(has_colours), width or None)))
