"""Find places that may hold a face, fast: dlib's HOG detector on half-size cells.

dlib's frontal-face detector looks through a window of 10 x 10 cells of 8 pixels, so a face of 40
pixels is found only after the picture was enlarged twofold, which makes four times the pixels. The
same filters on cells of 4 pixels see nearly the same thing in the picture as it is: enlarging adds
no detail. They lose a little certainty, so this stage asks for little and the next one decides.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import dlib
import numpy as np
import numpy.typing as npt

from caseframe.faces.boxes import Box, best
from caseframe.faces.dlibnet import Reader, WeightsError
from caseframe.faces.shrink import shrunk

_CELL = 4
_WINDOW_CELLS = 10
# dlib's own pyramid shrinks by 5/6 from level to level; larger steps are enough for a proposal, so
# dlib is told to search a single level and the levels are made here.
_STEP = 0.77
_LEVELS = 1
_SMALLEST_LEVEL = 1
# Least score for each of dlib's five views: straight, left, right, tilted left, tilted right.
# dlib's own limit is 0. The tilted ones give half of all false proposals and few faces.
_LEAST = (-1.2, -1.2, -1.2, -0.9, -0.9)
_DETECTOR_VERSION = 2
_FIRST_SETTINGS = 4
_OWN_CELL = 8

# The window in pixels: nothing can be found in a picture narrower than this.
LEAST_SIDE = _CELL * _WINDOW_CELLS


class Proposer:
    """dlib's HOG face detector with smaller cells."""

    def __init__(self) -> None:
        """Build the detector. Raises WeightsError when dlib writes its detector differently."""
        with tempfile.TemporaryDirectory(prefix="faces-") as folder:
            path = Path(folder, "detector")
            dlib.get_frontal_face_detector().save(str(path))
            self.weights = path.read_bytes()
            path.write_bytes(half_cells(self.weights))
            self._detector = dlib.fhog_object_detector(str(path))

    def places(self, grey: npt.NDArray[np.uint8], smallest: float) -> list[Box]:
        """Return the places worth a closer look in a (rows, columns) picture, best first.

        smallest: the picture is searched down to this fraction of its size.
        """
        boxes: list[Box] = []
        factor = 1.0
        while factor >= smallest and min(grey.shape) * factor >= LEAST_SIDE:
            level = self._level(shrunk(grey, factor))
            boxes += [box.scaled(1 / factor) for box in level]
            factor *= _STEP
        return best(boxes)

    def _level(self, grey: npt.NDArray[np.uint8]) -> list[Box]:
        rectangles, scores, views = self._detector.run(grey, 0, min(_LEAST))
        return [
            Box(found.left(), found.top(), found.right() + 1, found.bottom() + 1, score)
            for found, score, view in zip(rectangles, scores, views, strict=True)
            if score >= _LEAST[int(view)]
        ]


def half_cells(detector: bytes) -> bytes:
    """Rewrite a serialised dlib HOG detector: cells of 4 pixels instead of 8, one level.

    The form is that of `object_detector<scan_fhog_pyramid<pyramid_down<6>>>`: versions; cell size,
    padding, window width and height, most levels, least level width and height; training settings;
    then the weights of the five views, which stay. Raises WeightsError when it is not.
    """
    reader = Reader(detector)
    versions = reader.integers(_FIRST_SETTINGS)
    head = detector[: reader.position]
    cell, padding, *_ = reader.integers(7)
    if versions[0] != _DETECTOR_VERSION or (cell, padding) != (_OWN_CELL, 0):
        raise WeightsError("dlib's face detector is of an unknown form")
    window = _CELL * _WINDOW_CELLS
    changed = (_CELL, 0, window, window, _LEVELS, _SMALLEST_LEVEL, _SMALLEST_LEVEL)
    return b"".join([head, *map(_integer, changed), detector[reader.position :]])


def _integer(value: int) -> bytes:
    size = max(1, (value.bit_length() + 7) // 8)
    return bytes([size]) + value.to_bytes(size, "little")
