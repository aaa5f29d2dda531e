"""A program whose segments are damaged while frames flow out of them and into them; what came of it, as JSON on stdout.

Usage: pump_victim.py FOLDER
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from daosup.errors import SegmentLostError
from tests.integration.damages import DAMAGES, SHAPE
from tests.integration.pumps import Rig, pumps
from tests.meanwhile import repeated
from tests.waiting import wait_until

PERIOD_S = 0.001
FLOWING = 20


def write(rig: Rig) -> None:
    with suppress(SegmentLostError):  # our writer sees it, too; what is under test has to see it by itself
        rig.write(1)


def feed(rig: Rig) -> Callable[[], None]:
    numbers = iter(range(1, 10**9))
    return lambda: rig.near.send(rig.message(next(numbers)))


def flow(turn: Callable[[], object]) -> tuple[str, float]:
    """Turn until there is an error: which, and when."""
    while True:
        try:
            turn()
        except Exception as error:
            return type(error).__name__, time.monotonic()


def outcome(folder: Path, damage: Callable[[Path], None], direction: str) -> tuple[str, float]:
    with pumps(folder, SHAPE) as rig, ThreadPoolExecutor(1) as aside:
        is_out = direction == "out"
        with repeated((lambda: write(rig)) if is_out else feed(rig), PERIOD_S):
            flowing = aside.submit(flow, rig.outlet.send_for_a_turn if is_out else rig.inlet.take_for_a_turn)
            wait_until(lambda: (rig.window.sequence if is_out else rig.window.taken) >= FLOWING, 10.0, "frames")
            began = time.monotonic()
            damage(Path(rig.segment.path))
            error, ended = flowing.result(timeout=10)
        return error, ended - began


folder = Path(sys.argv[1])
print(json.dumps({f"{d} / {way}": outcome(folder, DAMAGES[d], way) for d in DAMAGES for way in ("out", "in")}))
