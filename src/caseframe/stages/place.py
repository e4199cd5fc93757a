"""Where a picture was taken: its coordinates, and the nearest town by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from caseframe.domain.facts import NOTHING, Facts, Place, Text
from caseframe.metadata.gps import GpsFacts
from caseframe.stages import gazetteer_source
from caseframe.stages.exif import ExifResult
from caseframe.stages.stage import (
    Frame,
    StageContext,
    StageError,
    StageResult,
    StageUnavailable,
)

if TYPE_CHECKING:
    from caseframe.stages.gazetteer import Gazetteer

_LATITUDE_MOST = 90.0
_LONGITUDE_MOST = 180.0
_TURN = 360.0
"""Degrees."""


class NamedPlace(BaseModel):
    """A position and the nearest town; each part None where the picture does not say."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="null")

    latitude: float
    """Degrees, WGS 84 unless the picture names another datum; north positive."""
    longitude: float
    """Degrees; east positive."""
    altitude_m: float | None = None
    """Metres; negative below sea level."""
    direction: float | None = None
    """Degrees clockwise from north, true or magnetic as the picture has it."""
    direction_reference: str | None = None
    town: str | None = None
    region: str | None = None
    country: str | None = None
    country_code: str | None = None
    """Two letters, ISO 3166-1."""
    distance_km: float | None = None
    """From the position to the town's centre."""


class PlaceResult(StageResult):
    """`place` is None when the picture names no position, or an impossible one (see problems)."""

    place: NamedPlace | None = None

    @property
    def found(self) -> bool:
        """Whether the picture says where it was taken."""
        return self.place is not None

    def facts(self) -> Facts:
        """The place, and its names to search for."""
        place = self.place
        if place is None:
            return NOTHING
        names = dict.fromkeys((place.town, place.region, place.country))
        return Facts(
            place=Place(
                latitude=place.latitude,
                longitude=place.longitude,
                altitude_m=place.altitude_m,
                direction=place.direction,
                town=place.town,
                region=place.region,
                country=place.country,
                country_code=place.country_code,
                distance_km=place.distance_km,
            ),
            texts=tuple(Text("place", name) for name in names if name),
        )


class PlaceStage:
    """Names the place that the metadata give by coordinates; needs no network."""

    name = "place"
    title = "Place"
    version = "1"
    max_side: int | None = None
    needs_picture = False
    after: tuple[str, ...] = ("exif",)
    result: type[StageResult] = PlaceResult

    def __init__(self) -> None:
        self._cache: Path | None = None
        self._gazetteer: Gazetteer | None = None

    def missing(self, context: StageContext) -> str | None:  # noqa: ARG002
        """None when the place names are installed."""
        return gazetteer_source.missing()

    def prepare(self, context: StageContext) -> None:
        """Note where the cache is; the names are loaded at the first picture with a position."""
        self._cache = context.cache

    def run(self, frame: Frame, earlier: Mapping[str, StageResult]) -> PlaceResult:  # noqa: ARG002
        """The place of one picture. Raises StageError when its metadata are not known."""
        metadata = earlier.get("exif")
        if not isinstance(metadata, ExifResult):
            raise StageError("the metadata of this picture were not read, so its place is unknown")
        gps = metadata.gps
        if gps is None or gps.latitude is None or gps.longitude is None:
            return PlaceResult.model_construct(place=None, problems=())
        problem = _impossible(gps.latitude, gps.longitude)
        if problem is not None:
            return PlaceResult.model_construct(place=None, problems=(problem,))
        return self._named(gps, gps.latitude, gps.longitude)

    def _named(self, gps: GpsFacts, latitude: float, longitude: float) -> PlaceResult:
        town = self._names().nearest(latitude, longitude)
        problems: list[str] = []
        direction = gps.direction
        if direction is not None and not 0 <= direction <= _TURN:
            problems.append(f"direction {direction} is not within 0 to 360 degrees; left out")
            direction = None
        place = NamedPlace.model_construct(
            latitude=latitude,
            longitude=longitude,
            altitude_m=gps.altitude_m,
            direction=direction,
            direction_reference=gps.direction_reference if direction is not None else None,
            town=town.name,
            region=town.region,
            country=town.country,
            country_code=town.country_code,
            distance_km=round(town.distance_km, 3),
        )
        return PlaceResult.model_construct(place=place, problems=tuple(problems))

    def _names(self) -> Gazetteer:
        from caseframe.stages import gazetteer  # noqa: PLC0415 - heavy; workers only

        if self._gazetteer is None:
            if self._cache is None:
                raise StageUnavailable("the stage was not prepared")
            try:
                self._gazetteer = gazetteer.load(self._cache)
            except gazetteer.GazetteerError as error:
                raise StageUnavailable(f"place names cannot be loaded: {error}") from error
        return self._gazetteer


def _impossible(latitude: float, longitude: float) -> str | None:
    """Why these are no coordinates on earth; None when they are. 0, 0 is a place in the sea."""
    if not (math.isfinite(latitude) and math.isfinite(longitude)):
        return f"coordinates {latitude}, {longitude} are not finite"
    if abs(latitude) > _LATITUDE_MOST:
        return f"latitude {latitude} is not within -90 to 90 degrees"
    if abs(longitude) > _LONGITUDE_MOST:
        return f"longitude {longitude} is not within -180 to 180 degrees"
    return None
