"""``python -m daosup.demo.camera SEGMENT``: a Shack-Hartmann wavefront sensor that sees a slow, moving aberration.

Invariant: the frames form a cycle without a jump, all made beforehand, so that playing them costs next to nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from daosup.demo.pacing import play

FRAMES = 128
REPEATS = 16
"""Each frame is written this often: the cycle lasts four seconds, which the eye can follow."""
SUBAPERTURES = 10
SUBAPERTURE_PIXELS = 24
SPOT_PIXELS = 1.7
MOTION_PIXELS = 5.0
PEAK = 3000.0
DARK = 100.0
NOISE = 12.0
INNER_RADIUS, OUTER_RADIUS = 0.2, 1.02
"""The pupil, in units of half the detector: light falls between these."""


def spots() -> npt.NDArray[np.uint16]:
    """The cycle of frames, shape (128, 240, 240)."""
    centres = (np.arange(SUBAPERTURES) + 0.5) * 2 / SUBAPERTURES - 1
    y, x = np.meshgrid(centres, centres, indexing="ij")
    radius = np.hypot(x, y)
    flux = PEAK * ((radius > INNER_RADIUS) & (radius < OUTER_RADIUS))
    noise = np.random.default_rng(1)
    side = SUBAPERTURES * SUBAPERTURE_PIXELS
    frames = np.empty((FRAMES, side, side), np.uint16)
    for index, phase in enumerate(np.arange(FRAMES) * (2 * np.pi / FRAMES)):
        # Tip and tilt in a circle, focus and astigmatism with twice and three times their frequency.
        focus, astigmatism = 0.5 * np.sin(2 * phase), 0.35 * np.sin(3 * phase)
        shift_x = MOTION_PIXELS * (0.5 * np.cos(phase) + focus * x + astigmatism * y)
        shift_y = MOTION_PIXELS * (0.5 * np.sin(phase) + focus * y + astigmatism * x)
        lit = np.einsum("ij,ijk,ijl->ikjl", flux, _profile(shift_y), _profile(shift_x)).reshape(side, side)
        frames[index] = np.clip(lit + DARK + noise.normal(0, NOISE, lit.shape), 0, 65535)
    return frames


def _profile(shift: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Light along one axis of each subaperture, for spots ``shift`` pixels from the middle."""
    pixels = np.arange(SUBAPERTURE_PIXELS) - (SUBAPERTURE_PIXELS - 1) / 2
    profile: npt.NDArray[Any] = np.exp(-0.5 * ((pixels - shift[..., None]) / SPOT_PIXELS) ** 2)
    return profile


if __name__ == "__main__":
    play(Path(sys.argv[1]), spots(), REPEATS)
