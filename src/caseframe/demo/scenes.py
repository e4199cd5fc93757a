"""Landscapes, drawn from noise: mountains, seas, deserts, fields and skies.

Every function takes a seed and a size (width, height) and gives an RGB picture.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from caseframe.demo.light import (
    Colour,
    Floats,
    Stop,
    cloudy,
    disc,
    finish,
    glow,
    gradient,
    grid,
    lay,
    mirror,
    noise,
    ridge,
    step,
)

Size = tuple[int, int]
USUAL: Size = (960, 640)

NOON: tuple[Stop, ...] = ((0, (0.16, 0.40, 0.74)), (0.55, (0.62, 0.80, 0.94)), (1, (0.9, 0.95, 1)))
DUSK: tuple[Stop, ...] = (
    (0, (0.16, 0.16, 0.38)),
    (0.35, (0.52, 0.28, 0.48)),
    (0.6, (0.96, 0.52, 0.32)),
    (1, (1.0, 0.83, 0.50)),
)
DAWN: tuple[Stop, ...] = (
    (0, (0.36, 0.50, 0.74)),
    (0.5, (0.86, 0.74, 0.78)),
    (1, (1.0, 0.88, 0.72)),
)
NIGHT: tuple[Stop, ...] = (
    (0, (0.01, 0.02, 0.07)),
    (0.6, (0.04, 0.09, 0.20)),
    (1, (0.12, 0.20, 0.34)),
)


def sky(size: Size, stops: tuple[Stop, ...], seed: int, clouds: float = 0.5) -> Floats:
    """A whole canvas of sky, its horizon two thirds down, with long clouds."""
    width, height = size
    canvas = gradient(height, width, [(at * 0.68, colour) for at, colour in stops])
    puffs = cloudy(height, width, (5, 9), seed + 7)
    down, _ = grid(height, width)
    cover = step(1 - clouds, 1.15 - clouds * 0.5, puffs) * (1 - step(0.45, 0.7, down))
    bright = np.clip(canvas * np.float32(0.55) + np.float32(0.45), 0, 1)
    shadow = step(0.5, 1.0, noise(height, width, (7, 12), seed + 9)) * np.float32(0.14)
    return lay(canvas, bright - shadow[..., None], cover * np.float32(0.85))


def stars(canvas: Floats, seed: int, below: float = 0.6) -> Floats:
    """The canvas with some hundred stars in its upper part."""
    height, width = canvas.shape[:2]
    dice = np.random.default_rng(seed)
    rows = dice.integers(0, int(height * below), 420)
    columns = dice.integers(1, width - 1, 420)
    light = (dice.random(420, dtype=np.float32) ** 2 * np.float32(1.2))[:, None]
    result = canvas.copy()
    result[rows, columns] += light
    result[rows, columns + 1] += light * np.float32(0.6)
    return result


def hills(canvas: Floats, top: float, tall: float, colour: Colour, seed: int) -> Floats:
    """One chain of wooded hills, its crest between `top` and `top + tall` down the picture."""
    height, width = canvas.shape[:2]
    crest = (top + tall * (1 - ridge(width, 3, seed)))[None, :]
    down, _ = grid(height, width)
    trees = cloudy(height, width, (width / 14, height / 10), seed + 3, 3) - np.float32(0.5)
    paint = np.asarray(colour, np.float32) * (1 + trees * np.float32(0.5))[..., None]
    return lay(canvas, paint, step(0, 0.004, down - crest + trees * np.float32(0.012)))


def peaks(canvas: Floats, span: tuple[float, float], haze: Colour, far: float, seed: int) -> Floats:
    """One chain of snow mountains lit from the left.

    `span` is how far down the highest peak is and how tall it stands, `far` (0-1) how much haze
    covers the chain.
    """
    height, width = canvas.shape[:2]
    crest = (span[0] + span[1] * (1 - ridge(width, 4, seed, sharp=True)))[None, :]
    down, _ = grid(height, width)
    rock = np.abs(2 * cloudy(height, width, (7, 4), seed + 5, 6) - 1)
    slope = (np.roll(rock, 4, 1) - rock) * np.float32(2.6) + (np.roll(rock, 3, 0) - rock)
    slope[:, :4] = 0  # np.roll brought in the other edge
    light = np.clip(np.float32(0.80) + slope, 0.25, 1.12)
    bare = (down - crest) + rock * np.float32(0.20) - slope * np.float32(0.16)
    snow = 1 - step(0.12, 0.30, bare)
    stone = np.asarray((0.33, 0.31, 0.33), np.float32)
    paint = stone + (np.asarray((0.97, 0.97, 1.0), np.float32) - stone) * snow[..., None]
    tone = np.stack([light, light * 0.95 + 0.05, light * 0.84 + 0.16], axis=-1)
    warm = np.asarray(haze, np.float32) * np.float32(0.45) + np.float32(0.55)
    paint = lay(paint * tone * warm, haze, np.full_like(rock, far))
    return lay(canvas, paint, step(0, 0.004, down - crest))


def alps(seed: int, size: Size = USUAL, stops: tuple[Stop, ...] = NOON) -> Image.Image:
    """Snow mountains behind wooded hills."""
    canvas = sky(size, stops, seed, 0.45)
    haze = stops[-1][1]
    canvas = peaks(canvas, (0.16, 0.30), haze, 0.42, seed + 1)
    canvas = peaks(canvas, (0.34, 0.26), haze, 0.14, seed + 2)
    canvas = hills(canvas, 0.66, 0.14, (0.16, 0.26, 0.20), seed + 3)
    canvas = hills(canvas, 0.80, 0.10, (0.20, 0.34, 0.12), seed + 4)
    return finish(canvas, seed)


def lake(seed: int, size: Size = USUAL, stops: tuple[Stop, ...] = DAWN) -> Floats:
    """A canvas: mountains that mirror themselves in a lake; the shore is 62 % down."""
    canvas = sky(size, stops, seed, 0.5)
    canvas = peaks(canvas, (0.14, 0.36), stops[-1][1], 0.22, seed + 1)
    canvas = hills(canvas, 0.50, 0.10, (0.17, 0.25, 0.20), seed + 2)
    return mirror(canvas, int(canvas.shape[0] * 0.62), (0.16, 0.30, 0.36), seed + 3)


def sunset(seed: int, size: Size = USUAL, stops: tuple[Stop, ...] = DUSK) -> Image.Image:
    """The sun going down into the sea."""
    canvas = sky(size, stops, seed, 0.62)
    where = 0.3 + 0.4 * ((seed * 37 % 100) / 100)
    canvas = glow(canvas, (where, 0.56), 0.16, (0.55, 0.32, 0.10))
    canvas = disc(canvas, (where, 0.56), 0.035, (1.0, 0.95, 0.75))
    canvas = hills(canvas, 0.585, 0.06, (0.24, 0.15, 0.24), seed + 4)
    return finish(sparkle(canvas, 0.63, where, (0.9, 0.55, 0.25), seed), seed)


def sparkle(canvas: Floats, shore: float, where: float, light: Colour, seed: int) -> Floats:
    """The canvas with sea below `shore` and a broken path of light towards the viewer."""
    height, width = canvas.shape[:2]
    top = int(height * shore)
    canvas = mirror(canvas, top, (0.08, 0.12, 0.22), seed + 11, 14)
    depth = height - top
    _, across = grid(depth, width)
    near = np.linspace(0.02, 0.13, depth, dtype=np.float32)[:, None]
    chop = cloudy(depth, width, (width / 30, depth / 4), seed + 12, 3)
    path = np.exp(-(((across - np.float32(where)) / near) ** 2)) * step(0.48, 0.72, chop)
    canvas[top:] += path[..., None] * np.asarray(light, np.float32)
    return canvas


def moonlight(seed: int, size: Size = USUAL) -> Image.Image:
    """A full moon over a dark sea."""
    canvas = stars(sky(size, NIGHT, seed, 0.35), seed)
    canvas = glow(canvas, (0.64, 0.26), 0.10, (0.30, 0.34, 0.42))
    canvas = disc(canvas, (0.64, 0.26), 0.04, (0.95, 0.95, 0.88))
    canvas = hills(canvas, 0.58, 0.08, (0.03, 0.05, 0.09), seed + 1)
    return finish(sparkle(canvas, 0.65, 0.64, (0.55, 0.6, 0.68), seed), seed)


def dunes(seed: int, size: Size = USUAL) -> Image.Image:
    """Desert: dunes with a bright and a shadowed side each."""
    canvas = sky(size, NOON, seed, 0.2)
    height, width = canvas.shape[:2]
    down, across = grid(height, width)
    for layer in range(5):
        near = layer / 4
        crest = (0.40 + 0.13 * layer + 0.14 * (1 - ridge(width, 2, seed + layer, 3)))[None, :]
        tilt = np.gradient(crest[0]) * width
        sunny = step(-0.25, 0.25, (tilt[None, :] + (down - crest) * 0.8).astype(np.float32))
        wind = np.sin((across * 9 + down * (60 + 120 * near) + crest * 30) * np.float32(3.2))
        tone = np.float32(0.62) + sunny * np.float32(0.42) + wind * np.float32(0.022 * near)
        sand = np.asarray((0.86, 0.50 + 0.06 * (1 - near), 0.27 + 0.16 * (1 - near)), np.float32)
        canvas = lay(canvas, tone[..., None] * sand, step(0, 0.003, down - crest))
    return finish(canvas, seed)


def lavender(seed: int, size: Size = USUAL) -> Image.Image:
    """Rows of lavender that meet at the horizon."""
    canvas = sky(size, DAWN, seed, 0.5)
    canvas = hills(canvas, 0.44, 0.10, (0.42, 0.46, 0.56), seed + 1)
    canvas = hills(canvas, 0.50, 0.05, (0.26, 0.36, 0.26), seed + 2)
    height, width = canvas.shape[:2]
    down, across = grid(height, width)
    far = np.clip(down - np.float32(0.53), 0.004, 1)
    rows = np.sin((across - np.float32(0.56)) / far * np.float32(6.0))
    bloom = cloudy(height, width, (width / 5, height / 5), seed + 3, 2)
    plant = step(-0.25, 0.5, rows + (bloom - np.float32(0.5)))
    violet = np.asarray((0.46, 0.30, 0.66), np.float32) * (np.float32(0.6) + bloom * 0.8)[..., None]
    earth = np.asarray((0.46, 0.40, 0.26), np.float32) * (np.float32(0.7) + bloom * 0.5)[..., None]
    return finish(lay(canvas, lay(earth, violet, plant), step(0.535, 0.545, down)), seed)


def aurora(seed: int, size: Size = USUAL) -> Image.Image:
    """Northern lights over a frozen lake."""
    canvas = stars(sky(size, NIGHT, seed, 0.15), seed)
    height, width = canvas.shape[:2]
    down, _ = grid(height, width)
    for band in range(3):
        foot = 0.30 + 0.09 * band + 0.16 * (ridge(width, 2, seed + band, 3) - 0.5)[None, :]
        rays = ridge(width, 26, seed + 20 + band, 4)[None, :]
        above = np.clip(foot - down, 0, 1)
        light = np.exp(-above * 7) * step(-0.02, 0.015, foot - down) * (np.float32(0.35) + rays)
        hue = lay(np.full_like(canvas, 0), (0.10, 0.85, 0.45), np.ones_like(light))
        hue = lay(hue, (0.55, 0.18, 0.70), step(0.05, 0.30, above))
        canvas = canvas + hue * (light * np.float32(0.5 - 0.1 * band))[..., None]
    canvas = peaks(canvas, (0.50, 0.16), (0.10, 0.22, 0.28), 0.62, seed + 5)
    return finish(mirror(canvas, int(height * 0.70), (0.05, 0.12, 0.16), seed + 6, 5), seed)


def forest(seed: int, size: Size = USUAL) -> Image.Image:
    """Fir trees standing in fog, one row behind another."""
    width, height = size
    canvas = gradient(height, width, [(0, (0.74, 0.80, 0.84)), (1, (0.86, 0.86, 0.82))])
    down, across = grid(height, width)
    dice = np.random.default_rng(seed)
    for layer in range(6):
        near = layer / 5
        line = np.full(width, 2.0, np.float32)
        ground = 0.46 + 0.10 * layer + 0.10 * (ridge(width, 2, seed + layer, 2) - 0.5)
        for x, tall in zip(dice.random(int(70 - 54 * near)), dice.random(70), strict=False):
            rise = (0.10 + 0.22 * near) * (0.6 + 0.7 * tall)
            foot = float(ground[int(x * (width - 1))])
            spread = np.abs(across[0] - np.float32(x)) / np.float32(rise * 0.21)
            saw = np.abs((spread * 7) % 1 - np.float32(0.5)) * np.float32(0.05 * rise)
            line = np.minimum(line, foot - rise * (1 - spread) + saw * 3)
        line = np.minimum(line, ground)
        needles = cloudy(height, width, (width / 6, height / 10), seed + 40 + layer, 2)
        shade = 0.72 - 0.66 * near
        paint = np.asarray((shade * 0.9, shade + 0.05, shade), np.float32)
        tone = np.float32(0.85) + needles * np.float32(0.35 * near + 0.05)
        canvas = lay(canvas, paint * tone[..., None], step(0, 0.003, down - line[None, :]))
        mist = step(0.0, 0.25, down - line[None, :]) * np.float32(0.45 * (1 - near))
        canvas = lay(canvas, (0.84, 0.86, 0.85), mist)
    return finish(canvas, seed)
