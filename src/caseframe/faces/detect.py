"""Find faces: the HOG detector proposes, dlib's CNN detector decides.

The CNN (`mmod_human_face_detector.dat`) is precise and knows faces turned away, but sliding it over
a whole picture at the scale of small faces takes half a second. So it slides only over a small copy
of the picture, for large faces, and otherwise looks at the few places that HOG proposes.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime

from caseframe.faces.boxes import Box, best, square
from caseframe.faces.propose import LEAST_SIDE, Proposer
from caseframe.faces.shrink import shrunk

Pixels = npt.NDArray[np.uint8]

# The largest picture that is searched, in pixels; a larger one is searched at this size.
_MOST_PIXELS = 1024 * 1024
_LEAST_SCORE = 0.0

# Geometry of the CNN: three 5 x 5 convolutions of stride 2 without padding, so output (r, c) sees
# the input around (8 r + 14, 8 c + 14); it was trained on windows of 80 pixels.
_STRIDE = 8
_FIRST = 14
_WINDOW = 80
# A face that fills the HOG box fills about 1.15 times as much for the CNN; 80 leaves room.
_CROP = 128
_CROP_FACE = 80
# Where the CNN nearly sees a face, or HOG is rather sure, other sizes are looked at too: the HOG
# box of a bowed head is too wide by a third.
_DOUBTFUL = -0.5
_LIKELY = -0.7
_OTHER_FACES = (66, 100)

# The copy for large faces: its pixels, the step from one size to the next, and the border that lets
# faces at the edge be seen.
_SCAN_PIXELS = 320 * 240
_SCAN_STEP = 0.6
_SCAN_BORDER = 16
_SCAN_LEAST = 80
# HOG proposes down to this fraction of the copy's size: 0.75 would leave a gap, in which half of
# the faces between what HOG reaches and what the copy shows were missed; at 0.6 there is none.
_SCAN_ENOUGH = 0.6


@dataclass(frozen=True, slots=True)
class Found:
    """The picture as it was searched, its size as a factor of the given one, and its faces."""

    picture: Pixels
    factor: float
    boxes: list[Box]


class Detector:
    """Finds faces in pictures of any size."""

    def __init__(self, proposer: Proposer, network: onnxruntime.InferenceSession) -> None:
        """Take the HOG proposer and the CNN as a session over a graph with an open input size."""
        self._proposer = proposer
        self._network = network

    def find(self, rgb: Pixels) -> Found:
        """Return the faces in a (rows, columns, 3) picture, best first.

        The boxes are in pixels of the searched picture, which has at most 1024 x 1024 pixels.
        """
        factor = min(1.0, sqrt(_MOST_PIXELS / (rgb.shape[0] * rgb.shape[1])))
        if min(rgb.shape[:2]) * factor < LEAST_SIDE:
            return Found(rgb, 1.0, [])
        picture = shrunk(rgb, factor)
        scan = min(1.0, sqrt(_SCAN_PIXELS / (picture.shape[0] * picture.shape[1])))
        boxes = best(self._large(picture, scan))
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        for place in self._proposer.places(grey, scan * _SCAN_ENOUGH):
            if not any(box.covers(place) for box in boxes):
                boxes += self._confirmed(picture, place)
        return Found(picture, factor, best(boxes))

    def _large(self, picture: Pixels, factor: float) -> list[Box]:
        """Return the large faces, searched from a factor of the picture's size downwards."""
        boxes: list[Box] = []
        while min(picture.shape[:2]) * factor >= _SCAN_LEAST:
            edge = (_SCAN_BORDER,) * 4
            small = cv2.copyMakeBorder(shrunk(picture, factor), *edge, cv2.BORDER_CONSTANT)
            scores = self._scores(small)
            for row, column in np.argwhere(scores > _LEAST_SCORE):
                x, y = (_STRIDE * at + _FIRST - _SCAN_BORDER for at in (column, row))
                box = square(float(x), float(y), _WINDOW, float(scores[row, column]))
                boxes.append(box.scaled(1 / factor))
            factor *= _SCAN_STEP
        return boxes

    def _confirmed(self, picture: Pixels, place: Box) -> list[Box]:
        """Return the face at a proposed place, none if the CNN sees none."""
        box = self._look(picture, place, _CROP_FACE)
        doubtful = box.score > _DOUBTFUL or place.score > _LIKELY
        if doubtful and box.score <= _LEAST_SCORE:
            again = (self._look(picture, place, side) for side in _OTHER_FACES)
            box = max(again, key=lambda box: box.score)
        return [box] if box.score > _LEAST_SCORE else []

    def _look(self, picture: Pixels, place: Box, side: int) -> Box:
        factor = side / place.width
        column, row = place.centre
        left, top = column - _CROP / 2 / factor, row - _CROP / 2 / factor
        back = np.array([[1 / factor, 0, left], [0, 1 / factor, top]])
        crop = cv2.warpAffine(
            picture, back, (_CROP, _CROP), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        )
        scores = self._scores(crop)
        at = np.unravel_index(int(scores.argmax()), scores.shape)
        y, x = (_STRIDE * int(index) + _FIRST for index in at)
        score = float(scores[at])
        return square(left + x / factor, top + y / factor, _WINDOW / factor, score)

    def _scores(self, rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        (scores,) = self._network.run(None, {"rgb": rgb[None]})
        plane: npt.NDArray[np.float32] = scores[0, 0]
        return plane
