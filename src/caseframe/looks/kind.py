"""What kind of picture it is, by measures that need no model.

A camera never writes the same value twice in a row, a program does little else: what was drawn is
flat and has few colours, what was photographed has grain and shades everywhere. Paper under a
scanner is both: one light tone that is nowhere exactly the same. docs/facts.md has the figures
from which the bounds were chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from caseframe.looks.colours import STRIDE, cells, channel_spread

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Kind = Literal["photograph", "screenshot", "scan", "drawing"]

SIDE_LEAST = 48
"""Pixels of the shorter side below which nothing is said of the kind."""
PALETTE_CELLS = 8
"""Commonest colours that count: drawings have few, and this many cover most of one."""
FLAT_STEP = 3
"""Levels of luma (0-255) that JPEG leaves where a program painted one colour."""
EDGE_STEP = 16
"""Levels of luma between two neighbours from which there is an edge."""
RUN = 24
"""Pixels in a row that an edge must keep to before it counts as straight."""
NEAR = 24
"""Levels of luma around the commonest one that count as background."""
APART = 40
"""Levels from the background at which a pixel belongs to something that stands on it."""
INK_STEP = 70
"""Levels below the background from which a mark counts as ink."""
STRONG_STEP = 50
"""Levels between neighbours that make an edge strong; what it blurs around it is no shading."""
GLYPH_TALL = (3, 18)
GLYPH_WIDE = 80
"""Pixels: what letters and short words measure when a page or screen is 512 pixels long."""


@dataclass(frozen=True, slots=True)
class Traits:
    """The measures behind a kind; shares are of all pixels, 0 to 1, unless they say otherwise."""

    palette: float
    """Share covered by the eight commonest colours (32 steps a channel)."""
    flat: float
    """Share whose neighbours differ by at most 3 levels."""
    shading: float
    """Share off the background that is neither flat nor within 3 pixels of a strong edge."""
    filled: float
    """Share off the background that is flat."""
    straight: float
    """Share of edge pixels in exactly horizontal or vertical runs of 24 and more."""
    glyphs: float
    """Specks of the size of letters, for each 10,000 pixels."""
    background: float
    """Share within 24 levels of the commonest luma."""
    background_luma: int
    background_tint: float
    """Median difference of the background's channels, 0-255."""
    background_exact: float
    """Share of the background whose neighbours are exactly the same."""
    background_levels: int
    """How many levels of luma make up nine tenths of the background."""
    ink: float
    """Share at least 70 levels darker than the background."""


@dataclass(frozen=True, slots=True)
class Hints:
    """What the file itself says; each is False where it says nothing."""

    exposed: bool = False
    """Metadata name an exposure: there was a shutter."""
    captured_screen: bool = False
    """Metadata call it a screenshot."""
    paper_size: bool = False
    """Pixels over resolution make a sheet of a standard size."""
    bilevel: bool = False
    """One bit a pixel, as fax machines and document scanners write."""


def traits(rgb: Pixels, luma: Pixels) -> Traits | None:
    """Measure an upright picture (height, width, 3) and its luma; None when it is too small."""
    if min(luma.shape) < SIDE_LEAST:
        return None
    spread = _spread(luma)
    mode = _mode(luma)
    away = cv2.absdiff(luma, np.full_like(luma, mode))
    ground = away <= NEAR
    flat = spread <= FLAT_STEP
    strong = np.asarray(spread >= STRONG_STEP, np.uint8)
    by_edge = cv2.dilate(strong, _square(7)) > 0
    some = rgb[::STRIDE, ::STRIDE]
    tint = channel_spread(some)[ground[::STRIDE, ::STRIDE]]
    return Traits(
        palette=_palette(some),
        flat=_share(flat),
        shading=_share(~ground & ~flat & ~by_edge),
        filled=_share(~ground & flat),
        straight=_straight(luma),
        glyphs=_glyphs(away > APART),
        background=_share(ground),
        background_luma=mode,
        background_tint=float(np.median(tint)) if tint.size else 0.0,
        background_exact=_share(spread[ground] == 0),
        background_levels=_levels(luma[ground]),
        ink=_share(luma.astype(np.int16) < mode - INK_STEP),
    )


