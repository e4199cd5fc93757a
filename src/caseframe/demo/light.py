"""Noise, gradients, glow and grain: what drawn scenes are made of.

A canvas is a float32 array (height, width, 3), 0 dark to 1 light. All noise comes from a seed, so
that the same scene is the same picture everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Floats = npt.NDArray[np.float32]
Colour = tuple[float, float, float]
Stop = tuple[float, Colour]

_FINER = 2
"""Shapes are drawn this many times larger and scaled down, for smooth edges."""


def noise(height: int, width: int, cells: tuple[float, float], seed: int) -> Floats:
    """Smooth noise, 0-1; `cells` is how many bumps fit across and down."""
    across, down = max(2, round(cells[0])), max(2, round(cells[1]))
    grid = np.random.default_rng(seed).random((down, across), dtype=np.float32)
    grown = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(grown, dtype=np.float32).clip(0, 1)


def cloudy(
    height: int, width: int, cells: tuple[float, float], seed: int, octaves: int = 5
) -> Floats:
    """Noise in several sizes added up, stretched to 0-1: clouds, rock, sand."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        finer = 2.0**octave
        size = (min(cells[0] * finer, width), min(cells[1] * finer, height))
        total += noise(height, width, size, seed + 101 * octave) / np.float32(1.8**octave)
    return _stretched(total)


def _stretched(values: Floats) -> Floats:
    """The same values, the lowest at 0 and the highest at 1."""
    low, high = np.float32(values.min()), np.float32(values.max())
    return np.asarray((values - low) / (high - low), np.float32)


def ridge(width: int, bumps: float, seed: int, octaves: int = 6, sharp: bool = False) -> Floats:
    """A skyline of hills, one height (0-1) for each column; `sharp` makes peaks of the crests."""
    line = np.zeros(width, np.float32)
    for octave in range(octaves):
        part = noise(2, width, (min(bumps * 2**octave, width), 2), seed + 31 * octave)[0]
        if sharp:
            part = 1 - np.abs(2 * part - 1)
        line += part / np.float32((2.1 if sharp else 2.6) ** octave)
    return _stretched(line)


def grid(height: int, width: int) -> tuple[Floats, Floats]:
    """Coordinates (y, x) of each pixel, 0-1 down and across."""
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    across = np.linspace(0, 1, width, dtype=np.float32)[None, :]
    return down, across


def step(low: float, high: float, value: Floats) -> Floats:
    """0 below `low`, 1 above `high`, smooth between."""
    part: Floats = ((value - np.float32(low)) / np.float32(high - low)).clip(0, 1)
    return part * part * (3 - 2 * part)


def gradient(height: int, width: int, stops: Sequence[Stop]) -> Floats:
    """Colours from top to bottom; each stop is (how far down, 0-1; colour)."""
    where = np.linspace(0, 1, height)
    at = [stop[0] for stop in stops]
    bands = [np.interp(where, at, [stop[1][band] for stop in stops]) for band in range(3)]
    column = np.stack(bands, axis=-1).astype(np.float32)
    return np.repeat(column[:, None, :], width, axis=1)


def lay(canvas: Floats, colour: Colour | Floats, mask: Floats) -> Floats:
    """The canvas with a colour (or another canvas) laid over it where the mask is 1."""
    paint = np.asarray(colour, dtype=np.float32)
    return np.asarray(canvas + (paint - canvas) * mask[..., None], np.float32)


def glow(canvas: Floats, at: tuple[float, float], size: float, colour: Colour) -> Floats:
    """Light added around a point (x, y), 0-1; `size` in widths of the picture."""
    height, width = canvas.shape[:2]
    down, across = grid(height, width)
    distance = np.hypot(
        across - np.float32(at[0]), (down - np.float32(at[1])) * np.float32(height / width)
    )
    light = np.exp(-distance / np.float32(size))
    return np.asarray(canvas + light[..., None] * np.asarray(colour, np.float32), np.float32)


def disc(canvas: Floats, at: tuple[float, float], radius: float, colour: Colour) -> Floats:
    """A round sun or moon with a soft rim; `radius` in widths of the picture."""
    height, width = canvas.shape[:2]
    down, across = grid(height, width)
    distance = np.hypot(
        across - np.float32(at[0]), (down - np.float32(at[1])) * np.float32(height / width)
    )
    return lay(canvas, colour, 1 - step(radius * 0.94, radius * 1.06, distance))


def shape(
    canvas: Floats, colour: Colour, draw: Callable[[ImageDraw.ImageDraw, int], None]
) -> Floats:
    """The canvas with a shape in one colour; `draw` paints 255 on a mask and gets its scale."""
    height, width = canvas.shape[:2]
    mask = Image.new("L", (width * _FINER, height * _FINER))
    draw(ImageDraw.Draw(mask), _FINER)
    small = mask.resize((width, height), Image.Resampling.BOX)
    return lay(canvas, colour, np.asarray(small, np.float32) / np.float32(255))


def polygon(canvas: Floats, colour: Colour, *points: tuple[float, float]) -> Floats:
    """A filled polygon; points (x, y) are 0-1 of the picture's sides."""
    height, width = canvas.shape[:2]
    left = max(0, int(min(x for x, _ in points) * width) - 1)
    right = min(width, int(max(x for x, _ in points) * width) + 2)
    top = max(0, int(min(y for _, y in points) * height) - 1)
    foot = min(height, int(max(y for _, y in points) * height) + 2)

    def draw(pen: ImageDraw.ImageDraw, scale: int) -> None:
        pen.polygon(
            [((x * width - left) * scale, (y * height - top) * scale) for x, y in points], fill=255
        )

    result = canvas.copy()
    result[top:foot, left:right] = shape(canvas[top:foot, left:right], colour, draw)
    return result


def mirror(canvas: Floats, shore: int, tint: Colour, seed: int, ripple: float = 9.0) -> Floats:
    """The canvas with still water below row `shore`, mirroring what is above it."""
    height, width = canvas.shape[:2]
    depth = height - shore
    rows = np.clip(shore - 1 - np.arange(depth), 0, shore - 1)
    waves = noise(depth, width, (width / 60, depth / 3), seed) - np.float32(0.5)
    near = np.linspace(0.1, 1, depth, dtype=np.float32)[:, None]
    columns = np.arange(width)[None, :] + np.rint(waves * near * ripple * 4).astype(np.int64)
    lines = rows[:, None] + np.rint(waves * near * ripple).astype(np.int64)
    water = canvas[np.clip(lines, 0, shore - 1), np.clip(columns, 0, width - 1)]
    water = water * np.float32(0.72) + np.asarray(tint, np.float32) * np.float32(0.28)
    glint = step(0.62, 0.95, waves + np.float32(0.5)) * near * np.float32(0.10)
    result = canvas.copy()
    result[shore:] = water + glint[..., None]
    return result


def finish(canvas: Floats, seed: int, grain: float = 0.012, vignette: float = 0.22) -> Image.Image:
    """The canvas as an RGB picture, with darker corners and the grain of a sensor."""
    height, width = canvas.shape[:2]
    down, across = grid(height, width)
    corner = (across - np.float32(0.5)) ** 2 + (down - np.float32(0.5)) ** 2
    dust = np.random.default_rng(seed).standard_normal((height, width), dtype=np.float32)
    lit = canvas * (1 - np.float32(vignette) * 2 * corner)[..., None]
    lit = lit + (dust * np.float32(grain))[..., None]
    return Image.fromarray((np.clip(lit, 0, 1) * 255 + np.float32(0.5)).astype(np.uint8))
