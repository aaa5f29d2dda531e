"""What ``compress = "lz4"`` leaves of a frame, and what it costs at either end.

Frames are packed and unpacked as the native part does it for direct connections, one after the other, in one thread.
They are made up: a wavefront sensor's camera with spots, photon noise and 3 counts of read noise; the same in the dark;
slopes with noise alone. Behind each ratio stands the speed of a line below which a frame is in the mirror sooner packed
than not.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.children import BenchError
from bench.figures import Row, median
from bench.plan import Plan
from daosup.shm import lz4
from daosup.shm._native import pack_frame, unpack_frame

CAMERA_SIDE = 1024
SUBAPERTURE = 16
SLOPES = 8192


def measure(plan: Plan) -> Iterator[Row]:
    """Frame by frame."""
    why_not = lz4.why_not("lz4", "here")
    if why_not is not None:
        raise BenchError(why_not)
    for what, frame in _frames().items():
        yield from _of(plan, what, frame)


def _frames() -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(1)
    place = np.arange(CAMERA_SIDE) % SUBAPERTURE - SUBAPERTURE / 2
    spots = 2000 * np.exp(-(place[:, None] ** 2 + place[None, :] ** 2) / 8)
    dark = rng.normal(100, 3, spots.shape)
    return {
        "camera with spots, 1024x1024 uint16": np.clip(dark + rng.poisson(spots), 0, 65535).astype("uint16"),
        "camera in the dark, 1024x1024 uint16": np.clip(dark, 0, 65535).astype("uint16"),
        "slopes, 8192 float32": rng.normal(0, 0.3, SLOPES).astype("float32"),
    }


def _of(plan: Plan, what: str, frame: np.ndarray[Any, Any]) -> Iterator[Row]:
    plan.say(f"packing: {what}")
    raw, size = frame.tobytes(), frame.itemsize
    pack_ms, unpack_ms = [], []
    packed = b""
    for _ in range(plan.either(15, 3)):
        with plan.meter.repeat():
            began_s = time.perf_counter()
            packed = pack_frame(raw, size)
            packed_s = time.perf_counter()
            again = unpack_frame(packed, len(raw), size)
            ended_s = time.perf_counter()
        if again != raw:
            raise BenchError(f"{what}: what was unpacked is not what was packed")
        pack_ms.append(1e3 * (packed_s - began_s))
        unpack_ms.append(1e3 * (ended_s - packed_s))
    noise = plan.meter.take()
    saved_bits = 8 * (len(raw) - len(packed))
    worth_mbit = saved_bits / (median(pack_ms) + median(unpack_ms)) / 1e3
    note = f"{len(packed)} of {len(raw)} bytes; sooner on lines of less than {worth_mbit:.0f} Mbit/s"
    yield Row(f"packed: {what}: bytes left", "%", (100 * len(packed) / len(raw),), note=note, noise=noise)
    yield Row(f"packed: {what}: to pack", "ms", tuple(pack_ms), noise=noise)
    yield Row(f"packed: {what}: to unpack", "ms", tuple(unpack_ms), noise=noise)
