"""Faces: boxes, five landmarks and a 128-d descriptor of every face in a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from caseframe.domain.facts import Face as FaceFact
from caseframe.domain.facts import Facts
from caseframe.faces.packages import FacesUnavailable, missing
from caseframe.stages.stage import Frame, StageContext, StageResult, StageUnavailable

if TYPE_CHECKING:
    from caseframe.faces.analyser import Face, FaceAnalyser

SIDE = 1600
"""Longer side in pixels at which faces are looked for: cost and memory stay bounded."""


class FoundFace(BaseModel):
    """One face, in pixels of the upright picture at full size."""

    model_config = ConfigDict(frozen=True)

    x: int
    y: int
    width: int
    height: int
    score: float
    landmarks: tuple[tuple[float, float], ...]
    descriptor: tuple[float, ...]


class FacesResult(StageResult):
    """All faces found, by position from the top left."""

    faces: tuple[FoundFace, ...] = ()

    @property
    def found(self) -> bool:
        """Whether there is a face at all."""
        return bool(self.faces)

    def facts(self) -> Facts:
        """Every face; an empty tuple says that there is none."""
        return Facts(
            faces=tuple(
                FaceFact(f.x, f.y, f.width, f.height, f.score, f.landmarks, f.descriptor)
                for f in self.faces
            )
        )


class FacesStage:
    """Finds faces and describes each so that the same person can be found again."""

    name = "faces"
    title = "Faces"
    version = "1"
    max_side: int | None = SIDE
    after: tuple[str, ...] = ()
    result: type[StageResult] = FacesResult
    model: str | None = None
    model_digest: str | None = None

    def __init__(self) -> None:
        self._analyser: FaceAnalyser | None = None

    def missing(self, context: StageContext) -> str | None:  # noqa: ARG002
        """Why faces cannot be looked for here, or None."""
        return missing()

    def prepare(self, context: StageContext) -> None:
        """Load the models, converting them on the first use. Raises StageUnavailable."""
        from caseframe.faces.analyser import FaceAnalyser  # noqa: PLC0415 - heavy; workers only

        try:
            self._analyser = FaceAnalyser.load(context.cache)
        except FacesUnavailable as error:
            raise StageUnavailable(str(error)) from error
        self.model, self.model_digest = self._analyser.name, self._analyser.digest

    def run(self, frame: Frame, earlier: Mapping[str, StageResult]) -> FacesResult:  # noqa: ARG002
        """Look for faces. Raises PictureError when the picture has no pixels."""
        if self._analyser is None:
            raise StageUnavailable("the face models were not loaded")
        pixels = frame.pixels(SIDE)
        info = frame.info
        across, down = info.width / pixels.shape[1], info.height / pixels.shape[0]
        found = self._analyser.analyse(pixels)
        return FacesResult(faces=tuple(_full_size(face, across, down) for face in found))


def _full_size(face: Face, across: float, down: float) -> FoundFace:
    return FoundFace(
        x=round(face.x * across),
        y=round(face.y * down),
        width=round(face.width * across),
        height=round(face.height * down),
        score=round(face.score, 4),
        landmarks=tuple((round(x * across, 1), round(y * down, 1)) for x, y in face.landmarks),
        descriptor=tuple(round(value, 8) for value in face.descriptor),
    )
