"""The stage that says in one sentence what was measured."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests import makers
from tests.unit.looks import drawn

from caseframe.domain.errors import PictureError
from caseframe.domain.facts import Facts, Text
from caseframe.domain.work import TaskState
from caseframe.pipeline.worker import run_stage
from caseframe.scanner.limits import Limits
from caseframe.scanner.picture import Picture
from caseframe.scanner.sniff import sniff
from caseframe.stages.exif import ExifResult, ExifStage
from caseframe.stages.faces import FacesResult, FoundFace
from caseframe.stages.facts import FactsResult, FactsStage
from caseframe.stages.place import NamedPlace, PlaceResult
from caseframe.stages.registry import load_stages
from caseframe.stages.stage import StageContext, StageResult

FACE = FoundFace(x=1, y=1, width=9, height=9, score=1.0, landmarks=(), descriptor=())
EXIF = ExifResult(
    raw={"Exif": {"Exif.Image.Make": "NIKON"}},
    captured_at="2016-07-14T15:02:31+02:00",
    camera_make="NIKON CORPORATION",
    camera_model="NIKON D7000",
)
PLACE = PlaceResult(
    place=NamedPlace(latitude=45.9, longitude=6.9, town="Chamonix", country="France", distance_km=2)
)


def picture(data: bytes) -> Picture:
    return Picture(data, sniff(data), Limits())


def file_of(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def facts(data: bytes, **earlier: StageResult) -> FactsResult:
    return FactsStage().run(picture(data), earlier)


def exif_of(data: bytes, cache: Path) -> ExifResult:
    stage = ExifStage()
    stage.prepare(StageContext(cache))
    return stage.run(picture(data), {})


def test_everything_that_is_known_is_said() -> None:
    data = file_of(drawn.photograph("rocket.jpg"), "JPEG")
    result = facts(data, exif=EXIF, place=PLACE, faces=FacesResult(faces=(FACE, FACE)))
    assert re.fullmatch(
        r"A sharp(, dark)? photograph, mostly [a-z, ]+, with 2 faces, taken on 14 July 2016 at "
        r"15:02 with a Nikon D7000 near Chamonix, France\.",
        result.sentence,
    )
    assert result.found
    assert result.facts() == Facts(texts=(Text("facts", result.sentence),))
    assert FactsResult.model_validate_json(result.model_dump_json()) == result


def test_without_other_stages_only_the_pixels_speak() -> None:
    result = facts(file_of(drawn.page(1), "JPEG"))
    assert result.sentence in {"A scan, mostly white.", "A scan, mostly white and beige."}
    assert (result.kind, result.hints) == ("scan", ())
    assert result.measures["background"] > 0.8
    assert sum(colour.share for colour in result.colours) == pytest.approx(1, abs=0.05)


def test_a_stage_that_found_nothing_differs_from_one_that_did_not_look() -> None:
    data = makers.photo(320, 240, 1)
    looked = facts(data, exif=ExifResult(), place=PlaceResult(), faces=FacesResult())
    assert "no faces found" in looked.sentence
    assert "taken" not in looked.sentence
    assert "face" not in facts(data).sentence
    assert facts(data, faces=StageResult()).sentence == facts(data).sentence


@pytest.mark.parametrize(
    ("tag", "value", "kind", "hints"),
    [
        ("Exif.Photo.ExposureTime", "1/30", "photograph", ("exposed",)),
        ("Exif.Photo.FNumber", "28/10", "photograph", ("exposed",)),
        ("Exif.Photo.UserComment", "charset=Ascii Screenshot", "screenshot", ("captured_screen",)),
        ("Exif.Image.Model", "Perfection V600", "scan", ()),
    ],
)
def test_metadata_tell_how_a_picture_was_made(
    tag: str, value: str, kind: str, hints: tuple[str, ...], tmp_path: Path
) -> None:
    data = makers.described(file_of(drawn.page(3), "JPEG"), exif={tag: value})
    result = facts(data, exif=exif_of(data, tmp_path))
    assert (result.kind, result.hints) == (kind, hints)
    assert ("with a Perfection V600" in result.sentence) is (tag == "Exif.Image.Model")


@pytest.mark.parametrize(
    ("size", "dpi", "expected"),
    [
        ((827, 1169), 100, ("paper_size",)),
        ((1169, 827), 100, ("paper_size",)),
        ((850, 1100), 100, ("paper_size",)),
        ((850, 1100), 72, ()),
        ((850, 1000), 100, ()),
    ],
)
def test_sheets_of_paper_are_known_by_their_resolution(
    size: tuple[int, int], dpi: int, expected: tuple[str, ...]
) -> None:
    data = file_of(drawn.page(4).resize(size), "JPEG", dpi=(dpi, dpi))
    assert facts(data).hints == expected


def test_a_fax_is_a_scan() -> None:
    page = drawn.page(5).convert("1", dither=Image.Dither.NONE)
    result = facts(file_of(page, "TIFF"))
    assert (result.kind, result.hints) == ("scan", ("bilevel",))
    assert result.sentence == "A scan, mostly white."


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (2, 2)])
@pytest.mark.parametrize(("colour", "name"), [((255, 0, 0), "red"), ((255, 255, 255), "white")])
def test_pictures_with_next_to_no_pixels(
    size: tuple[int, int], form: str, colour: tuple[int, int, int], name: str
) -> None:
    said = facts(file_of(Image.new("RGB", size, colour), form)).sentence
    assert said in {f"A picture, mostly {name}.", f"A light picture, mostly {name}."}


@pytest.mark.parametrize("level", [0, 90, 255])
def test_even_pictures_are_not_called_photographs(level: int) -> None:
    result = facts(file_of(Image.new("RGB", (400, 300), (level,) * 3)))
    assert result.kind in {None, "drawing"}
    assert result.sharpness is None


def test_16_bit_alpha_palette_and_cmyk_pictures() -> None:
    photograph = drawn.photograph("coffee.png")
    grey = np.asarray(photograph.convert("L"), np.uint16) * 257
    files = {
        "16 bits": file_of(Image.fromarray(grey)),
        "alpha": file_of(photograph.convert("RGBA")),
        "palette": file_of(photograph.quantize(256)),
        "cmyk": file_of(photograph.convert("CMYK"), "TIFF"),
        "grey": file_of(photograph.convert("L"), "JPEG"),
    }
    results = {name: facts(data) for name, data in files.items()}
    assert {name: result.kind for name, result in results.items()} == dict.fromkeys(
        files, "photograph"
    )
    without = {name for name, result in results.items() if result.colourless}
    assert without == {"16 bits", "grey"}
    assert all("black-and-white" in results[name].sentence for name in without)


def test_what_is_transparent_counts_as_paper() -> None:
    assert facts(file_of(Image.new("RGBA", (300, 200), (255, 0, 0, 0)))).main_colours == ("white",)


@pytest.mark.parametrize(
    "text",
    [*makers.MARKUP, "\u202egnp.exe", "Nikon. Stolen! ", "x" * 5000, "a\r\nb\x00c\u2028d"],
)
def test_hostile_metadata_stay_harmless(text: str) -> None:
    claimed = ExifResult(raw={"Exif": {"a": "b"}}, camera_make=text, camera_model=text)
    named = NamedPlace(latitude=1, longitude=2, town=text, country=text)
    said = facts(makers.photo(64, 64, 1), exif=claimed, place=PlaceResult(place=named)).sentence
    assert re.findall(r"[.!?](?=\s|$)", said) == ["."]
    assert not set(said) & set("<>&\u202e\u2028\r\n\x00")
    assert len(said) <= 400


@pytest.mark.parametrize("name", sorted(makers.corrupt_pictures()))
def test_corrupt_pictures_end_in_one_way_with_words(name: str) -> None:
    """What can be decoded of one is measured; that it is corrupt is said by its file's state."""
    outcome, _ = run_stage(FactsStage(), picture(makers.corrupt_pictures()[name]), {})
    if outcome.state is TaskState.DONE:
        assert outcome.facts is not None
        assert outcome.facts.texts[0].value.startswith("A ")
    else:
        assert outcome.state is TaskState.FAILED
        assert outcome.reason
        assert not re.match(r"\w+(Error|Exception): ", outcome.reason)  # one on purpose


def test_a_picture_without_pixels_raises() -> None:
    with pytest.raises(PictureError):
        facts(b"\x89PNG\r\n\x1a\n" + bytes(60))


def test_its_place_among_the_stages() -> None:
    names = load_stages().names()
    assert all(names.index(base) < names.index("facts") for base in FactsStage.after)
    assert FactsStage().missing(StageContext(Path("cache"))) is None
