"""Measures the way of frames between this host and another, and prints a table for a report.

Invariant: what is made for it here and there, segments, mirrors, a process, ends with it, by Ctrl-C too; if this
process is killed, within some seconds, but for a file that the next measurement removes.
"""

from __future__ import annotations

import glob
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from daosup import __version__
from daosup.adapters.control_client import ControlClient, find_socket
from daosup.core.types import SEGMENT_SUFFIX, Source, check_host
from daosup.ctl.asking import ask_hosts, error_in, tell
from daosup.ctl.tables import safe
from daosup.ctl.units import quantity
from daosup.errors import NoAnswerError, NotFoundError, UsageError
from daosup.shm import Segment
from daosup.shm.making import unlink_segment
from daosup.workers.echo import MODE, SERIES_END, series

if TYPE_CHECKING:
    from types import FrameType

    from daosup.ctl.options import Options

    Object = dict[str, Any]

PREFIX = "daosup-bench-"
SIZES_BYTES = (1 << 10, 64 << 10, 1 << 20, 8 << 20)
ASK_S = 40.0
#: Round trips of a size: as many as this, or as go into so many seconds.
ROUND_TRIPS = 500
ROUND_TRIPS_S = 4.0
#: Between two of them, so that each finds the hosts at rest.
PAUSE_S = 0.003
LOST_S = 1.0
#: Of frames at a rate, how many series at most, and how long each.
SERIES = 10
SERIES_S = 0.4
SERIES_LATE_S = 20.0
ANNOUNCED_S = 5.0
UNREAD_S = 5.0
_LOOK_S = 0.005
_WORDS = 8  # bytes of a uint64


def bench(options: Options) -> int:
    """Measure, for each size of frames."""
    host = check_host(options.name or "")
    signal.signal(signal.SIGTERM, _interrupt)
    with ControlClient(find_socket(options.instance, options.socket), ASK_S) as client:
        settings: Any = client.call("settings")
        here = str(settings["host"])
        if host == here:
            raise UsageError(f"{host} is this host; name another one (daosupctl ls)")
        way = _Way(options, client, here, host, str(settings["segment_folder"]))
        there = ask_hosts(options, [host], "status", ASK_S)[host]
        if there.get("ok") is not True:
            raise error_in(host, there)
        measured = []
        for size_bytes in SIZES_BYTES:
            _say(f"{_size(size_bytes)} ...")
            measured.append(way.measure(size_bytes))
        _say("")
    result = {
        "here": here,
        "there": host,
        "version_here": __version__,
        "version_there": there["result"].get("version"),
        "time_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "sizes": measured,
    }
    tell(options, result, lambda style, width: _lines(result))
    return 0


