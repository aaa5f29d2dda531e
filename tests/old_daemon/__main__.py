"""``python -m tests.old_daemon``: does what tests/told_process.py tells it.

``do`` is one of ``create`` (``name``, ``shape``, ``dtype``; ``layout``, ``depth``), ``mirror`` (``source``;
``bidirectional``), ``release`` (``source``), ``write`` (``name``, ``value``; ``count`` and ``period_s``: so many
frames in the background, each with one more), ``read`` (``name``), ``status``, ``stop``.
"""

from __future__ import annotations

import argparse
import dataclasses
import threading
import time
from typing import Any

import numpy as np
import redis

from tests.old_daemon.daemon import Daemon, Times
from tests.old_daemon.segments import Segment
from tests.told_process import obey


class Control:
    """Does what it is told."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._writing: dict[str, int] = {}

    def create(self, name: str, shape: list[int], dtype: str, layout: str = "fifo", depth: int = 1) -> dict[str, Any]:
        self._daemon.create(name, tuple(shape), dtype, layout, depth)
        return {"path": self._daemon.path_of(name)}

    def mirror(self, source: str, bidirectional: bool = False) -> dict[str, Any]:
        host, _, name = source.partition(":")
        self._daemon.mirror(host, name, is_bidirectional=bidirectional)
        return {"path": self._daemon.mirrored[source].path}

    def release(self, source: str) -> dict[str, Any]:
        host, _, name = source.partition(":")
        self._daemon.release(host, name)
        return {}

    def write(self, name: str, value: float, count: int = 1, period_s: float = 0.0) -> dict[str, Any]:
        segment = Segment(self._daemon.path_of(name))
        if count > 1:
            self._writing[name] = count
            threading.Thread(target=self._write, args=(name, segment, value, count, period_s), daemon=True).start()
            return {}
        counter = segment.write(np.full(segment.shape, value, segment.dtype))
        segment.close()
        return {"counter": counter}

    def _write(self, name: str, segment: Segment, value: float, count: int, period_s: float) -> None:
        due_s = time.monotonic()
        for number in range(count):
            segment.write(np.full(segment.shape, value + number, segment.dtype))
            self._writing[name] = count - number - 1
            due_s += period_s
            time.sleep(max(0.0, due_s - time.monotonic()))
        segment.close()

    def read(self, name: str) -> dict[str, Any]:
        segment = Segment(self._daemon.path_of(name))
        counter, frame = segment.counter, segment.read()
        segment.close()
        values = np.unique(frame)
        return {
            "counter": counter,
            "shape": list(frame.shape),
            "dtype": frame.dtype.name,
            "value": values[0].item() if len(values) == 1 and frame.dtype.kind != "c" else None,
        }

    def status(self) -> dict[str, Any]:
        daemon = self._daemon
        threads = dict(daemon.threads)
        published, mirrored = {}, {}
        for name, each in list(daemon.published.items()):
            published[name] = {
                "port": each.publisher.port,
                "frames": each.publisher.frames,
                "written_by": each.written_by if each.writer else None,
                "written_frames": each.writer.frames if each.writer else 0,
            }
            threads[f"publisher {name}"] = each.publisher.thread
            if each.writer is not None:
                threads[f"writer {name}"] = each.writer.thread
        for source, found in list(daemon.mirrored.items()):
            mirrored[source] = {
                "state": found.state,
                "port": found.port,
                "has_asked": found.has_asked,
                "frames": found.subscriber.frames if found.subscriber else 0,
                "sent_frames": found.publisher.frames if found.publisher else 0,
            }
            for part in (found.subscriber, found.publisher):
                if part is not None:
                    threads[f"{type(part).__name__} {source}"] = part.thread
        return {
            "published": published,
            "mirrored": mirrored,
            "writing": dict(self._writing),
            "errors": {name: thread.error for name, thread in threads.items() if thread.error is not None},
        }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.old_daemon")
    parser.add_argument("--host-name", required=True)
    parser.add_argument("--ip", default="127.0.0.1")
    parser.add_argument("--role", choices=("master", "minion"), default="minion")
    parser.add_argument("--folder", required=True)
    parser.add_argument("--redis-host", default="127.0.0.1")
    parser.add_argument("--redis-port", type=int, required=True)
    for field in dataclasses.fields(Times):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=float, default=field.default)
    options = parser.parse_args()
    times = Times(**{field.name: getattr(options, field.name) for field in dataclasses.fields(Times)})
    server = redis.Redis(options.redis_host, options.redis_port, decode_responses=True)
    daemon = Daemon(options.host_name, options.ip, options.role, options.folder, server, times)
    with server:
        obey(Control(daemon), daemon.stop)


if __name__ == "__main__":
    main()
