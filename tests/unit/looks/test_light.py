"""Light and sharpness."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import ImageFilter
from tests.unit.looks.drawn import PHOTOGRAPHS, Pixels, photograph, screen, seen

from caseframe.looks import light


def flat(level: int) -> Pixels:
    return np.full((120, 160), level, np.uint8)


@pytest.mark.parametrize(
    ("level", "word"), [(0, "dark"), (50, "dark"), (128, None), (200, "light"), (255, "light")]
)
def test_brightness_of_even_pictures(level: int, word: str | None) -> None:
    found = light.brightness(flat(level))
    assert (found.mean, found.quarter, found.three_quarters) == (level, level, level)
    assert found.word == word


@pytest.mark.parametrize(("background", "subject"), [(10, 220), (250, 60)])
def test_a_large_subject_of_other_light_leaves_it_open(background: int, subject: int) -> None:
    """A lit face before a black wall is not a dark picture: nearly half of it is bright."""
    luma = flat(background)
    luma[:, :70] = subject
    assert light.brightness(luma).word is None


def test_a_night_sky_is_dark_and_snow_is_light() -> None:
    dice = np.random.default_rng(4)
    night = dice.poisson(4, (200, 300)).astype(np.uint8)
    night[dice.random(night.shape) < 0.002] = 250
    snow = dice.integers(190, 250, (200, 300)).astype(np.uint8)
    snow[90:130, 100:140] = 30
    assert light.brightness(night).word == "dark"
    assert light.brightness(snow).word == "light"


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_blurring_a_photograph_lowers_its_sharpness_until_it_is_blurred(name: str) -> None:
    image = photograph(name)
    image.thumbnail((512, 512))
    values = [
        light.sharpness(light.luma(seen(image.filter(ImageFilter.GaussianBlur(radius)))))
        for radius in (0, 1, 2, 4)
    ]
    known = [value for value in values if value is not None]
    assert known == sorted(known, reverse=True)
    assert light.sharpness_word(values[0]) != "blurred"
    assert light.sharpness_word(values[3]) == "blurred"


@pytest.mark.parametrize("name", ["camera.png", "coffee.png", "rocket.jpg"])
def test_contrast_is_no_sharpness(name: str) -> None:
    luma = light.luma(seen(photograph(name)))
    faint = (luma // 2 + 64).astype(np.uint8)
    words = {light.sharpness_word(light.sharpness(picture)) for picture in (luma, faint)}
    assert words == {"sharp"}


def test_a_sharp_subject_before_a_soft_background_is_sharp() -> None:
    image = photograph("coffee.png")
    image.thumbnail((512, 512))
    soft = image.filter(ImageFilter.GaussianBlur(5))
    assert light.sharpness_word(light.sharpness(light.luma(seen(soft)))) == "blurred"
    soft.paste(screen(0).crop((200, 50, 400, 250)), (100, 60))
    assert light.sharpness_word(light.sharpness(light.luma(seen(soft)))) == "sharp"


@pytest.mark.parametrize(
    "luma",
    [flat(128), flat(0), np.zeros((1, 1), np.uint8), np.eye(90, 500, dtype=np.uint8) * 255],
    ids=["even", "black", "one pixel", "a narrow strip"],
)
def test_where_there_is_nothing_to_judge_by_sharpness_stays_open(luma: Pixels) -> None:
    assert light.sharpness(luma) is None
    assert light.sharpness_word(None) is None


def test_between_sharp_and_blurred_nothing_is_said() -> None:
    middle = (light.SHARP + light.BLURRED) / 2
    assert light.sharpness_word(middle) is None
    assert light.sharpness_word(light.SHARP + 0.01) == "sharp"
    assert light.sharpness_word(light.BLURRED - 0.01) == "blurred"
