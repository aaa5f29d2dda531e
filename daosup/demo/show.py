"""The demonstration itself: set up, look and draw until told to end, clear up.

Invariant: whatever was set up is cleared up before the last word is printed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from contextlib import suppress
from typing import Any, Union

from daosup.ctl.ending import Ended, Ending
from daosup.ctl.tables import Style
from daosup.ctl.terminal import Terminal
from daosup.ctl.watching import Watched
from daosup.demo.fleet import Fleet, running
from daosup.demo.view import pictures, report, segments
from daosup.errors import DaosupError

REDRAW_S = 0.2
PRINT_S = 1.0
STATUS_S = 1.0
DEATH_SHOWN_S = 1.0


def main(ending: Ending, arguments: list[str]) -> int:
    """Run the demonstration; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m daosup.demo",
        description="Two supervised hosts on this machine; one mirrors a camera and a deformable mirror of the other.",
        epilog="Ctrl-C or the key q ends it and leaves nothing behind.",
    )
    parser.add_argument("--seconds", type=float, metavar="N", help="end after N seconds of showing")
    parser.add_argument(
        "--redis-url",
        metavar="URL",
        default=os.environ.get("DAOSUP_REDIS") or None,
        help="use this Redis (default: $DAOSUP_REDIS, or one of our own)",
    )
    options = parser.parse_args(arguments)

    def tell(step: str) -> None:
        with suppress(OSError):
            print(f"{step} ...", flush=True)

    try:
        with running(ending, options.redis_url, tell) as fleet:
            if options.seconds is not None:
                ending.end_after(options.seconds)
            if sys.stdout.isatty():
                _show(fleet, ending)
            else:
                _print(fleet, ending)
    except Ended:
        pass
    except DaosupError as error:
        print(f"daosup.demo: {error}", file=sys.stderr)
        return error.exit_code
    tell("everything is stopped and removed")
    return 0


def _show(fleet: Fleet, ending: Ending) -> None:
    camera, mirror = (Watched(str(source), fleet.mirror_path(source)) for source in fleet.sources)
    began = time.monotonic()
    try:
        with Terminal(ending) as terminal:
            style = terminal.style
            while True:
                columns, rows = terminal.size()
                title = f"{style('daosup', 'strong')}  {fleet.owner.name} shares, {fleet.reader.name} mirrors"
                title = f"{title}; {time.monotonic() - began:.0f} s; Ctrl-C or q ends it"
                deaths, statuses = fleet.deaths(), _statuses(fleet)
                lines = [title, segments(statuses.get(fleet.owner.name)), ""]
                lines += [*report(statuses, deaths, style, columns), ""]
                lines += pictures(camera.look(), mirror.look(), rows - len(lines), columns, terminal.ink)
                if terminal.is_ready or deaths:
                    terminal.draw(lines)
                terminal.pause(DEATH_SHOWN_S if deaths else REDRAW_S)
                if deaths:
                    break
    finally:
        camera.close()
        mirror.close()
    fleet.check()


def _print(fleet: Fleet, ending: Ending) -> None:
    began = time.monotonic()
    while True:
        deaths = fleet.deaths()
        statuses = _statuses(fleet)
        lines = [f"after {time.monotonic() - began:.0f} s: {segments(statuses.get(fleet.owner.name))}"]
        lines += [*report(statuses, deaths, Style(False), None), ""]
        ending.write(sys.stdout.fileno(), "\n".join(lines) + "\n")
        fleet.check()
        ending.pause(PRINT_S)


def _statuses(fleet: Fleet) -> dict[str, Union[dict[str, Any], str]]:
    statuses: dict[str, Union[dict[str, Any], str]] = {}
    for host in fleet.hosts:
        try:
            status = host.client.call("status", timeout_s=STATUS_S)
            statuses[host.name] = status if isinstance(status, dict) else "it answered something else than a status"
        except DaosupError as error:
            statuses[host.name] = str(error)
    return statuses
