"""An example of a stage in another package: how sharp a picture is.

Everything a stage needs comes from `caseframe.stages.stage`. This one asks for the pixels at no
more than 512 a side, answers with a number, and lets people search for the word "blurred".
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from caseframe.domain.facts import Facts, Text
from caseframe.stages.stage import Frame, NotApplicable, StageContext, StageResult

SIDE = 512
BLURRED = 60.0
"""Below this variance most people call a picture of 512 pixels blurred (tried by eye)."""


class SharpnessResult(StageResult):
    """`variance` of the Laplacian (Pech-Pacheco et al., ICPR 2000): higher is sharper."""

    variance: float
    blurred: bool

    def facts(self) -> Facts:
        """A word to search by."""
        return Facts(texts=(Text("sharpness", "blurred" if self.blurred else "sharp"),))


class SharpnessStage:
    """Measures sharpness."""

    name = "sharpness"
    title = "Sharpness"
    version = "1"
    max_side: int | None = SIDE
    after: tuple[str, ...] = ()
    result: type[StageResult] = SharpnessResult

    def missing(self, context: StageContext) -> str | None:
        """OpenCV comes with Caseframe, so nothing is ever missing."""
        return None

    def prepare(self, context: StageContext) -> None:
        """Nothing to load."""

    def run(self, frame: Frame, earlier: Mapping[str, StageResult]) -> SharpnessResult:
        """Measure one picture; a picture too small to tell is none of this stage's business."""
        pixels = frame.pixels(SIDE)
        if min(pixels.shape[:2]) < 16:
            raise NotApplicable("smaller than 16 pixels")
        grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))
        variance = float(cv2.Laplacian(grey, cv2.CV_64F).var())
        return SharpnessResult(variance=round(variance, 2), blurred=variance < BLURRED)
