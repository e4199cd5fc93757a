"""Similar pictures: a perceptual hash (PDQ) by which copies of a picture find each other."""

from __future__ import annotations

from collections.abc import Mapping

from caseframe.domain.facts import Facts, PerceptualHash
from caseframe.stages.stage import Frame, StageContext, StageResult

SIDE = 256
"""Longer side in pixels that is hashed: the thumbnail's, so both come of one decode."""


class SimilarResult(StageResult):
    """`pdq` is 64 hexadecimal digits; `quality` 0-100, below 50 the hash says little."""

    pdq: str
    quality: int

    def facts(self) -> Facts:
        """The hash, for the search for twins."""
        return Facts(perceptual_hash=PerceptualHash(bytes.fromhex(self.pdq), self.quality))


class SimilarStage:
    """Finds copies that were resized, recompressed or slightly retouched."""

    name = "similar"
    title = "Similar pictures"
    version = "1"
    max_side: int | None = SIDE
    after: tuple[str, ...] = ()
    result: type[StageResult] = SimilarResult

    def missing(self, context: StageContext) -> str | None:  # noqa: ARG002
        """Always there."""
        return None

    def prepare(self, context: StageContext) -> None:
        """Nothing to load."""

    def run(self, frame: Frame, earlier: Mapping[str, StageResult]) -> SimilarResult:  # noqa: ARG002
        """Hash the picture. Raises PictureError when it has no pixels."""
        from caseframe.stages.pdq import pdq  # noqa: PLC0415 - slow to load; workers only

        bits, quality = pdq(frame.pixels(SIDE))
        return SimilarResult(pdq=bits.hex(), quality=quality)
