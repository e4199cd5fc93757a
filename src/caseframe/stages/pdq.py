"""The perceptual hash PDQ: pictures that look alike have hashes that differ in few of 256 bits.

PDQ is Facebook's "Photo DNA-like" hash, described in "The TMK+PDQF video-hashing algorithm and
the PDQ image-hashing algorithm" (ThreatExchange, 2019). It is linear up to its last step:
luminance, a tent filter down to 64 x 64, the 16 x 16 lowest cosine terms, then one bit a term:
above the median or not. Here the linear part is one matrix on each side of the picture, made once
a picture size. The matrices include enlarging to 512 x 512, the size at which the reference tool
works, so that copies of a picture at different sizes get the same hash.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from caseframe.stages.similar import SIDE

Matrix = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

_REFERENCE_SIDE = 512  # the reference tool resizes to 512 x 512 before it hashes
_GRID = 64
_TERMS = 16


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


@lru_cache(maxsize=SIDE)
def _reduction(size: int) -> Matrix:
    return np.ascontiguousarray(
        _reference_tent() @ _enlarge(size, _REFERENCE_SIDE), dtype=np.float32
    )


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


def _quality(grid: Matrix) -> int:
    """Sum of the larger gradients of the 64 x 64 picture, 0-100 (PDQ, section 3.3)."""
    steps = np.abs(np.trunc(np.diff(grid, axis=0) * (100 / 255))).sum()
    steps += np.abs(np.trunc(np.diff(grid, axis=1) * (100 / 255))).sum()
    return min(100, int(steps / 90))


def _bits(grid: Matrix) -> bytes:
    terms = (_cosines() @ grid @ _cosines().T).ravel()
    median = np.partition(terms, terms.size // 2 - 1)[terms.size // 2 - 1]
    return np.packbits((terms > median)[::-1]).tobytes()


def pdq(rgb: Pixels) -> tuple[bytes, int]:
    """(32 bytes, quality) of an upright picture whose sides are at most 256 pixels."""
    luma = _luminance(rgb)
    height, width = luma.shape
    grid = np.asarray(_reduction(height) @ luma @ _reduction(width).T, dtype=np.float32)
    return _bits(grid), _quality(grid)