def kind_of(seen: Traits | None, hints: Hints) -> Kind | None:
    """The kind, or None where the measures leave it open."""
    if hints.captured_screen:
        return "screenshot"
    if hints.exposed:
        return "photograph"
    if seen is None:
        return None
    if _page(seen):
        if hints.paper_size or hints.bilevel or _grainy(seen):
            return "scan"
        if seen.background_levels >= 4 and seen.background_exact < 0.75:
            return None
    if _drawn(seen):
        return _screen_or_drawing(seen)
    return "photograph" if _photographed(seen) else None


def _page(seen: Traits) -> bool:
    """Dark marks on light paper, and nothing else."""
    return (
        seen.background >= 0.8
        and seen.background_luma >= 185
        and seen.background_tint <= 32
        and 0.004 <= seen.ink <= 0.2
        and seen.shading <= 0.015
        and seen.filled <= 0.01
        and seen.glyphs >= 2.5
    )


def _grainy(seen: Traits) -> bool:
    """Paper is uneven; the white of a screen is one value, which JPEG stirs a little."""
    return seen.background_exact < 0.25 or (
        seen.background_levels >= 5 and seen.background_exact < 0.6
    )


def _drawn(seen: Traits) -> bool:
    """Few colours, in areas that are exactly flat."""
    few = seen.palette >= 0.7 and seen.flat >= 0.4 and seen.background_exact >= 0.15
    return few and seen.shading <= (0.13 if seen.glyphs >= 8 else 0.06)


def _screen_or_drawing(seen: Traits) -> Kind | None:
    if seen.glyphs >= 5 or (seen.straight >= 0.4 and seen.glyphs >= 1.5):
        return "screenshot"
    return "drawing" if seen.glyphs < 2 and seen.straight < 0.5 else None


def _photographed(seen: Traits) -> bool:
    """Many shades, or grain where there are few."""
    if seen.palette < 0.7 or seen.flat < 0.3 or seen.background_exact < 0.1:
        return True
    return seen.shading > 0.08 and seen.glyphs < 3


def _share(mask: Mask) -> float:
    return float(np.count_nonzero(mask) / max(1, mask.size))


def _square(side: int) -> Pixels:
    return np.ones((side, side), np.uint8)


def _spread(luma: Pixels) -> Pixels:
    """Largest less smallest luma among each pixel and its eight neighbours."""
    box = _square(3)
    return np.asarray(cv2.subtract(cv2.dilate(luma, box), cv2.erode(luma, box)), np.uint8)


def _mode(luma: Pixels) -> int:
    """The commonest luma, by the middle of the fullest nine levels."""
    levels = np.bincount(luma.ravel(), minlength=256)
    return int(np.convolve(levels, np.ones(9), "same").argmax())


def _levels(luma: Pixels) -> int:
    counts = np.sort(np.bincount(luma, minlength=1))[::-1]
    return int(np.searchsorted(np.cumsum(counts), 0.9 * luma.size)) + 1


def _palette(rgb: Pixels) -> float:
    found = cells(rgb)
    counts = np.bincount(found, minlength=PALETTE_CELLS)
    fullest = np.partition(counts, -PALETTE_CELLS)[-PALETTE_CELLS:]
    return float(fullest.sum() / found.size)


def _straight(luma: Pixels) -> float:
    found = total = 0
    for steps, run in (
        (cv2.absdiff(luma[1:], luma[:-1]), (1, RUN)),
        (cv2.absdiff(luma[:, 1:], luma[:, :-1]), (RUN, 1)),
    ):
        edges = (steps > EDGE_STEP).astype(np.uint8)
        total += cv2.countNonZero(edges)
        found += cv2.countNonZero(cv2.morphologyEx(edges, cv2.MORPH_OPEN, np.ones(run, np.uint8)))
    return found / max(1, total)


def _glyphs(marks: Mask) -> float:
    _, _, found, _ = cv2.connectedComponentsWithStats(marks.astype(np.uint8), connectivity=8)
    tall, wide = found[1:, cv2.CC_STAT_HEIGHT], found[1:, cv2.CC_STAT_WIDTH]
    fit = (tall >= GLYPH_TALL[0]) & (tall <= GLYPH_TALL[1]) & (wide <= GLYPH_WIDE)
    return float(np.count_nonzero(fit) * 10_000 / marks.size)
