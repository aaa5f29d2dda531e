"""Commands about what runs: single workers, and the daemon's configuration."""

from __future__ import annotations

import time

from daosup.ctl.asking import ANSWER_S, ask_object, tell
from daosup.ctl.tables import Style, safe
from daosup.errors import NoAnswerError, UnavailableError

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    from typing import Any

    from daosup.ctl.arguments import Options

WORKER_S = 30.0
RELOAD_S = 15.0
STATUS_S = 5.0
REEXEC_S = 40.0


def stop(options: Options) -> int:
    """Stop a worker for good."""
    return _work(options, "stop")


def start(options: Options) -> int:
    """Take back a stop."""
    return _work(options, "start")


def restart(options: Options) -> int:
    """Have a worker's process replaced."""
    return _work(options, "restart")


def _work(options: Options, command: str) -> int:
    wait_s = WORKER_S if options.wait is None else options.wait
    done = ask_object(options, command, wait_s + ANSWER_S, {"name": options.name, "wait_s": wait_s})
    reason = f" ({safe(done['reason'])})" if done.get("reason") else ""
    told = f"{safe(done.get('worker'))} {safe(done.get('source'))}: {safe(done.get('state'))}{reason}"
    tell(options, done, lambda style, width: [told])
    return 0


def reload(options: Options) -> int:
    """Have the configuration read anew."""
    change = ask_object(options, "reload", RELOAD_S)
    tell(options, change, lambda style, width: _change_report(change, style))
    return 0


def reexec(options: Options) -> int:
    """Have the installed version take over."""
    old = ask_object(options, "status", STATUS_S)
    started = ask_object(options, "reexec", REEXEC_S)
    deadline = time.monotonic() + REEXEC_S
    new = old
    while not float(new.get("uptime_s", 0)) < float(old.get("uptime_s", 0)):
        if time.monotonic() > deadline:
            raise NoAnswerError(f"the new daosupd did not answer within {REEXEC_S:g} s; see its log")
        time.sleep(0.05)
        try:
            new = ask_object(options, "status", STATUS_S)
        except UnavailableError:
            pass  # it is just beginning
    versions = f"from version {safe(old.get('version'))} to {safe(new.get('version'))}"
    tell(options, started, lambda style, width: [f"daosupd (pid {safe(new.get('pid'))}) went {versions}"])
    return 0


def _change_report(change: dict[str, Any], style: Style) -> list[str]:
    changed = ", ".join(map(safe, change.get("changed", ()))) or "nothing"
    lines = [f"the configuration is in force; changed: {changed}"]
    if change.get("needs_restart"):
        waiting = ", ".join(map(safe, change["needs_restart"]))
        lines.append(style(f"needs a restart: {waiting}", "doubtful"))
    return lines
