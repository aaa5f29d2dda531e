"""Commands about what runs: single workers, and the daemon's configuration."""

from __future__ import annotations

import time

from daosup.ctl.asking import ANSWER_S, ask_object, show, tell
from daosup.ctl.tables import Style, safe
from daosup.errors import NoAnswerError, UnavailableError

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    from typing import Any

    from daosup.ctl.options import Options

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
    return show(options, "reload", RELOAD_S, _change_report)


def reexec(options: Options) -> int:
    """Have the installed version take over."""
    old, (_, old_latest_s) = _began(options)
    started = ask_object(options, "reexec", REEXEC_S)
    deadline = time.monotonic() + REEXEC_S
    new, new_earliest_s = old, old_latest_s
    while new_earliest_s <= old_latest_s:
        if time.monotonic() > deadline:
            raise NoAnswerError(f"the new daosupd did not answer within {REEXEC_S:g} s; see its log")
        time.sleep(0.05)
        try:
            new, (new_earliest_s, _) = _began(options)
        except UnavailableError:
            pass  # it is just beginning
    versions = f"from version {safe(old.get('version'))} to {safe(new.get('version'))}"
    tell(options, started, lambda style, width: [f"daosupd (pid {safe(new.get('pid'))}) went {versions}"])
    return 0


def _began(options: Options) -> tuple[dict[str, Any], tuple[float, float]]:
    """A daemon's status, and between which moments of our clock it began."""
    asked_s = time.monotonic()
    status = ask_object(options, "status", STATUS_S)
    uptime_s = float(status.get("uptime_s", 0))
    return status, (asked_s - uptime_s, time.monotonic() - uptime_s)


def _change_report(change: dict[str, Any], style: Style, width: int | None) -> list[str]:
    changed = ", ".join(map(safe, change.get("changed", ()))) or "nothing"
    lines = [f"the configuration is in force; changed: {changed}"]
    if change.get("needs_restart"):
        waiting = ", ".join(map(safe, change["needs_restart"]))
        lines.append(style(f"needs a restart: {waiting}", "doubtful"))
    return lines
