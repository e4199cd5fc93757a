"""Pictures of things: a boat, a town, balloons, a lighthouse, fruit, a beach."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from caseframe.demo.light import (
    Colour,
    Floats,
    cloudy,
    finish,
    glow,
    gradient,
    grid,
    lay,
    mirror,
    noise,
    polygon,
    shape,
    step,
)
from caseframe.demo.scenes import DAWN, DUSK, NIGHT, NOON, USUAL, Size, hills, lake, sky, stars

_PALM = (
    (2.95, 0.15),
    (2.5, 0.17),
    (2.05, 0.15),
    (1.1, 0.15),
    (0.65, 0.17),
    (0.2, 0.15),
    (3.4, 0.12),
)
"""Leaves of a palm: direction in radians, length in widths of the picture."""


def red_boat(seed: int, size: Size = USUAL) -> Image.Image:
    """A red rowing boat on a mountain lake."""
    canvas = lake(seed, size)
    hull = ((0.46, 0.735), (0.74, 0.735), (0.70, 0.80), (0.51, 0.80))
    canvas = _dim(canvas, ((0.48, 0.80), (0.72, 0.80), (0.69, 0.87), (0.53, 0.87)), 0.5)
    canvas = polygon(canvas, (0.74, 0.10, 0.09), *hull)
    canvas = polygon(
        canvas, (0.52, 0.05, 0.06), (0.485, 0.77), (0.72, 0.77), (0.70, 0.80), (0.51, 0.80)
    )
    canvas = polygon(
        canvas, (0.93, 0.90, 0.82), (0.455, 0.727), (0.745, 0.727), (0.741, 0.742), (0.46, 0.742)
    )
    for seat in (0.53, 0.60, 0.67):
        board = ((seat, 0.715), (seat + 0.03, 0.715), (seat + 0.035, 0.727), (seat - 0.005, 0.727))
        canvas = polygon(canvas, (0.45, 0.30, 0.18), *board)
    canvas = polygon(
        canvas, (0.60, 0.44, 0.26), (0.58, 0.72), (0.80, 0.80), (0.80, 0.81), (0.577, 0.727)
    )
    return finish(canvas, seed)


def _dim(canvas: Floats, corners: tuple[tuple[float, float], ...], share: float) -> Floats:
    """The canvas with a polygon of shadow that keeps what lies under it."""
    dark = polygon(canvas, (0.05, 0.03, 0.05), *corners)
    return canvas + (dark - canvas) * np.float32(share)


def skyline(seed: int, size: Size = USUAL, night: bool = True) -> Image.Image:
    """A town of towers beside a river, its windows lit."""
    canvas = sky(size, NIGHT if night else DUSK, seed, 0.5)
    canvas = glow(canvas, (0.5, 0.66), 0.26, (0.62, 0.36, 0.20))
    dice = np.random.default_rng(seed)
    shore = int(canvas.shape[0] * 0.68)
    for layer, count in ((0, 26), (1, 17)):
        for left in np.sort(dice.random(count)):
            box = (left - 0.03, dice.uniform(0.03, 0.05 + 0.03 * layer), dice.uniform(0.14, 0.44))
            _tower(canvas, box, shore, layer, dice)
    return finish(mirror(canvas, shore, (0.03, 0.06, 0.12), seed + 5, 12), seed)


def _tower(
    canvas: Floats,
    box: tuple[float, float, float],
    shore: int,
    layer: int,
    dice: np.random.Generator,
) -> None:
    """One tower with a grid of windows, painted in place; `box` is left, width, height (0-1)."""
    height, width = canvas.shape[:2]
    left, right = max(0, int(box[0] * width)), min(width, int((box[0] + box[1]) * width))
    top = shore - int(box[2] * height * (1.0 if layer == 0 else 0.72))
    if right - left < 8:
        return
    wall = np.asarray((0.15, 0.17, 0.26) if layer == 0 else (0.07, 0.08, 0.13), np.float32)
    canvas[top:shore, left:right] = wall * np.linspace(1.3, 0.8, right - left)[None, :, None]
    rows, columns = np.arange(top + 5, shore - 6, 9), np.arange(left + 3, right - 5, 7)
    lit = dice.random((len(rows), len(columns))) < dice.uniform(0.25, 0.65)
    warm = np.asarray((1.0, 0.78, 0.42) if dice.random() < 0.75 else (0.75, 0.88, 1.0))
    for row, column in np.argwhere(lit):
        y, x = rows[row], columns[column]
        canvas[y : y + 5, x : x + 4] = warm * dice.uniform(0.75, 1.1)
    if dice.random() < 0.3:
        canvas[max(0, top - 26) : top, (left + right) // 2] = (0.35, 0.1, 0.1)


def balloons(seed: int, size: Size = USUAL) -> Image.Image:
    """Hot-air balloons at dawn."""
    canvas = sky(size, DAWN, seed, 0.35)
    canvas = glow(canvas, (0.15, 0.55), 0.22, (0.30, 0.18, 0.02))
    for layer, tint in enumerate(((0.66, 0.56, 0.56), (0.52, 0.40, 0.38), (0.34, 0.25, 0.22))):
        canvas = hills(canvas, 0.62 + 0.10 * layer, 0.12, tint, seed + layer)
    colours: tuple[tuple[Colour, Colour], ...] = (
        ((0.85, 0.16, 0.14), (0.98, 0.82, 0.30)),
        ((0.12, 0.30, 0.62), (0.95, 0.95, 0.92)),
        ((0.16, 0.52, 0.38), (0.96, 0.60, 0.20)),
        ((0.55, 0.16, 0.50), (0.98, 0.76, 0.80)),
    )
    spots = ((0.64, 0.34, 0.115), (0.27, 0.24, 0.062), (0.44, 0.52, 0.040), (0.87, 0.17, 0.034))
    for (x, y, radius), pair in zip(spots, colours, strict=True):
        canvas = _balloon(canvas, (x, y), radius, pair)
    return finish(canvas, seed)


def _balloon(
    canvas: Floats, at: tuple[float, float], radius: float, pair: tuple[Colour, Colour]
) -> Floats:
    """One striped balloon with its basket; `radius` in widths of the picture."""
    height, width = canvas.shape[:2]
    down, across = grid(height, width)
    x = (across - np.float32(at[0])) / np.float32(radius)
    y = (down - np.float32(at[1])) * np.float32(height / width / radius)
    waist = np.where(y < 0, 1, np.clip(1 - (y / np.float32(1.45)) ** 2 * 0.72, 0.05, 1))
    part = np.clip(x / waist, -1, 1)
    inside = 1 - step(0.93, 1.0, np.hypot(part, np.where(y < 0, y, 0)).astype(np.float32))
    inside = inside * (y < np.float32(1.38))
    turn = np.arcsin(part)
    stripes = (np.floor(turn / np.float32(math.pi / 9)) % 2)[..., None]
    light = (np.float32(0.55) + np.float32(0.5) * np.cos(turn + np.float32(0.7)))[..., None]
    paint = np.asarray(pair[0], np.float32) * stripes + np.asarray(pair[1], np.float32) * (
        1 - stripes
    )
    canvas = lay(canvas, (paint * light).astype(np.float32), inside.astype(np.float32))
    tall = radius * width / height
    left, foot, wide = at[0] - radius * 0.13, at[1] + tall * 1.62, radius * 0.26
    basket = (
        (left, foot),
        (left + wide, foot),
        (left + wide, foot + tall * 0.2),
        (left, foot + tall * 0.2),
    )
    for rope in (left, left + wide - 0.0015):
        line = (
            (rope, foot - tall * 0.27),
            (rope + 0.0015, foot - tall * 0.27),
            (rope + 0.0015, foot),
            (rope, foot),
        )
        canvas = polygon(canvas, (0.25, 0.18, 0.12), *line)
    return polygon(canvas, (0.33, 0.20, 0.10), *basket)


def lighthouse(seed: int, size: Size = USUAL) -> Image.Image:
    """A striped lighthouse on a cliff, left of the middle: no turn of it looks the same."""
    canvas = sky(size, NOON, seed, 0.55)
    canvas = mirror(canvas, int(canvas.shape[0] * 0.66), (0.02, 0.25, 0.36), seed + 1, 8)
    canvas = _cliff(canvas, seed + 2)
    middle = 0.27
    for stripe in range(6):
        top, foot = 0.24 + 0.062 * stripe, 0.24 + 0.062 * (stripe + 1)
        narrow, wide = 0.026 + 0.003 * stripe, 0.029 + 0.003 * stripe
        colour: Colour = (0.80, 0.12, 0.11) if stripe % 2 == 0 else (0.95, 0.94, 0.90)
        band = (
            (middle - narrow, top),
            (middle + narrow, top),
            (middle + wide, foot),
            (middle - wide, foot),
        )
        canvas = polygon(canvas, colour, *band)
    shadow = (
        (middle + 0.008, 0.24),
        (middle + 0.026, 0.24),
        (middle + 0.044, 0.612),
        (middle + 0.018, 0.612),
    )
    canvas = _dim(canvas, shadow, 0.35)
    canvas = polygon(
        canvas, (0.20, 0.20, 0.22), (0.235, 0.232), (0.305, 0.232), (0.305, 0.246), (0.235, 0.246)
    )
    canvas = polygon(
        canvas, (1.0, 0.93, 0.62), (0.252, 0.18), (0.288, 0.18), (0.288, 0.232), (0.252, 0.232)
    )
    canvas = polygon(canvas, (0.62, 0.09, 0.09), (0.244, 0.182), (0.296, 0.182), (0.27, 0.13))
    house = ((0.33, 0.555), (0.44, 0.555), (0.44, 0.635), (0.33, 0.635))
    canvas = polygon(canvas, (0.93, 0.90, 0.84), *house)
    canvas = polygon(
        canvas, (0.45, 0.20, 0.15), (0.32, 0.558), (0.45, 0.558), (0.42, 0.505), (0.35, 0.505)
    )
    for left in (0.345, 0.40):
        window = ((left, 0.58), (left + 0.022, 0.58), (left + 0.022, 0.61), (left, 0.61))
        canvas = polygon(canvas, (0.18, 0.25, 0.32), *window)
    return finish(glow(canvas, (0.27, 0.205), 0.03, (0.35, 0.30, 0.15)), seed)


def _cliff(canvas: Floats, seed: int) -> Floats:
    """A grassy cliff that falls into the sea right of the middle."""
    height, width = canvas.shape[:2]
    down, across = grid(height, width)
    rough = cloudy(height, width, (16, 9), seed, 5)
    crest = np.float32(0.60) + step(0.42, 0.66, across) * np.float32(0.5)
    below = down - crest - (rough - np.float32(0.5)) * np.float32(0.10)
    grass = np.asarray((0.30, 0.42, 0.17), np.float32) * (np.float32(0.6) + rough * 0.7)[..., None]
    stone = np.asarray((0.48, 0.40, 0.33), np.float32) * (np.float32(0.4) + rough * 0.9)[..., None]
    paint = lay(grass, stone, step(0.06, 0.17, below + step(0.42, 0.6, across) * np.float32(0.12)))
    return lay(canvas, paint, step(0, 0.006, below))


def fruit(seed: int, size: Size = USUAL) -> Image.Image:
    """Oranges, an apple and a lime on a wooden table."""
    width, height = size
    wall = gradient(
        height, width, [(0, (0.26, 0.28, 0.30)), (0.55, (0.42, 0.42, 0.40)), (1, (0.4, 0.4, 0.4))]
    )
    canvas = glow(wall, (0.2, 0.1), 0.4, (0.22, 0.19, 0.14))
    down, _ = grid(height, width)
    fibre = cloudy(height, width, (4, height / 6), seed, 4)
    wood = np.asarray((0.50, 0.31, 0.17), np.float32) * (np.float32(0.6) + fibre * 0.7)[..., None]
    canvas = lay(canvas, wood, step(0.55, 0.556, down))
    for x, y, radius, colour in (
        (0.66, 0.50, 0.115, (0.95, 0.50, 0.06)),
        (0.40, 0.55, 0.125, (0.78, 0.10, 0.10)),
        (0.55, 0.68, 0.105, (0.98, 0.58, 0.10)),
        (0.78, 0.70, 0.075, (0.45, 0.66, 0.12)),
    ):
        canvas = _ball(canvas, (x, y), radius, colour, seed)
    return finish(canvas, seed)


def _ball(
    canvas: Floats, at: tuple[float, float], radius: float, colour: Colour, seed: int
) -> Floats:
    """One round fruit lit from the upper left, with its shadow on the table."""
    height, width = canvas.shape[:2]
    down, across = grid(height, width)
    x = (across - np.float32(at[0])) / np.float32(radius)
    y = (down - np.float32(at[1])) * np.float32(height / width / radius)
    shade = np.hypot(
        (x - np.float32(0.45)) / np.float32(1.35), (y - np.float32(0.93)) / np.float32(0.30)
    )
    canvas = lay(canvas, (0.06, 0.03, 0.02), (1 - step(0.1, 1.1, shade)) * np.float32(0.75))
    flat = np.hypot(x, y)
    z = np.sqrt(np.clip(1 - flat * flat, 0, 1))
    light = np.clip(-0.5 * x - 0.62 * y + 0.60 * z, 0, 1)
    peel = noise(height, width, (width / 5, height / 5), seed + int(at[0] * 100))
    tone = (np.float32(0.22) + light * np.float32(0.85)) * (
        np.float32(0.92) + peel * np.float32(0.12)
    )
    gloss = np.exp(-(((x + 0.42) / 0.16) ** 2 + ((y + 0.50) / 0.13) ** 2)) * np.float32(0.45)
    paint = np.asarray(colour, np.float32) * tone[..., None] + gloss[..., None]
    return lay(canvas, paint.astype(np.float32), 1 - step(0.975, 1.0, flat))


def beach(seed: int, size: Size = USUAL) -> Image.Image:
    """A palm leaning over a white beach."""
    canvas = sky(size, NOON, seed, 0.5)
    height, width = canvas.shape[:2]
    down, across = grid(height, width)
    sea = gradient(
        height,
        width,
        [(0.5, (0.03, 0.32, 0.55)), (0.75, (0.20, 0.72, 0.74)), (1, (0.6, 0.9, 0.86))],
    )
    chop = cloudy(height, width, (width / 40, height / 6), seed + 1, 3) - np.float32(0.5)
    canvas = lay(canvas, sea + chop[..., None] * np.float32(0.12), step(0.555, 0.558, down))
    curve = (
        np.float32(0.72) + np.float32(0.10) * np.sin(across * 4 + 0.6) + chop * np.float32(0.012)
    )
    speck = cloudy(height, width, (width / 3, height / 3), seed + 2, 2)
    sand = np.asarray((0.96, 0.89, 0.74), np.float32) * (np.float32(0.86) + speck * 0.16)[..., None]
    canvas = lay(canvas, (0.97, 0.99, 0.98), step(-0.024, -0.004, down - curve) * np.float32(0.8))
    canvas = lay(canvas, sand, step(0, 0.010, down - curve))
    return finish(_palm(canvas), seed)


def _palm(canvas: Floats) -> Floats:
    """One palm tree, its foot at the lower right."""
    height, width = canvas.shape[:2]

    def trunk(pen: ImageDraw.ImageDraw, scale: int) -> None:
        for part in np.linspace(0, 1, 160):
            x, y = 0.86 - 0.20 * part**1.4, 0.97 - 0.68 * part
            r = width * scale * (0.012 - 0.006 * part)
            cx, cy = x * width * scale, y * height * scale
            pen.ellipse((cx - r, cy - r, cx + r, cy + r), fill=255)

    def leaves(pen: ImageDraw.ImageDraw, scale: int) -> None:
        unit = width * scale
        for angle, length in _PALM:
            for part in np.linspace(0, 1, 70):
                x = 0.66 * unit + math.cos(angle) * length * part * unit
                y = (
                    0.29 * height * scale
                    - (math.sin(angle) * length * part - 0.17 * part**2) * unit
                )
                drop = unit * 0.055 * math.sin(math.pi * (0.15 + 0.85 * part))
                for side in (-1, 1):
                    tip = (x + side * drop * 0.35, y + drop)
                    pen.line(((x, y), tip), fill=255, width=2 * scale)

    canvas = shape(canvas, (0.36, 0.26, 0.18), trunk)
    return shape(canvas, (0.10, 0.30, 0.12), leaves)


def night_camp(seed: int, size: Size = USUAL) -> Image.Image:
    """A lit tent below the stars."""
    canvas = stars(sky(size, NIGHT, seed, 0.2), seed + 1, 0.7)
    canvas = hills(canvas, 0.55, 0.16, (0.05, 0.08, 0.13), seed + 2)
    canvas = hills(canvas, 0.74, 0.08, (0.03, 0.04, 0.05), seed + 3)
    canvas = glow(canvas, (0.40, 0.82), 0.10, (0.42, 0.22, 0.06))
    canvas = polygon(canvas, (0.98, 0.62, 0.22), (0.30, 0.88), (0.40, 0.70), (0.53, 0.88))
    canvas = polygon(canvas, (0.75, 0.36, 0.12), (0.40, 0.70), (0.57, 0.84), (0.53, 0.88))
    canvas = polygon(canvas, (1.0, 0.86, 0.50), (0.37, 0.88), (0.40, 0.74), (0.43, 0.88))
    return finish(canvas, seed)
