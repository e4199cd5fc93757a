"""Landmarks of a face, and the upright 150 x 150 chip from which the descriptor is computed."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path

import dlib
import numpy as np
import numpy.typing as npt

from caseframe.faces.boxes import Box
from caseframe.faces.shrink import shrunk

CHIP_SIDE = 150
# dlib's descriptor network was trained on chips with a quarter of the face added on each side.
_CHIP_PADDING = 0.25
# A chip reaches past the box by a quarter and turns by up to 45 degrees.
_MARGIN = 0.75
# A larger face is shrunk to this side first: it still exceeds the chip, and the work is bounded.
_MOST_SIDE = 300

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Aligned:
    """Five landmarks in pixels of the picture, and the (150, 150, 3) chip."""

    landmarks: tuple[tuple[float, float], ...]
    chip: Pixels


class Aligner:
    """dlib's five-point shape predictor."""

    def __init__(self, weights: Path) -> None:
        """Load the predictor. Raises RuntimeError when the file is damaged."""
        self._predictor = dlib.shape_predictor(str(weights))

    def align(self, rgb: Pixels, box: Box) -> Aligned:
        """Find the landmarks of the face in a box of a (rows, columns, 3) picture, and its chip."""
        part, left, top = _surroundings(rgb, box)
        factor = min(1.0, _MOST_SIDE / box.width)
        part = shrunk(part, factor)
        edges = (box.left - left, box.top - top, box.right - left, box.bottom - top)
        shape = self._predictor(part, dlib.rectangle(*(round(edge * factor) for edge in edges)))
        points = tuple((left + at.x / factor, top + at.y / factor) for at in shape.parts())
        chip = dlib.get_face_chip(part, shape, size=CHIP_SIDE, padding=_CHIP_PADDING)
        return Aligned(points, chip)


def _surroundings(rgb: Pixels, box: Box) -> tuple[Pixels, int, int]:
    margin = box.width * _MARGIN
    rows, columns = rgb.shape[:2]
    left, top = max(0, floor(box.left - margin)), max(0, floor(box.top - margin))
    right, bottom = min(columns, ceil(box.right + margin)), min(rows, ceil(box.bottom + margin))
    return np.ascontiguousarray(rgb[top:bottom, left:right]), left, top
