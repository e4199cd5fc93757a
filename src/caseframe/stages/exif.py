"""The metadata that cameras and people wrote into a picture: Exif, IPTC, XMP."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from caseframe.domain.facts import NOTHING, Camera, Capture, Facts, Text
from caseframe.metadata.dates import captured
from caseframe.metadata.gps import GpsFacts, gps_facts
from caseframe.stages.stage import Frame, StageContext, StageResult, StageUnavailable

if TYPE_CHECKING:
    from caseframe.metadata.record import Reading

Tags = dict[str, dict[str, str | int | float | list[str | int | float]]]

_PLACE_WORDS = (
    ("IPTC", "Sub-location"),
    ("IPTC", "City"),
    ("IPTC", "Province-State"),
    ("IPTC", "Country-PrimaryLocationName"),
    ("XMP", "Location"),
    ("XMP", "City"),
    ("XMP", "State"),
    ("XMP", "Country"),
)
_WORDS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "title",
        (
            ("XMP", "Title"),
            ("IPTC", "ObjectName"),
            ("IPTC", "Headline"),
            ("XMP", "Headline"),
            ("Exif", "XPTitle"),
        ),
    ),
    (
        "description",
        (
            ("Exif", "ImageDescription"),
            ("IPTC", "Caption-Abstract"),
            ("XMP", "Description"),
            ("Exif", "UserComment"),
            ("Exif", "XPComment"),
            ("Exif", "XPSubject"),
        ),
    ),
    (
        "keywords",
        (
            ("IPTC", "Keywords"),
            ("XMP", "Subject"),
            ("XMP", "HierarchicalSubject"),
            ("Exif", "XPKeywords"),
        ),
    ),
    (
        "author",
        (
            ("Exif", "Artist"),
            ("IPTC", "By-line"),
            ("XMP", "Creator"),
            ("Exif", "XPAuthor"),
            ("Exif", "OwnerName"),
        ),
    ),
    ("software", (("Exif", "Software"), ("XMP", "CreatorTool"), ("IPTC", "OriginatingProgram"))),
    ("place", _PLACE_WORDS),
)
"""Which tags people search under which field name."""


class ExifResult(StageResult):
    """The metadata of one picture; every value is the picture's own claim, not a finding."""

    metadata: Tags = Field(default_factory=dict)
    """Readable values by group (`Exif`, `IPTC`, `XMP`, `MakerNotes`) and by ExifTool's names."""
    raw: dict[str, dict[str, str]] = Field(default_factory=dict)
    """The same by Exiv2 key, as stored; a repeated key has `[2]`, `[3]`… appended."""
    captured_at: str | None = None
    """ISO 8601; local wall time unless it ends in an offset. None when no usable date is there."""
    capture_offset_minutes: int | None = None
    """Minutes east of UTC; None when the picture does not say."""
    capture_source: str | None = None
    """The tag that `captured_at` came from."""
    camera_make: str | None = None
    camera_model: str | None = None
    lens: str | None = None
    software: str | None = None
    orientation: int | None = None
    """Exif orientation 1-8; None when absent or not one of these."""
    gps: GpsFacts | None = None

    @property
    def found(self) -> bool:
        """Whether the picture holds any metadata."""
        return bool(self.raw)

    def facts(self) -> Facts:
        """Time, camera, and the words to find the picture by."""
        capture = None
        if self.captured_at is not None:
            capture = Capture(self.captured_at, self.capture_offset_minutes)
        camera = None
        if self.camera_make or self.camera_model or self.lens:
            camera = Camera(self.camera_make, self.camera_model, self.lens)
        if not self.metadata and capture is None and camera is None:
            return NOTHING  # looking for every word takes as long as reading that there is nothing
        return Facts(capture=capture, camera=camera, texts=tuple(self._texts()))

    def _texts(self) -> Iterator[Text]:
        for name, places in _WORDS:
            values = (self.metadata.get(group, {}).get(tag) for group, tag in places)
            for word in _unique(values):
                yield Text(name, word)
        for word in _unique((self.camera_make, self.camera_model, self.lens)):
            yield Text("camera", word)


def _unique(values: Iterable[str | int | float | list[str | int | float] | None]) -> list[str]:
    """Words that are not blank, each once, in the order given."""
    words: dict[str, None] = {}
    for value in values:
        for item in value if isinstance(value, list) else (value,):
            if item is not None and (word := str(item).strip()):
                words[word] = None
    return list(words)


class ExifStage:
    """Reads metadata from the file's bytes; never writes, never opens a file."""

    name = "exif"
    title = "Metadata"
    version = "1"
    max_side: int | None = None
    after: tuple[str, ...] = ()
    result: type[StageResult] = ExifResult

    def __init__(self) -> None:
        self._read: Callable[[bytes], Reading] | None = None

    def missing(self, context: StageContext) -> str | None:  # noqa: ARG002
        """None when the package exiv2 is installed."""
        if importlib.util.find_spec("exiv2") is None:
            return "the package exiv2 is missing; install it with: pip install exiv2"
        return None

    def prepare(self, context: StageContext) -> None:  # noqa: ARG002
        """Load Exiv2 and take over its warnings."""
        try:
            # Loading it takes time and memory that a program which only lists stages need not pay.
            from caseframe.metadata import read  # noqa: PLC0415
        except ImportError as error:
            raise StageUnavailable(f"Exiv2 cannot be loaded: {error}") from error
        read.listen()
        self._read = read.read

    def run(self, frame: Frame, earlier: Mapping[str, StageResult]) -> ExifResult:  # noqa: ARG002
        """The metadata of one picture. Raises StageError when all of them are unreadable."""
        if self._read is None:
            raise StageUnavailable("Exiv2 was not loaded")
        reading = self._read(frame.data)
        if not reading.raw:
            # Given here, because making them by default takes longer than reading nothing does.
            return ExifResult.model_construct(metadata={}, raw={}, problems=reading.all_problems())
        return _result(reading)


def _result(reading: Reading) -> ExifResult:
    kept = reading.kept
    gps = gps_facts(kept, reading.flag)
    moment = captured(kept, reading.flag)
    orientation = _orientation(kept.get("Exif.Image.Orientation"), reading)
    # The types are certain here, and validation would take longer than reading the metadata.
    return ExifResult.model_construct(
        metadata=reading.metadata,
        raw=reading.raw,
        captured_at=moment.at if moment else None,
        capture_offset_minutes=moment.offset_minutes if moment else None,
        capture_source=moment.source if moment else None,
        camera_make=_first(kept, "Exif.Image.Make", "Xmp.tiff.Make"),
        camera_model=_first(kept, "Exif.Image.Model", "Xmp.tiff.Model"),
        lens=_first(kept, "Exif.Photo.LensModel", "Xmp.exifEX.LensModel", "Xmp.aux.Lens"),
        software=_first(kept, "Exif.Image.Software", "Xmp.xmp.CreatorTool"),
        orientation=orientation,
        gps=gps,
        problems=reading.all_problems(),
    )


def _first(kept: Mapping[str, str], *keys: str) -> str | None:
    """The first of these tags that is not blank, without surrounding blanks."""
    for key in keys:
        if word := kept.get(key, "").strip("\x00 \t\r\n"):
            return word
    return None


def _orientation(text: str | None, reading: Reading) -> int | None:
    if text is None:
        return None
    if text in ("1", "2", "3", "4", "5", "6", "7", "8"):
        return int(text)
    reading.flag(f"Exif.Image.Orientation: not 1 to 8: {text[:40]!r}")
    return None
