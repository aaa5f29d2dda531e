"""What is cut out of a frame is what NumPy cuts out of it, for every shape, element and part."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from daosup.core.cutting import cut_axes
from daosup.core.delivery import Delivery
from daosup.shm import Segment
from daosup.shm.making import unlink_segment
from tests.integration.direct_links import DESCRIBE, FRAME, links
from tests.integration.pumps import SEMAPHORE, Outlet, wire

DTYPES = ("uint8", "int16", "float32", "float64", "complex64", "complex128")


@st.composite
def cuts(draw: Any) -> tuple[tuple[int, ...], Delivery]:
    shape = tuple(draw(st.lists(st.integers(1, 40), min_size=1, max_size=3)))
    ends = [sorted(draw(st.tuples(st.integers(0, length - 1), st.integers(1, length)))) for length in shape]
    roi = tuple((first, max(end, first + 1)) for first, end in ends)
    stride = tuple(draw(st.integers(1, length + 1)) for length in shape)
    return shape, Delivery(roi=draw(st.sampled_from([roi, ()])), stride=draw(st.sampled_from([stride, ()])))


def expected(frame: np.ndarray[Any, Any], delivery: Delivery) -> np.ndarray[Any, Any]:
    roi = delivery.roi or tuple((0, length) for length in frame.shape)
    stride = delivery.stride or (1,) * frame.ndim
    return frame[tuple(slice(first, end, step) for (first, end), step in zip(roi, stride))]


@given(cuts())
def test_as_many_elements_are_cut_out_as_numpy_cuts(case: tuple[tuple[int, ...], Delivery]) -> None:
    shape, delivery = case
    part = expected(np.zeros(shape, "uint8"), delivery)
    assert tuple(axis.elements for axis in cut_axes(delivery, shape)) == part.shape


@settings(max_examples=40, deadline=None)
@given(cuts(), st.sampled_from(DTYPES), st.integers(0, 2**32 - 1))
def test_what_arrives_is_what_numpy_cuts(case: tuple[tuple[int, ...], Delivery], dtype: str, seed: int) -> None:
    shape, delivery = case
    raw = np.random.default_rng(seed).bytes(int(np.prod(shape)) * np.dtype(dtype).itemsize)
    frame = np.frombuffer(raw, dtype).reshape(shape)
    with tempfile.TemporaryDirectory() as folder, wire() as (near, _), links() as line:
        path = Path(folder) / "cut.im.shm"
        with Segment.create(path, shape, dtype) as segment:
            segment.write(frame)
            line.begin(segment.geometry.frame_bytes)
            far = line.add(form=line.form(frame.itemsize, *cut_axes(delivery, shape)))
            segment.window.send_frames(
                int(near.underlying), Outlet(segment, near).header, SEMAPHORE, 0.0, 1.0, 1e9,
                direct=line.sender, has_zmq=False,
            )  # fmt: skip
            far.next(DESCRIBE)
            assert far.next(FRAME).frame == np.ascontiguousarray(expected(frame, delivery)).tobytes()
        unlink_segment(path)
