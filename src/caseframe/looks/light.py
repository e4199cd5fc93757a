"""How light and how sharp a picture is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

DARK_MEAN = 60.0
DARK_MOST = 90.0
"""A picture is dark when its mean luma is below the first and three quarters of it below this."""
LIGHT_MEAN = 165.0
LIGHT_LEAST = 120.0
"""It is light when its mean luma is above the first and three quarters of it above this."""
SHARP = 0.2
BLURRED = 0.05
"""Above the first a picture reads as sharp, below the second as blurred, between them neither."""
SIDE_LEAST = 96
"""Pixels of the shorter side below which sharpness says nothing."""

_TILES = 8
_CONTRAST_LEAST = 6.0
"""Standard deviation of luma in a tile below which there is no edge to be sharp."""
_TILES_LEAST = 4


@dataclass(frozen=True, slots=True)
class Brightness:
    """Luma 0-255 (ITU-R BT.601): its mean, and what a quarter and three quarters lie below."""

    mean: float
    quarter: float
    three_quarters: float

    @property
    def word(self) -> Literal["dark", "light"] | None:
        """None where the picture is neither."""
        if self.mean < DARK_MEAN and self.three_quarters < DARK_MOST:
            return "dark"
        if self.mean > LIGHT_MEAN and self.quarter > LIGHT_LEAST:
            return "light"
        return None


def luma(rgb: Pixels) -> Pixels:
    """ITU-R BT.601 luma of an upright picture: (height, width)."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)


def brightness(grey: Pixels) -> Brightness:
    """Of a picture's luma (height, width)."""
    quarter, three_quarters = (float(value) for value in np.percentile(grey, (25, 75)))
    return Brightness(float(grey.mean()), quarter, three_quarters)


def sharpness(grey: Pixels) -> float | None:
    """How sharp the sharpest part of a picture is; None where there is too little to tell by.

    The variance of the Laplacian (Pech-Pacheco et al., Diatom autofocusing in brightfield
    microscopy, ICPR 2000) over the variance of luma, so that contrast does not count, in each of
    8 x 8 tiles; of these the one that nine tenths do not surpass, because a picture with a sharp
    subject before a soft background is sharp.
    """
    if min(grey.shape) < SIDE_LEAST:
        return None
    soft = cv2.GaussianBlur(grey, (3, 3), 0.7).astype(
        np.float32
    )  # the grain of a sensor is no edge
    second = _spread(np.asarray(cv2.Laplacian(soft, cv2.CV_32F), np.float32))
    contrast = _spread(soft)
    telling = contrast > _CONTRAST_LEAST**2
    if np.count_nonzero(telling) < _TILES_LEAST:
        return None
    return float(np.percentile(second[telling] / contrast[telling], 90))


def sharpness_word(value: float | None) -> Literal["sharp", "blurred"] | None:
    """None where it cannot be told."""
    if value is None or BLURRED <= value <= SHARP:
        return None
    return "sharp" if value > SHARP else "blurred"


def _spread(values: Floats) -> Floats:
    """Variance in each tile: (64,)."""
    high, wide = (size // _TILES for size in values.shape)
    tiles = values[: high * _TILES, : wide * _TILES].reshape(_TILES, high, _TILES, wide)
    return np.asarray(tiles.var(axis=(1, 3)).ravel(), np.float32)
