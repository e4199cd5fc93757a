"""The contract of a stage; everything a third party needs in order to write one.

A stage is a class with the attributes of `Stage` and three methods. Register it under the entry
point group `caseframe.stages`; `examples/` holds a working one.

The answers a stage can give are kept apart, because they mean different things to an examiner:

* it returns a result whose `found` is true: found;
* it returns a result whose `found` is false: it looked, and there is nothing;
* it raises `NotApplicable`: this picture is none of its business ("not mine");
* it raises `StageError` (or anything else): this picture is its own, and broken ("failed");
* `missing()` gives a reason: the stage cannot work on this machine ("unavailable").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from pydantic import BaseModel, ConfigDict

from caseframe.domain.errors import StageAway, StageError, StageUnavailable
from caseframe.domain.evidence import PictureInfo
from caseframe.domain.facts import NOTHING, Facts

__all__ = [
    "BatchStage",
    "Frame",
    "NotApplicable",
    "Pixels",
    "Stage",
    "StageAway",
    "StageContext",
    "StageError",
    "StageResult",
    "StageUnavailable",
    "VisionAccess",
    "needs_picture",
]

if TYPE_CHECKING:  # the parent of the workers handles stages and never a pixel
    import numpy as np
    import numpy.typing as npt

Pixels: TypeAlias = "npt.NDArray[np.uint8]"
"""An upright RGB picture: (height, width, 3), 8 bits a channel. Never write into one."""


class NotApplicable(Exception):
    """The stage has nothing to say about this kind of picture; not a failure."""


class StageResult(BaseModel):
    """Base of every result: frozen, stored as JSON exactly as the stage made it."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="null")

    problems: tuple[str, ...] = ()
    """Values that were kept but are suspect, one line each; shown among the case's problems."""

    @property
    def found(self) -> bool:
        """False says "looked, and there is nothing"."""
        return True

    def facts(self) -> Facts:
        """Which values of this result are faces, a place, text to search and so on."""
        return NOTHING


class Frame(Protocol):
    """One picture, read once; each part is made when first asked for and at most once."""

    @property
    def data(self) -> bytes:
        """The whole file."""

    @property
    def info(self) -> PictureInfo:
        """What the header says, dimensions upright."""

    def pixels(self, max_side: int) -> Pixels:
        """The upright picture, its longer side at most `max_side` pixels, never enlarged.

        Raises PictureError when nothing can be decoded. A corrupt picture gives what could be
        decoded of it; its file is marked corrupt elsewhere.
        """


@dataclass(frozen=True)
class VisionAccess:
    """Where the captioning models are, or why there are none."""

    address: str = ""
    model: str = "BLIP"
    seconds: float = 60.0
    """How long one picture may take, in seconds."""
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    """PEM files for TLS; all None towards a service on this machine."""
    missing: str | None = None
    """Why no captions can be had here; None when they can."""


@dataclass(frozen=True)
class StageContext:
    """What a stage may use besides the picture."""

    cache: Path
    """A folder for files made once, such as converted models; shared by processes."""
    vision: VisionAccess = VisionAccess(missing="no vision service was named")


@runtime_checkable
class Stage(Protocol):
    """One kind of question asked of every picture.

    A stage that looks at `earlier` alone says so by an attribute `needs_picture = False`. Then the
    file is not opened for it, nor sent to its workers, and its `frame` holds nothing.
    """

    name: str
    """Short and lower case, as on the command line."""
    title: str
    """What people read."""
    version: str
    """Change it when the same picture would now give another result: old results become due."""
    max_side: int | None
    """Pixels it needs along the longer side at most; None when it reads only bytes."""
    after: tuple[str, ...]
    """Names of stages whose results it wants; they run first."""
    result: type[StageResult]

    def missing(self, context: StageContext) -> str | None:
        """Why the stage cannot work here, in one line that says what to install; cheap."""

    def prepare(self, context: StageContext) -> None:
        """Load models; called once in each worker before the first picture.

        Raises StageUnavailable with the reason when that fails; StageAway, of that kind, when it
        may pass, such as a service that does not answer: then it is called again after a while.
        """

    def run(self, frame: Frame, earlier: Mapping[str, StageResult]) -> StageResult:
        """Look at one picture. `earlier` holds the results of the stages in `after` that exist."""


@runtime_checkable
class BatchStage(Stage, Protocol):
    """A stage that gains from looking at several pictures at once.

    Its worker calls `gather` for one picture after the other, while each is in memory, and then
    `run_many` with what was gathered. Other stages cannot come after one of these.
    """

    batch: int
    """How many pictures it would like to see together; there may be fewer, or some more."""

    def gather(self, frame: Frame, earlier: Mapping[str, StageResult]) -> Any:
        """What `run_many` needs of one picture, small. Raises what `run` may raise."""

    def run_many(self, gathered: Sequence[Any]) -> list[StageResult | Exception]:
        """A result, or what `run` would have raised, for each, in order."""


def needs_picture(stage: Stage) -> bool:
    """Whether a stage looks at pictures, and not only at what other stages found."""
    return bool(getattr(stage, "needs_picture", True))