class _Way:
    """The way between two hosts, and what is made for it."""

    def __init__(self, options: Options, client: ControlClient, here: str, there: str, folder: str) -> None:
        self._options = options
        self._client = client
        self._here = here
        self._there = there
        self._folder = folder
        self._holder = uuid.uuid4().hex
        client.call("hold", holder=self._holder)
        _remove_leftovers(folder)

    def measure(self, size_bytes: int) -> Object:
        """Times and rates of frames of one size."""
        name = f"{PREFIX}{os.getpid()}-{size_bytes}"
        with self._sent(name, size_bytes) as sent, self._answered(name) as answered:
            latency = self._round_trips(sent, answered)
            return {"frame_bytes": size_bytes, **latency, **self._rates(sent, answered, latency["latency_p50_s"])}

    @contextmanager
    def _sent(self, name: str, size_bytes: int) -> Iterator[Segment]:
        """A segment of ours, which is answered there."""
        path = os.path.join(self._folder, name + SEGMENT_SUFFIX)
        sent = Segment.create(path, (size_bytes // _WORDS, 1), "uint64", mode=MODE, semaphore_mode=MODE)
        try:
            with self._echo(name):
                yield sent
        finally:
            self._wait_until_unread(f"{self._here}:{name}")
            sent.unlink()
            sent.close()

    @contextmanager
    def _echo(self, name: str) -> Iterator[None]:
        order = {"source": f"{self._here}:{name}", "name": f"{name}-back"}
        _until_known(lambda: self._order("echo", order))
        try:
            yield
        finally:
            try:
                self._order("end_echo", order)
            except NotFoundError:
                pass  # it has ended by itself

    @contextmanager
    def _answered(self, name: str) -> Iterator[Segment]:
        """What comes back: the mirror of what is written there."""
        source = str(Source(self._there, f"{name}-back"))
        asked = {"source": source, "holder": self._holder}
        made: Any = _until_known(lambda: self._client.call("mirror", wait_s=20, timeout_s=ASK_S, **asked))
        try:
            with Segment.open(made["path"], writable=False) as mirror:
                yield mirror
        finally:
            try:
                self._client.call("release", timeout_s=ASK_S, **asked)
            except NotFoundError:
                pass

    def _wait_until_unread(self, source: str) -> None:
        """So that no publisher misses its segment; but not for ever."""
        end_s = time.monotonic() + UNREAD_S
        status: Any = self._client.call("status")
        while any(each["source"] == source for each in status["workers"]) and time.monotonic() < end_s:
            time.sleep(_LOOK_S * 10)
            status = self._client.call("status")

    def _order(self, command: str, arguments: Object) -> object:
        answer = ask_hosts(self._options, [self._there], command, ASK_S, arguments)[self._there]
        if answer.get("ok") is not True:
            raise error_in(self._there, answer)
        return answer.get("result")

    def _round_trips(self, sent: Segment, answered: Segment) -> Object:
        frame, back = sent.read(), answered.read()
        one_way_s: list[float] = []
        lost = 0
        end_s = time.monotonic() + ROUND_TRIPS_S
        for ident in range(1, ROUND_TRIPS + 1):
            counter = answered.counter
            began_ns = time.perf_counter_ns()
            sent.write(frame, frame_id=ident)
            try:
                counter = answered.wait(counter, LOST_S)
                came_ns = time.perf_counter_ns()
                answered.read(back)
                while answered.stamp.frame_id != ident:  # a late one
                    counter = answered.wait(counter, LOST_S)
                    came_ns = time.perf_counter_ns()
                    answered.read(back)
                # Both ways are the same path; the program that answers is not part of it, and has told its time.
                one_way_s.append((came_ns - began_ns - int(back.flat[0])) / 2e9)
            except TimeoutError:
                lost += 1
            if time.monotonic() > end_s:
                break
            time.sleep(PAUSE_S)
        if not one_way_s:
            raise NoAnswerError(f"no frame of {len(frame.tobytes())} bytes came back from {self._there}")
        one_way_s.sort()
        return {
            "round_trips": len(one_way_s),
            "lost": lost,
            "latency_p50_s": _quantile(one_way_s, 0.5),
            "latency_p99_s": _quantile(one_way_s, 0.99),
            "latency_worst_s": one_way_s[-1],
        }

    def _rates(self, sent: Segment, answered: Segment, latency_s: float) -> Object:
        """The most frames a second that arrive here, of more and more that are written there."""
        best_hz, skipped, rate_hz = 0.0, 0.0, 0.5 / latency_s
        for _ in range(SERIES):
            written_hz, arrived_hz = self._series(sent, answered, max(1, round(rate_hz)))
            if arrived_hz > best_hz:
                is_better, best_hz, skipped = arrived_hz > 1.1 * best_hz, arrived_hz, 1 - arrived_hz / written_hz
            else:
                is_better = False
            if not is_better or written_hz < 0.8 * rate_hz:  # the way is at its end, or its writer is
                break
            rate_hz *= 2
        bytes_per_s = best_hz * answered.geometry.frame_bytes
        return {"rate_hz": best_hz, "bytes_per_s": bytes_per_s, "skipped": max(0.0, skipped)}

    def _series(self, sent: Segment, answered: Segment, rate_hz: int) -> tuple[float, float]:
        """Have frames written there at a rate; returns at which it was, and at which they came here."""
        back = answered.read()
        first = counter = answered.counter
        sent.write(sent.read(), frame_id=series(rate_hz, round(SERIES_S * 1000)))
        began_s = time.monotonic()
        while True:
            time.sleep(_LOOK_S)
            now, seen = time.monotonic(), answered.counter
            if now > began_s + SERIES_S + SERIES_LATE_S:
                raise NoAnswerError(f"{self._there} did not end what it was to write; is it overloaded?")
            if seen == counter:
                continue
            if now > began_s + 0.9 * SERIES_S:
                answered.read(back)
                if answered.stamp.frame_id == SERIES_END:
                    break
            counter = seen
        written, written_s = int(back.flat[0]), int(back.flat[1]) / 1e9
        # What comes last says that it is the end, and is none of them.
        return written / written_s, max(0, answered.counter - 1 - first) / written_s


def _until_known(make: Callable[[], Any]) -> Any:
    """What is made of a segment that the other side may not have heard of yet."""
    end_s = time.monotonic() + ANNOUNCED_S
    while True:
        try:
            return make()
        except NotFoundError as error:
            if time.monotonic() > end_s:
                raise NotFoundError(
                    f"{error}; segments that begin with {PREFIX} must be published on both hosts ([publish])"
                ) from None
        time.sleep(_LOOK_S * 10)


def _remove_leftovers(folder: str) -> None:
    """Remove what measurements left that were killed."""
    for path in glob.glob(os.path.join(glob.escape(folder), f"{PREFIX}*{SEGMENT_SUFFIX}")):
        pid = os.path.basename(path).removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and not os.path.exists(f"/proc/{pid}") and "-back" not in path:
            try:
                unlink_segment(path)
            except OSError:
                pass  # another user's


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _lines(result: Object) -> list[str]:
    there, here = safe(result["there"]), result["here"]
    versions = f"daosup {safe(result['version_there'])} there, {result['version_here']} here"
    rows = [["frame", "p50", "p99", "worst", "rate", "data"], *map(_row, result["sizes"])]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.rjust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    rule = "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|"
    trips, lost = (sum(each[what] for each in result["sizes"]) for what in ("round_trips", "lost"))
    came = f"{trips} frames, {lost} more did not come back" if lost else f"{trips} frames"
    return [
        f"{there} to {here}, {versions}, {result['time_utc']}",
        "",
        lines[0],
        rule,
        *lines[1:],
        "",
        "Latency: from the write there until a program here is woken; half of the time",
        f"there and back, one frame at a time ({came}).",
        "Rate: the most frames a second that came, of more and more that were written.",
    ]


def _row(size: Object) -> list[str]:
    return [
        _size(size["frame_bytes"]),
        *(quantity(size[f"latency_{name}_s"], "s") for name in ("p50", "p99", "worst")),
        quantity(size["rate_hz"] or None, "Hz"),
        quantity(size["bytes_per_s"] or None, "B/s"),
    ]


def _size(size_bytes: int) -> str:
    return f"{size_bytes >> 20} MiB" if size_bytes >= 1 << 20 else f"{size_bytes >> 10} KiB"


def _say(text: str) -> None:
    """On a terminal, what is being done."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
