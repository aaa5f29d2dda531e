"""``python -m daosup.demo.deformable_mirror SEGMENT``: the commands of a deformable mirror that follows slow Zernikes.

Invariant: as the camera's, the frames form a cycle without a jump, all made beforehand.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from daosup.demo.pacing import play

FRAMES = 2000
ACTUATORS_ACROSS = 11
REACH = 5.55
"""Actuators within this many pitches of the middle exist: 97 of the 11 x 11."""
STROKE = 0.3


def commands() -> npt.NDArray[np.float32]:
    """The cycle of command vectors, shape (2000, 97, 1), between -1 and 1."""
    pitches = np.arange(ACTUATORS_ACROSS) - (ACTUATORS_ACROSS - 1) / 2
    y, x = np.meshgrid(pitches, pitches, indexing="ij")
    is_there = np.hypot(x, y) < REACH
    x, y = x[is_there] / REACH, y[is_there] / REACH
    square = x**2 + y**2
    zernikes = np.array([x, y, 2 * square - 1, x**2 - y**2, 2 * x * y, (3 * square - 2) * x, (3 * square - 2) * y])
    phase = np.arange(FRAMES)[:, None] * (2 * np.pi / FRAMES)
    order = np.arange(1, len(zernikes) + 1)
    weights = np.sin(phase * order + order**2) / np.sqrt(order)
    shapes: npt.NDArray[np.float32] = np.clip(STROKE * weights @ zernikes, -1, 1).astype(np.float32)
    return shapes[:, :, None]


if __name__ == "__main__":
    play(Path(sys.argv[1]), commands(), 1)
