"""Upright boxes with a score, and the choice of one where several show the same face."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# Shares of the area; the boxes of two people side by side overlap less.
_SAME_FACE_OVERLAP = 0.4
_SAME_FACE_COVERED = 0.8


@dataclass(frozen=True, slots=True)
class Box:
    """A box in pixels; right and bottom are the edges, not the last pixels."""

    left: float
    top: float
    right: float
    bottom: float
    score: float

    @property
    def width(self) -> float:
        """Width in pixels."""
        return self.right - self.left

    @property
    def centre(self) -> tuple[float, float]:
        """Column and row of the middle."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def scaled(self, factor: float) -> Box:
        """Return the same box in a picture enlarged by a factor."""
        left, top, right, bottom = (
            edge * factor for edge in (self.left, self.top, self.right, self.bottom)
        )
        return Box(left, top, right, bottom, self.score)

    def covers(self, other: Box) -> bool:
        """Whether the middle of another box lies within this one and they are of like size."""
        column, row = other.centre
        inside = self.left < column < self.right and self.top < row < self.bottom
        return inside and self.width / 2 < other.width < self.width * 3 / 2


def square(column: float, row: float, side: float, score: float) -> Box:
    """Return the square of a side around a middle."""
    half = side / 2
    return Box(column - half, row - half, column + half, row + half, score)


def best(boxes: Iterable[Box]) -> list[Box]:
    """Keep the highest score where boxes show the same face, best first."""
    kept: list[Box] = []
    for box in sorted(boxes, key=lambda box: (-box.score, box.top, box.left)):
        if not any(_same(box, other) for other in kept):
            kept.append(box)
    return kept


def _same(one: Box, other: Box) -> bool:
    wide = min(one.right, other.right) - max(one.left, other.left)
    high = min(one.bottom, other.bottom) - max(one.top, other.top)
    if wide <= 0 or high <= 0:
        return False
    shared = wide * high
    areas = [(box.right - box.left) * (box.bottom - box.top) for box in (one, other)]
    return shared / (sum(areas) - shared) > _SAME_FACE_OVERLAP or (
        shared / min(areas) > _SAME_FACE_COVERED
    )
