"""One sentence about a picture from measured facts: a description that needs no model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from caseframe.domain.evidence import PictureInfo
from caseframe.domain.facts import Facts, Text
from caseframe.looks import words
from caseframe.looks.sentence import Known, sentence
from caseframe.stages.exif import ExifResult
from caseframe.stages.faces import FacesResult
from caseframe.stages.place import NamedPlace, PlaceResult
from caseframe.stages.stage import Frame, StageContext, StageResult

if TYPE_CHECKING:
    from caseframe.looks.kind import Hints
    from caseframe.looks.measure import Looks

SIDE = 512
"""Longer side in pixels that is measured; the bounds in caseframe.looks hold for this size."""
MAKER = "FACTS"
"""Who says the sentence, wherever it is shown."""

_EXPOSURE = ("ExposureTime", "FNumber", "ShutterSpeedValue")
_SHEETS = ((5.83, 8.27), (8.27, 11.69), (8.5, 11.0), (8.5, 14.0), (11.69, 16.54))
"""Inches: A5, A4, Letter, Legal, A3 (ISO 216, ANSI Y14.1)."""
_SHEET_TOLERANCE = 0.02
_SCANNER_DPI = (100.0, 1300.0)


class ColourShare(BaseModel):
    """A colour by name and the share of the picture, 0 to 1, that has it."""

    model_config = ConfigDict(frozen=True)

    name: str
    share: float


class FactsResult(StageResult):
    """What was measured, and the sentence; None where the measures leave it open."""

    sentence: str
    kind: Literal["photograph", "screenshot", "scan", "drawing"] | None = None
    brightness: Literal["dark", "light"] | None = None
    sharpness: Literal["sharp", "blurred"] | None = None
    colourless: bool = False
    """Whether (almost) every pixel is a grey."""
    colours: tuple[ColourShare, ...] = ()
    """All names with a share of at least 1 %, largest first."""
    main_colours: tuple[str, ...] = ()
    """Those that the picture is mostly made of; empty where no few are."""
    measures: dict[str, float] = Field(default_factory=dict)
    """The numbers behind the words; docs/facts.md explains each."""
    hints: tuple[str, ...] = ()
    """What the file itself says of its kind (`caseframe.looks.kind.Hints`)."""

    def facts(self) -> Facts:
        """The sentence, to find the picture by."""
        return Facts(texts=(Text("facts", self.sentence),))


class FactsStage:
    """Says in one sentence what was measured: kind, light, colours, faces, time, camera, place."""

    name = "facts"
    title = "Facts in a sentence"
    version = "1"
    max_side: int | None = SIDE
    after: tuple[str, ...] = ("exif", "place", "faces")
    result: type[StageResult] = FactsResult

    def missing(self, context: StageContext) -> str | None:  # noqa: ARG002
        """Always there."""
        return None

    def prepare(self, context: StageContext) -> None:
        """Nothing to load."""

    def run(self, frame: Frame, earlier: Mapping[str, StageResult]) -> FactsResult:
        """Measure one picture and say it. Raises PictureError when it has no pixels.

        A stage that did not look (it is missing, or it failed) is passed over in silence.
        """
        from caseframe.looks.kind import Hints  # noqa: PLC0415 - slow to load; workers only
        from caseframe.looks.measure import look  # noqa: PLC0415

        exif = earlier.get("exif")
        hints = _hints(Hints, exif if isinstance(exif, ExifResult) else None, frame.info)
        seen = look(frame.pixels(SIDE), hints)
        return FactsResult(
            sentence=sentence(_known(seen, earlier)),
            kind=seen.kind,
            brightness=seen.brightness,
            sharpness=seen.sharpness,
            colourless=seen.colourless,
            colours=tuple(
                ColourShare(name=colour.name, share=round(colour.share, 4))
                for colour in seen.colours
                if colour.share >= 0.01
            ),
            main_colours=seen.main_colours,
            measures={name: round(value, 4) for name, value in seen.measures.items()},
            hints=tuple(name for name in hints.__slots__ if getattr(hints, name)),
        )


def _hints(make: type[Hints], exif: ExifResult | None, info: PictureInfo) -> Hints:
    tags = exif.metadata.get("Exif", {}) if exif is not None else {}
    return make(
        exposed=any(name in tags for name in _EXPOSURE),
        # What phones write into the pictures they make of their screens.
        captured_screen=str(tags.get("UserComment", "")).strip().lower() == "screenshot",
        paper_size=_paper_size(info),
        bilevel=info.bit_depth == 1,
    )


def _paper_size(info: PictureInfo) -> bool:
    dpi = info.resolution_dpi
    if dpi is None or not _SCANNER_DPI[0] <= dpi <= _SCANNER_DPI[1]:
        return False
    short, long = sorted((info.width / dpi, info.height / dpi))
    return any(
        abs(short / sheet[0] - 1) <= _SHEET_TOLERANCE
        and abs(long / sheet[1] - 1) <= _SHEET_TOLERANCE
        for sheet in _SHEETS
    )


def _known(seen: Looks, earlier: Mapping[str, StageResult]) -> Known:
    exif, place, faces = (earlier.get(name) for name in ("exif", "place", "faces"))
    return Known(
        kind=seen.kind,
        sharpness=seen.sharpness,
        brightness=seen.brightness,
        colourless=seen.colourless,
        colours=seen.main_colours,
        faces=len(faces.faces) if isinstance(faces, FacesResult) else None,
        camera=words.camera(exif.camera_make, exif.camera_model)
        if isinstance(exif, ExifResult)
        else "",
        moment=words.moment(exif.captured_at) if isinstance(exif, ExifResult) else "",
        place=_place(place.place) if isinstance(place, PlaceResult) and place.place else "",
    )


def _place(place: NamedPlace) -> str:
    at = place.latitude, place.longitude
    return words.place(place.town, place.country, place.distance_km, at)
