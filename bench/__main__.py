"""``python -m bench [NAME ...]``: measure, print the table, exit 1 if a goal was missed or a measurement failed.

A measurement that fails is a row that says so; the others go on. All of them take more than an hour; each can be made
at another time with ``--json FILE``, and ``--join FILE ... --write PAGE`` makes one page of them. Of a run that is
interrupted, what was measured until then is told, and in FILE.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Optional

from bench import (
    compress,
    event_delay,
    first_frame,
    flat_out,
    interrupts,
    kill,
    latency,
    many,
    plots,
    quiet,
    rates,
    readers,
    report,
    scale,
    status,
    stream,
    top,
    torn,
)
from bench.children import BenchError
from bench.figures import Row, Verdict
from bench.machine import describe
from bench.plan import SIZES, TRANSPORTS, Plan
from bench.results import Results
from daosup.errors import DaosupError

MEASUREMENTS: dict[str, ModuleType] = {
    "first-frame": first_frame,
    "stream": stream,
    "kill": kill,
    "status": status,
    "top": top,
    "events": event_delay,
    "torn": torn,
    "latency": latency,
    "rates": rates,
    "readers": readers,
    "many": many,
    "flat-out": flat_out,
    "compress": compress,
    "scale": scale,
    "quiet": quiet,
}
#: On a page of their own: what a fleet takes.
OF_SCALE = ("events", "scale", "quiet")
#: Without names.
USUAL = (
    "latency", "rates", "readers", "many", "flat-out", "compress",
    "first-frame", "stream", "kill", "status", "top", "torn",
)  # fmt: skip


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the measurements named, or all of them."""
    options = _parse(arguments)
    interrupts.install()
    # An installed daosup has its bytecode beside it; to compile it at every start is not what is measured.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    seconds = options.seconds or (12.0 if options.quick else 60.0)
    plan = Plan(options.quick, seconds, tuple(options.sizes), tuple(options.transports))
    results = Results.joined(options.join)
    is_interrupted = False
    try:
        for name in options.names or ([] if options.join else USUAL):
            with closing(_measured(name, plan)) as rows:
                for row in rows:
                    results.add(name, [row])
                    results.machine = describe(plan.redis_flavour)
                    _keep(options.json, results)
    except KeyboardInterrupt:
        is_interrupted = True
    print(report.text(results.all_rows, results.machine))
    _keep(options.json, results)
    if is_interrupted:
        plan.say("interrupted; everything it started is stopped, and a page is made of whole runs only")
        return 130
    if options.write:
        _write(options.write, results, _command(options, list(results.rows)))
    return int(any(row.verdict in (Verdict.MISSED, Verdict.FAILED) for row in results.all_rows))


def _keep(file: Optional[Path], results: Results) -> None:
    """Whatever becomes of the rest: what was measured is in the file, or what was there before."""
    if file is None:
        return
    beside = file.with_name(f"{file.name}.new")
    beside.write_text(results.as_json())
    beside.replace(file)


def _write(page: Path, results: Results, command: str) -> None:
    rows, images = results.all_rows, {}
    if plots.has_library():
        plots.write(page, rows)
        images = {figure: plots.file_name(page, figure, "svg") for figure in plots.figures(rows)}
    methods = {name: MEASUREMENTS[name].__doc__ or "" for name in results.rows}
    page.write_text(report.page(_title(list(results.rows)), results, methods, command, images))


def _measured(name: str, plan: Plan) -> Generator[Row, None, None]:
    try:
        with closing(MEASUREMENTS[name].measure(plan)) as measured:
            for row in measured:
                plan.say(f"{row.what}: {row.verdict.value}")
                yield row
    except (BenchError, DaosupError, OSError) as error:
        plan.say(f"{name} failed: {error}")
        reason = " / ".join(str(error).splitlines()) or type(error).__name__
        yield Row(name, "", (), note=reason, noise=plan.meter.take())


def _parse(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure what daosup promises in numbers.")
    which = f"which: {', '.join(MEASUREMENTS)} (default: {', '.join(USUAL)})"
    parser.add_argument("names", nargs="*", metavar="NAME", help=which)
    parser.add_argument("--quick", action="store_true", help="fewer repeats, shorter runs: a look, not a result")
    parser.add_argument("--seconds", type=float, help="length of the long stream run (default 60; each turn a third)")
    parser.add_argument("--sizes", type=_numbers, default=SIZES, metavar="BYTES,...", help="of latency and rates")
    parser.add_argument("--transports", type=_words, default=TRANSPORTS, metavar="NAME,...", help="of daosup")
    parser.add_argument("--join", type=Path, nargs="+", default=[], metavar="FILE", help="begin with what --json wrote")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page there, as docs/performance.md is")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in MEASUREMENTS]
    if unknown:
        parser.error(f"no measurement is called {unknown[0]!r}; there are: {', '.join(MEASUREMENTS)}")
    if options.seconds is not None and options.seconds <= 0:
        parser.error(f"--seconds {options.seconds:g}: more than 0 are needed")
    return options


def _words(text: str) -> list[str]:
    return text.split(",")


def _numbers(text: str) -> list[int]:
    return [int(word) for word in _words(text)]


def _title(names: Sequence[str]) -> str:
    return "Scale" if set(names) <= set(OF_SCALE) else "Performance"


def _command(options: argparse.Namespace, names: Sequence[str]) -> str:
    quick = ["--quick"] if options.quick else []
    seconds = [f"--seconds {options.seconds:g}"] if options.seconds else []
    named = [] if list(names) == list(USUAL) else names
    return " ".join(["python -m bench", *named, *quick, *seconds, f"--write {options.write}"])


if __name__ == "__main__":
    sys.exit(main())
