"""Photograph, screenshot, scan or drawing."""

from __future__ import annotations

import io
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageFilter
from tests.unit.looks import drawn
from tests.unit.looks.drawn import PHOTOGRAPHS, Pixels

from caseframe.looks import kind, light
from caseframe.looks.kind import Hints

QUALITIES = (None, 90, 70)
NONE = Hints()


def kind_of(rgb: Pixels, hints: Hints = NONE) -> str | None:
    return kind.kind_of(kind.traits(rgb, light.luma(rgb)), hints)


@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_photographs(name: str, quality: int | None) -> None:
    assert kind_of(drawn.seen(drawn.photograph(name), quality)) == "photograph"


@pytest.mark.parametrize("radius", [1, 3])
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_blurred_and_colourless_photographs_stay_photographs(name: str, radius: int) -> None:
    image = drawn.photograph(name).convert("L").filter(ImageFilter.GaussianBlur(radius))
    assert kind_of(drawn.seen(image)) == "photograph"


@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("seed", range(6))
def test_screens(seed: int, quality: int | None) -> None:
    assert kind_of(drawn.seen(drawn.screen(seed), quality)) == "screenshot"


@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("seed", range(6))
def test_scanned_pages(seed: int, quality: int | None) -> None:
    assert kind_of(drawn.seen(drawn.page(seed), quality)) == "scan"


@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("seed", range(8))
def test_drawings(seed: int, quality: int | None) -> None:
    assert kind_of(drawn.seen(drawn.drawing(seed), quality)) == "drawing"


def test_a_clean_page_is_a_scan_only_where_the_file_says_so() -> None:
    """Black on exact white: a page that a program made, a fax or a screen; nobody can see which."""
    clean = drawn.seen(drawn.page(1).convert("L").point(lambda level: 255 * (level > 128)))
    assert kind_of(clean) != "photograph"
    assert kind_of(clean, Hints(bilevel=True)) == "scan"
    assert kind_of(clean, Hints(paper_size=True)) == "scan"


@pytest.mark.parametrize("hints", [Hints(bilevel=True), Hints(paper_size=True)])
def test_paper_size_makes_no_page_of_a_photograph(hints: Hints) -> None:
    assert kind_of(drawn.seen(drawn.photograph("coffee.png")), hints) == "photograph"


def test_what_the_camera_says_comes_first() -> None:
    page = drawn.seen(drawn.page(2))
    assert kind_of(page, Hints(exposed=True)) == "photograph"
    assert kind_of(page, Hints(exposed=True, captured_screen=True)) == "screenshot"


@pytest.mark.parametrize(
    "rgb",
    [
        np.full((1, 1, 3), 200, np.uint8),
        np.full((47, 512, 3), 200, np.uint8),
        np.zeros((512, 1, 3), np.uint8),
    ],
    ids=["one pixel", "a strip", "a line"],
)
def test_nothing_is_said_of_what_is_too_small(rgb: Pixels) -> None:
    assert kind.traits(rgb, light.luma(rgb)) is None
    assert kind_of(rgb) is None


def test_a_photograph_in_few_colours_is_never_called_a_page() -> None:
    image = drawn.photograph("astronaut.png").quantize(8).convert("RGB")
    assert kind_of(drawn.seen(image)) in {"photograph", "drawing", None}


@settings(max_examples=40)
@given(
    arrays(
        np.uint8, st.tuples(st.integers(48, 90), st.integers(48, 90)), elements=st.integers(0, 255)
    )
)
def test_measures_are_within_their_bounds(luma: Pixels) -> None:
    rgb = np.repeat(luma[..., None], 3, axis=2)
    found = kind.traits(rgb, luma)
    assert found is not None
    values = asdict(found)
    assert 0 <= values.pop("background_luma") <= 255
    assert 0 <= values.pop("background_tint") <= 255
    assert values.pop("glyphs") >= 0
    assert 1 <= values.pop("background_levels") <= 2 * kind.NEAR + 1
    assert all(0 <= value <= 1 for value in values.values()), values


def test_the_same_pixels_give_the_same_measures_in_any_format() -> None:
    image = drawn.screen(3)
    files = []
    for form in ("PNG", "BMP", "TIFF"):
        file = io.BytesIO()
        image.save(file, form)
        files.append(drawn.seen(Image.open(file)))
    found = [kind.traits(rgb, light.luma(rgb)) for rgb in files]
    assert found[0] == found[1] == found[2]
