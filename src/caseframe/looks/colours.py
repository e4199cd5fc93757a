"""The colours of a picture by name.

The names are the eleven basic colour terms of Berlin and Kay (Basic Color Terms, 1969) and
`beige`, which photographs are full of and which none of the eleven says. Where one name ends and
the next begins is ruled in Oklab (B. Ottosson, A perceptual color space for image processing,
2020): there a blue stays blue as it gets lighter, which in CIELAB it does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

NAMES = (
    "black", "white", "grey", "red", "orange", "yellow", "green", "blue", "purple", "pink",
    "brown", "beige",
)  # fmt: skip
"""All names that can be given."""
GREY = 0.035
"""Oklab chroma below which a colour reads as black, grey or white."""
COLOURLESS = 12
"""Difference of a pixel's channels (0-255) that JPEG and sensors leave in a grey picture."""
MOST = 3
"""Colours that are worth naming; beyond that a list says less than nothing."""
LEAST_SHARE = 0.15
TOGETHER = 0.6
"""Share of the picture that named colours must cover before it is called mostly these."""

STRIDE = 2
"""Of every so many rows and columns one is looked at: shares stay the same, at a quarter of the
cost."""
_BITS = 5
# Ottosson's matrices: linear sRGB to cone responses, their cube roots to lightness, a and b.
_TO_CONES = np.array([
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
])  # fmt: skip
_TO_LAB = np.array([
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
])  # fmt: skip


@dataclass(frozen=True, slots=True)
class Named:
    """A colour and the share of the picture's pixels, 0 to 1, that have it."""

    name: str
    share: float


def oklab(srgb: Floats) -> Floats:
    """Lightness 0-1, a and b of sRGB values 0-1; both (…, 3)."""
    # IEC 61966-2-1, the transfer function of sRGB.
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    lab: Floats = np.cbrt(linear @ _TO_CONES.T) @ _TO_LAB.T
    return lab


def named(rgb: Pixels) -> tuple[Named, ...]:
    """Every name with a share of the picture, largest first; `rgb` is (height, width, 3)."""
    counts = np.bincount(_table()[cells(rgb[::STRIDE, ::STRIDE])], minlength=len(NAMES))
    shares = counts / max(1, counts.sum())
    order = np.argsort(-shares, kind="stable")
    return tuple(Named(NAMES[i], float(shares[i])) for i in order if counts[i])


def main(colours: tuple[Named, ...]) -> tuple[Named, ...]:
    """The few that a picture is mostly made of; none where no few are."""
    few = tuple(colour for colour in colours[:MOST] if colour.share >= LEAST_SHARE)
    for count in range(1, len(few) + 1):
        if sum(colour.share for colour in few[:count]) >= TOGETHER:
            return few[:count]
    return ()


def colourless(rgb: Pixels) -> float:
    """Share of pixels, 0 to 1, whose channels differ by no more than `COLOURLESS`."""
    spread = channel_spread(rgb[::STRIDE, ::STRIDE])
    return float(np.count_nonzero(spread <= COLOURLESS) / spread.size)


def channel_spread(rgb: Pixels) -> Pixels:
    """Largest less smallest channel of each pixel: (height, width)."""
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    return np.asarray(
        np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    )


def name_of(red: int, green: int, blue: int) -> str:
    """The name of one sRGB colour, channels 0-255."""
    return NAMES[int(_table()[cells(np.array([[[red, green, blue]]], np.uint8))][0])]


def cells(rgb: Pixels) -> npt.NDArray[np.int16]:
    """Which of 32 x 32 x 32 cells of the colour cube each pixel lies in; flat."""
    parts = (rgb >> (8 - _BITS)).astype(np.int16)
    return np.asarray((parts[..., 0] << 2 * _BITS | parts[..., 1] << _BITS | parts[..., 2]).ravel())


@cache
def _table() -> npt.NDArray[np.uint8]:
    """The index in `NAMES` of each cell, by its middle."""
    side = 1 << _BITS
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    lab = oklab((grid + 0.5) / side)
    names = [_rule(*(float(value) for value in colour)) for colour in lab]
    return np.array([NAMES.index(name) for name in names], np.uint8)


def _rule(light: float, a: float, b: float) -> str:
    chroma = float(np.hypot(a, b))
    hue = float(np.degrees(np.arctan2(b, a))) % 360
    if chroma < GREY or (light < 0.25 and chroma < 0.08) or light < 0.12:
        return "black" if light < 0.3 else "white" if light > 0.87 else "grey"
    for end, say in _HUES:
        if hue < end:
            return say(light, chroma)
    return _rose(light, chroma)


def _rose(light: float, chroma: float) -> str:
    return "pink" if light > 0.6 else _reddish(light, chroma)


def _reddish(light: float, chroma: float) -> str:
    if light > 0.68 and chroma < 0.17:
        return "pink"
    return "brown" if chroma < 0.09 and light < 0.6 else "red"


def _orange(light: float, chroma: float) -> str:
    if light > 0.74 and chroma < 0.11:
        return "beige"
    return "orange" if light > 0.62 and chroma > 0.12 else "brown"


def _yellow(light: float, chroma: float) -> str:
    if light > 0.7 and chroma > 0.1:
        return "yellow"
    return "beige" if light > 0.68 else "brown"


def _lime(light: float, chroma: float) -> str:
    if light > 0.85 and chroma > 0.13:
        return "yellow"
    return "beige" if light > 0.85 and chroma < 0.07 else "green"


def _magenta(light: float, chroma: float) -> str:
    return "pink" if light > 0.63 and chroma > 0.05 else "purple"


# Hues in degrees up to which each rule holds, in rising order; what is left is rose again.
_HUES = (
    (12.0, _rose),
    (36.0, _reddish),
    (83.0, _orange),
    (103.0, _yellow),
    (118.0, _lime),
    (188.0, lambda _light, _chroma: "green"),
    (283.0, lambda _light, _chroma: "blue"),
    (318.0, lambda _light, _chroma: "purple"),
    (350.0, _magenta),
)
