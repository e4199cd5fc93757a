"""Pictures of each kind, drawn by a seed: screens, scanned pages, drawings; real photographs."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Pixels = npt.NDArray[np.uint8]
_WORDS = ("harbour", "letter", "light", "answer", "archive", "settings", "inbox", "message")
PHOTOGRAPHS = ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "rocket.jpg")


def photograph(name: str) -> Image.Image:
    """One of the photographs that come with scikit-image."""
    skimage = pytest.importorskip("skimage")
    path = Path(skimage.__file__).parent / "data" / name
    if not path.exists():
        pytest.skip(f"this scikit-image comes without {name}")
    return Image.open(path).convert("RGB")


def screen(seed: int) -> Image.Image:
    """A window with a bar, a list at the side and lines of text, dark for odd seeds."""
    dice = np.random.default_rng(seed)
    paper, ink = ((250, 250, 252), (35, 35, 45)) if seed % 2 == 0 else ((30, 31, 36), (220,) * 3)
    image = Image.new("RGB", (800, 600), paper)
    draw = ImageDraw.Draw(image)
    bar = tuple(int(c) for c in dice.integers(20, 160, 3))
    draw.rectangle((0, 0, 800, 40), fill=bar)
    draw.rectangle((0, 40, 160, 600), fill=tuple(max(0, c - 8) for c in paper))
    font = ImageFont.load_default(15)
    for row in range(18):
        draw.text((14, 52 + row * 30), str(dice.choice(_WORDS)), fill=ink, font=font)
        draw.text((180, 52 + row * 30), " ".join(dice.choice(_WORDS, 8)), fill=ink, font=font)
        draw.line((170, 76 + row * 30, 800, 76 + row * 30), fill=bar)
    return image


def page(seed: int) -> Image.Image:
    """A typed page as a scanner sees it: cream, uneven, soft, a little turned."""
    dice = np.random.default_rng(seed)
    ink = Image.new("L", (850, 1100), 255)
    draw = ImageDraw.Draw(ink)
    font = ImageFont.load_default(20)
    for row in range(28):
        draw.text((90, 90 + row * 32), " ".join(dice.choice(_WORDS, 8)), fill=25, font=font)
    turned = ink.rotate(dice.uniform(-1, 1), Image.Resampling.BICUBIC, fillcolor=255)
    covered = np.asarray(turned.filter(ImageFilter.GaussianBlur(0.7)), np.float64)[..., None] / 255
    paper = np.array([244.0, 241.0, 232.0]) - np.linspace(0, 9, 850)[None, :, None]
    pixels = covered * paper + (1 - covered) * 35 + dice.normal(0, 1.8, (1100, 850, 1))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def drawing(seed: int) -> Image.Image:
    """A cartoon of a few filled shapes with black outlines, or loose pen lines on white."""
    dice = np.random.default_rng(seed)
    lines = seed % 2 == 1
    colour = (255, 255, 255) if lines else tuple(int(c) for c in dice.integers(150, 256, 3))
    image = Image.new("RGB", (1600, 1200), colour)
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        x, y = dice.uniform(100, 1500), dice.uniform(100, 1100)
        if lines:
            steps = np.array([x, y]) + dice.normal(0, 50, (25, 2)).cumsum(axis=0)
            draw.line([tuple(point) for point in steps], fill=(0, 0, 0), width=5)
        else:
            fill = tuple(int(c) for c in dice.integers(0, 256, 3))
            size = dice.uniform(80, 300)
            box = (x - size, y - size, x + size, y + 0.7 * size)
            draw.ellipse(box, fill=fill, outline=(0, 0, 0), width=8)
    return image.resize((800, 600), Image.Resampling.LANCZOS)


def seen(image: Image.Image, quality: int | None = None) -> Pixels:
    """The pixels that stages get, after JPEG of this quality where one is given."""
    if quality is not None:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        image = Image.open(file)
    small = image.convert("RGB")
    small.thumbnail((512, 512), Image.Resampling.BOX)
    return np.asarray(small, np.uint8)
