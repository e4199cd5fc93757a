"""FACTS, the describer that needs no model."""

from __future__ import annotations

import multiprocessing
import pickle
import re
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from tests import makers
from tests.unit.looks import drawn
from tests.unit.stages.test_facts import file_of

from caseframe.domain.errors import OverLimit, PictureError
from caseframe.pipeline.describe import FactsDescriber, describe_facts
from caseframe.scanner.limits import Limits
from caseframe.stages.registry import load_stages
from caseframe.stages.stage import StageContext
from caseframe.vision.describer import Describer

REAL = {
    "Make": "NIKON CORPORATION",
    "Model": "NIKON D7000",
    "DateTimeOriginal": "2016:07:14 15:02:31",
    "ExposureTime": "1/250",
    **makers.gps_tags(45.9237, 6.8694),
}


@pytest.fixture(scope="module")
def describer(cache: Path) -> FactsDescriber:
    return FactsDescriber(cache, Limits())


def works(stage: str, cache: Path) -> bool:
    return load_stages().get(stage).stage.missing(StageContext(cache)) is None


def test_it_says_what_all_stages_find(describer: FactsDescriber, cache: Path) -> None:
    said = describer.prepare(makers.jpeg_with_exif((320, 240), 1, **REAL))
    place = r" near Chamonix[^,]*, France" if works("place", cache) else ""
    faces = " with no faces found," if works("faces", cache) else ""
    assert re.fullmatch(
        rf"A [a-z, -]*photograph,( mostly [a-z, ]+,)?{faces} taken on 14 July 2016 at 15:02 with "
        rf"a Nikon D7000{place}\.",
        said,
    ), said


def test_faces_are_counted_where_the_stage_works(describer: FactsDescriber, cache: Path) -> None:
    said = describer.prepare(file_of(drawn.photograph("astronaut.png"), "JPEG", quality=95))
    assert ("with 1 face" in said) is works("faces", cache)
    assert "no face" not in said


def test_it_is_a_describer(describer: FactsDescriber, cache: Path) -> None:
    seam: Describer = describer
    seam.load()
    seam.load()
    assert seam.describe(["A b.", "A c."]) == ["A b.", "A c."]
    assert seam.describe([]) == []
    assert seam.batch >= 1
    assert seam.identity.name == "FACTS"
    assert re.fullmatch(r"[0-9a-f]{64}", seam.identity.digest)
    assert FactsDescriber(cache, Limits()).identity == seam.identity


def test_preparing_works_in_a_process_of_its_own(describer: FactsDescriber) -> None:
    pictures = [makers.photo(96, 64, seed) for seed in range(4)]
    here = [describer.prepare(data) for data in pictures]
    assert pickle.loads(pickle.dumps(here)) == here
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        assert list(pool.map(describer.prepare, pictures)) == here


@pytest.mark.parametrize("form", makers.FORMATS)
def test_every_format_is_described(describer: FactsDescriber, form: str) -> None:
    assert re.fullmatch(r"A [^.]+\.", describer.prepare(makers.photo(160, 120, 2, format=form)))


def test_the_first_picture_of_an_animation_is_described(describer: FactsDescriber) -> None:
    assert describer.prepare(makers.animation()).startswith("A ")


def test_the_same_picture_gets_the_same_words(describer: FactsDescriber) -> None:
    data = makers.photo(200, 150, 3)
    assert len({describer.prepare(data) for _ in range(3)}) == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"just some words, and no picture at all", "not a picture: text/plain"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "not a picture: application/pdf"),
        (b"\x00" * 4096, "not a picture"),
        (makers.cut(makers.photo(320, 240, 5), 50), "corrupt"),
        (makers.cut(makers.photo(320, 240, 5, format="PNG"), 90), "corrupt"),
        (makers.bad_checksum(makers.photo(64, 64, 5, format="PNG")), "corrupt"),
        (b"\xff\xd8\xff\xe0" + bytes(40), "."),
    ],
)
def test_what_cannot_be_described_says_why(
    describer: FactsDescriber, data: bytes, reason: str
) -> None:
    with pytest.raises(PictureError, match=reason) as caught:
        describer.prepare(data)
    assert "\n" not in str(caught.value)


def test_nothing_corrupt_passes_for_whole(describer: FactsDescriber) -> None:
    for data in makers.corrupt_pictures().values():
        with pytest.raises(PictureError, match=r"\w"):
            describer.prepare(data)


def answer(describer: FactsDescriber, data: bytes) -> str:
    try:
        return describer.prepare(data)
    except PictureError as error:
        return str(error)


@pytest.mark.parametrize("name", sorted(makers.bombs()))
def test_bombs_are_refused_or_bounded(describer: FactsDescriber, name: str) -> None:
    assert answer(describer, makers.bombs()[name])


def test_limits_are_kept(cache: Path) -> None:
    data = makers.photo(320, 240, 6)
    small = Limits(max_file_bytes=len(data) - 1)
    with pytest.raises(OverLimit, match="max_file_bytes"):
        describe_facts(data, cache=cache, limits=small)
    with pytest.raises(OverLimit, match="max_pixels"):
        describe_facts(data, cache=cache, limits=Limits(max_pixels=320 * 240 - 1))
    assert describe_facts(data, cache=cache, limits=Limits(max_pixels=320 * 240))
