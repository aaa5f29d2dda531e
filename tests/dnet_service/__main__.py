"""``python -m tests.dnet_service``: does what tests/told_process.py tells it.

``do`` is one of ``create`` (``name``, ``shape``, ``dtype``; ``keywords``), ``remove`` (``name``), ``mirror``
(``source``), ``release`` (``source``), ``write`` (``name``, ``value``; ``count`` and ``period_s``: so many frames, in
the background, each with one more), ``read`` (``name``), ``keyword`` (``name``, ``index``, ``key``, ``value``),
``misbehave`` (see `Control.misbehave`), ``status``, ``stop``.
"""

from __future__ import annotations

import argparse
import threading
import time
from typing import Any, Optional

import numpy as np

from tests.dnet_service import wire
from tests.dnet_service.links import Sources
from tests.dnet_service.segments import Segment, filled
from tests.dnet_service.service import Service
from tests.told_process import obey


class Control:
    """Does what it is told."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def create(self, name: str, shape: list[int], dtype: str, keywords: Optional[dict[str, int]] = None) -> Any:
        self._service.create(name, tuple(shape), dtype, keywords or {})
        return {"path": self._service.path_of(name)}

    def remove(self, name: str) -> Any:
        self._service.remove(name)
        return {}

    def mirror(self, source: str) -> Any:
        return {"path": self._service.mirror(source)}

    def release(self, source: str) -> Any:
        self._service.release(source)
        return {}

    def write(self, name: str, value: float, count: int = 1, period_s: float = 0.0) -> Any:
        segment = Segment(self._service.path_of(name))
        if count > 1:
            threading.Thread(target=self._write, args=(segment, value, count, period_s), daemon=True).start()
            return {}
        counter = segment.write(filled(segment, value))
        segment.close()
        return {"counter": counter}

    @staticmethod
    def _write(segment: Segment, value: float, count: int, period_s: float) -> None:
        due_s = time.monotonic()
        for number in range(count):
            segment.write(filled(segment, value + number))
            due_s += period_s
            time.sleep(max(0.0, due_s - time.monotonic()))
        segment.close()

    def read(self, name: str) -> Any:
        segment = Segment(self._service.path_of(name))
        counter, frame = segment.counter, segment.read()
        raw = segment.keywords
        segment.close()
        keywords = {}
        for begin in range(0, len(raw), wire.KEYWORD.size):
            key, _, value, _ = wire.KEYWORD.unpack_from(raw, begin)
            keywords[key.partition(b"\0")[0].decode()] = int.from_bytes(value[:8], "little", signed=True)
        values = np.unique(frame)
        return {
            "counter": counter,
            "shape": list(frame.shape),
            "dtype": frame.dtype.name,
            "value": values[0].item() if len(values) == 1 and frame.dtype.kind != "c" else None,
            "keywords": keywords,
        }

    def keyword(self, name: str, index: int, key: str, value: int) -> Any:
        segment = Segment(self._service.path_of(name))
        segment.put_keyword(index, wire.keyword(key, value))
        segment.close()
        return {}

    def misbehave(self, name: str = "", **how: Any) -> Any:
        """``is_torn``: frames say that they are torn; ``is_cut``: the next frame ends in its middle.

        ``is_quiet``: no beacon any more; ``beacon``: this text instead of it; ``is_mute``: no heartbeat on any link.
        """
        for key, value in how.items():
            if key in ("is_quiet", "beacon"):
                setattr(self._service, key, value)
            elif key == "is_mute":
                for link in list(self._service.owner_links):
                    link.is_mute = value
            else:
                setattr(self._service.sources.setdefault(name, Sources()), key, value)
        return {}

    def status(self) -> Any:
        return self._service.as_json()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.dnet_service")
    parser.add_argument("--node", required=True)
    parser.add_argument("--domain", default="dao")
    parser.add_argument("--folder", required=True)
    parser.add_argument("--interface", default="127.0.0.1")
    parser.add_argument("--group", default="239.255.77.10")
    parser.add_argument("--port", type=int, default=7710)
    parser.add_argument("--beacon-port", type=int, default=7711)
    options = parser.parse_args()
    service = Service(**vars(options))
    obey(Control(service), service.stop)


if __name__ == "__main__":
    main()
