"""``python -m bench [NAME ...]``: measure, print the table, exit 1 if a goal was missed or a measurement failed.

A measurement that fails is a row that says so; the others go on.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Optional

from bench import first_frame, interrupts, kill, quiet, report, scale, status, stream, torn
from bench.children import BenchError
from bench.figures import Row, Verdict
from bench.machine import describe
from bench.plan import Plan
from daosup.errors import DaosupError

MEASUREMENTS: dict[str, ModuleType] = {
    "first-frame": first_frame,
    "stream": stream,
    "kill": kill,
    "status": status,
    "torn": torn,
    "scale": scale,
    "quiet": quiet,
}
#: Without names; what is not among them has a page of its own.
USUAL = ("first-frame", "stream", "kill", "status", "torn")


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the measurements named, or all of them."""
    options = _parse(arguments)
    interrupts.install()
    # An installed daosup has its bytecode beside it; to compile it at every start is not what is measured.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    seconds = options.seconds or (12.0 if options.quick else 60.0)
    plan = Plan(is_quick=options.quick, stream_s=seconds)
    rows: list[Row] = []
    names = options.names or list(USUAL)
    try:
        for name in names:
            rows += _measured(name, plan)
    except KeyboardInterrupt:
        plan.say("interrupted; everything it started is stopped")
        return 130
    machine = describe(plan.redis_flavour)
    print(report.text(rows, machine))
    if options.json:
        options.json.write_text(report.as_json(rows, machine))
    if options.write:
        methods = {name: MEASUREMENTS[name].__doc__ or "" for name in names}
        options.write.write_text(report.page(_title(names), rows, machine, methods, _command(options)))
    return int(any(row.verdict in (Verdict.MISSED, Verdict.FAILED) for row in rows))


def _measured(name: str, plan: Plan) -> list[Row]:
    rows: list[Row] = []
    try:
        with closing(MEASUREMENTS[name].measure(plan)) as measured:
            for row in measured:
                rows.append(row)
                plan.say(f"{row.what}: {row.verdict.value}")
    except (BenchError, DaosupError, OSError) as error:
        plan.say(f"{name} failed: {error}")
        reason = " / ".join(str(error).splitlines()) or type(error).__name__
        rows.append(Row(name, "", (), note=reason, noise=plan.meter.take()))
    return rows


def _parse(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure what daosup promises in numbers.")
    which = f"which: {', '.join(MEASUREMENTS)} (default: {', '.join(USUAL)})"
    parser.add_argument("names", nargs="*", metavar="NAME", help=which)
    parser.add_argument("--quick", action="store_true", help="fewer repeats, shorter runs: a look, not a result")
    parser.add_argument("--seconds", type=float, help="length of the long stream run (default 60; each turn a third)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page there, as docs/performance.md is")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in MEASUREMENTS]
    if unknown:
        parser.error(f"no measurement is called {unknown[0]!r}; there are: {', '.join(MEASUREMENTS)}")
    if options.seconds is not None and options.seconds <= 0:
        parser.error(f"--seconds {options.seconds:g}: more than 0 are needed")
    return options


def _title(names: Sequence[str]) -> str:
    return "Performance" if set(names) & set(USUAL) else "Scale"


def _command(options: argparse.Namespace) -> str:
    quick = ["--quick"] if options.quick else []
    seconds = [f"--seconds {options.seconds:g}"] if options.seconds else []
    return " ".join(["python -m bench", *options.names, *quick, *seconds, f"--write {options.write}"])


if __name__ == "__main__":
    sys.exit(main())
