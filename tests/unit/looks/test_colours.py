"""Naming colours."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from caseframe.looks import colours
from caseframe.looks.colours import Named, Pixels

# What people who are asked call these (CSS colour names and everyday things).
EXAMPLES = {
    "black": "000000 101010 0a0a20 1a1410",
    "white": "ffffff f5f5f5 fffaf0 f0f8ff",
    "grey": "808080 a9a9a9 505050 708090 c8c8c8",
    "red": "ff0000 dc143c b22222 8b0000 c81e1e",
    "orange": "ffa500 ff8c00 ff7f50 e67e22",
    "yellow": "ffff00 ffd700 f1c40f fff44f",
    "green": "008000 00ff00 228b22 6b8e23 556b2f 2e8b57 90ee90 004d00",
    "blue": "0000ff 1e90ff 87ceeb 4169e1 000080 4682b4 add8e6 191970 00ffff",
    "purple": "800080 6a0dad 9400d3 8a2be2 4b0082 9370db",
    "pink": "ffc0cb ff69b4 ff1493 ffb6c1 f4a7b9 fadadd",
    "brown": "8b4513 a0522d 654321 5c4033 7b3f00 964b00",
    "beige": "d2b48c deb887 ffe4c4 faebd7 e8d8b8 ffdbac",
}


@pytest.mark.parametrize(("name", "values"), EXAMPLES.items())
def test_well_known_colours_have_their_names(name: str, values: str) -> None:
    found = {value: colours.name_of(*bytes.fromhex(value)) for value in values.split()}
    assert found == dict.fromkeys(values.split(), name)


def test_every_name_is_tried_above() -> None:
    assert set(EXAMPLES) == set(colours.NAMES)


def test_oklab_of_the_published_examples() -> None:
    """White is (1, 0, 0), and greys have no chroma, whatever their lightness."""
    assert colours.oklab(np.ones(3)) == pytest.approx([1, 0, 0], abs=1e-3)
    greys = colours.oklab(np.repeat(np.linspace(0, 1, 50)[:, None], 3, axis=1))
    assert np.abs(greys[:, 1:]).max() < 1e-3
    assert (np.diff(greys[:, 0]) > 0).all()


def test_red_seen_by_oklab() -> None:
    """As the colour space's author gives it: lightness 0.628, a 0.225, b 0.126."""
    assert colours.oklab(np.array([1.0, 0, 0])) == pytest.approx([0.628, 0.225, 0.126], abs=1e-3)


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_shares_are_shares(rgb: Pixels) -> None:
    found = colours.named(rgb)
    assert sum(colour.share for colour in found) == pytest.approx(1)
    assert [c.share for c in found] == sorted((c.share for c in found), reverse=True)
    assert len({colour.name for colour in found}) == len(found)
    assert 0 <= colours.colourless(rgb) <= 1


def test_halves_of_two_colours() -> None:
    rgb = np.zeros((40, 40, 3), np.uint8)
    rgb[:, :30] = (255, 0, 0)
    assert colours.named(rgb) == (Named("red", 0.75), Named("black", 0.25))


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ((0.9, 0.1), ["blue"]),
        ((0.5, 0.3, 0.2), ["blue", "white"]),
        ((0.3, 0.25, 0.2, 0.15, 0.1), ["blue", "white", "grey"]),
        ((0.3, 0.2, 0.05, 0.05), []),
        ((0.59, 0.14, 0.14, 0.13), []),
        ((), []),
    ],
)
def test_mostly_means_most_of_the_picture(shares: tuple[float, ...], expected: list[str]) -> None:
    names = ("blue", "white", "grey", "green", "red")
    found = tuple(Named(n, s) for n, s in zip(names, shares, strict=False))
    assert [colour.name for colour in colours.main(found)] == expected


@pytest.mark.parametrize(("noise", "expected"), [(3, True), (60, False)])
def test_grey_pictures_are_colourless_in_spite_of_compression(noise: int, expected: bool) -> None:
    dice = np.random.default_rng(1)
    grey = dice.integers(40, 200, (50, 60, 1))
    rgb = (grey + dice.integers(-noise, noise + 1, (50, 60, 3))).clip(0, 255).astype(np.uint8)
    assert (colours.colourless(rgb) > 0.985) is expected
