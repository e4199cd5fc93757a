"""The perceptual hash PDQ: pictures that look alike have hashes that differ in few of 256 bits.

PDQ is Facebook's "Photo DNA-like" hash, described in "The TMK+PDQF video-hashing algorithm and
the PDQ image-hashing algorithm" (ThreatExchange, 2019). It is linear up to its last step:
luminance, a tent filter down to 64 x 64, the 16 x 16 lowest cosine terms, then one bit a term:
above the median or not. Here the linear part is a matrix on each side of the picture, made once
a picture size. The matrices include enlarging to 512 x 512, the size at which the reference tool
works, so that copies of a picture at different sizes get the same hash.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from caseframe.stages.similar import SIDE

Matrix = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

_REFERENCE_SIDE = 512  # the reference tool resizes to 512 x 512 before it hashes
_GRID = 64
_TERMS = 16
_BANDS = 4  # more are less to multiply and more to call; two to eight differ little


def _tent(size: int) -> npt.NDArray[np.float64]:
    """Two box filters, then 64 samples: (64, size). Windows shrink at the edges (section 3)."""
    window = (size + 2 * _GRID - 1) // (2 * _GRID)
    ahead = (window + 2) // 2
    box = np.zeros((size, size))
    for row in range(size):
        low, high = max(0, row - (window - ahead)), min(size, row + ahead)
        box[row, low:high] = 1.0 / (high - low)
    samples = [int((i + 0.5) * size / _GRID) for i in range(_GRID)]
    return np.asarray((box @ box)[samples])


def _enlarge(size: int, target: int) -> npt.NDArray[np.float64]:
    """Linear interpolation with aligned pixel centres: (target, size)."""
    at = np.clip((np.arange(target) + 0.5) * size / target - 0.5, 0, size - 1)
    low = at.astype(int)
    high = np.minimum(low + 1, size - 1)
    matrix = np.zeros((target, size))
    rows = np.arange(target)
    np.add.at(matrix, (rows, low), 1 - (at - low))
    np.add.at(matrix, (rows, high), at - low)
    return matrix


@lru_cache(maxsize=1)
def _reference_tent() -> npt.NDArray[np.float64]:
    return _tent(_REFERENCE_SIDE)


class _Band(NamedTuple):
    """Some of the 64 samples, the pixels that they depend on, and how: (samples, pixels)."""

    samples: slice
    pixels: slice
    matrix: Matrix


@lru_cache(maxsize=SIDE)
def _bands(size: int) -> tuple[_Band, ...]:
    """The tent filter over `size` pixels.

    A sample depends on a fortieth of the pixels: as one matrix it would be nearly all zeros.
    """
    whole = _reference_tent() @ _enlarge(size, _REFERENCE_SIDE)
    bands = []
    for first in range(0, _GRID, _GRID // _BANDS):
        samples = slice(first, first + _GRID // _BANDS)
        used = np.flatnonzero(whole[samples].any(axis=0))
        pixels = slice(int(used[0]), int(used[-1]) + 1)
        matrix = np.ascontiguousarray(whole[samples, pixels], dtype=np.float32)
        bands.append(_Band(samples, pixels, matrix))
    return tuple(bands)


@lru_cache(maxsize=1)
def _cosines() -> Matrix:
    """Rows 1 to 16 of the orthonormal DCT-II of 64 points; the constant term is left out."""
    row = np.arange(1, _TERMS + 1)[:, None]
    column = np.arange(_GRID)[None, :]
    angle = np.pi / 2 / _GRID * row * (2 * column + 1)
    cosines: Matrix = (np.sqrt(2 / _GRID) * np.cos(angle)).astype(np.float32)
    return cosines


def _luminance(rgb: Pixels) -> Matrix:
    """ITU-R BT.601 luma; rounded to integers, which the averages that follow do not feel."""
    luma: Matrix = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return luma


def _grid(luma: Matrix) -> Matrix:
    """The picture at 64 x 64, each sample a weighted mean of its surroundings."""
    height, width = luma.shape
    lines = np.empty((_GRID, width), dtype=np.float32)
    for band in _bands(height):
        np.matmul(band.matrix, luma[band.pixels], out=lines[band.samples])
    grid = np.empty((_GRID, _GRID), dtype=np.float32)
    for band in _bands(width):
        grid[:, band.samples] = lines[:, band.pixels] @ band.matrix.T
    return grid


def _quality(grid: Matrix) -> int:
    """Sum of the larger gradients of the 64 x 64 picture, 0-100 (PDQ, section 3.3)."""
    # Subtracted here, because np.diff takes twice the time for so few numbers.
    steps = np.abs(np.trunc((grid[1:] - grid[:-1]) * (100 / 255))).sum()
    steps += np.abs(np.trunc((grid[:, 1:] - grid[:, :-1]) * (100 / 255))).sum()
    return min(100, int(steps / 90))


def _bits(grid: Matrix) -> bytes:
    terms = (_cosines() @ grid @ _cosines().T).ravel()
    median = np.partition(terms, terms.size // 2 - 1)[terms.size // 2 - 1]
    return np.packbits((terms > median)[::-1]).tobytes()


def pdq(rgb: Pixels) -> tuple[bytes, int]:
    """(32 bytes, quality) of an upright picture whose sides are at most 256 pixels."""
    grid = _grid(_luminance(rgb))
    return _bits(grid), _quality(grid)
