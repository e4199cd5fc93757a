"""From the bytes of a file to what the model looks at."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pillow_heif
import pytest
from PIL import Image
from tests.makers.photos import FORMATS
from tests.support.models import require_torch

from caseframe.domain.errors import OverLimit, PictureError
from caseframe.scanner.limits import Limits
from caseframe.vision.pixels import Prepare

pillow_heif.register_heif_opener()

PREPARE = Prepare(384)
MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"]


def scene(width: int, height: int) -> Image.Image:
    """Smooth shapes with an edge and some noise, as photographs have."""
    y, x = np.mgrid[0:height, 0:width]
    waves = np.sin(x / width * 9) * np.cos(y / height * 5)
    channels = [np.where(x > width / 3, 90 + 80 * waves, 170 - 60 * waves * k) for k in (1, 2, 3)]
    noise = np.random.default_rng(0).normal(0, 6, (height, width, 3))
    return Image.fromarray(np.clip(np.stack(channels, 2) + noise, 0, 255).astype(np.uint8))


def saved(image: Image.Image, kind: str = "PNG", **how: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **how)
    return out.getvalue()


def processed(image: Image.Image) -> npt.NDArray[np.float64]:
    """What transformers' own processor makes of it, in steps of 8-bit pixels."""
    require_torch()
    from transformers import BlipImageProcessor  # noqa: PLC0415

    found = BlipImageProcessor(do_normalize=False, do_rescale=False)(image, return_tensors="np")
    return np.asarray(found["pixel_values"][0], dtype=np.float64).transpose(1, 2, 0)


@pytest.mark.parametrize("size", [(640, 480), (384, 384), (300, 200), (1, 1), (5, 900), (700, 40)])
def test_pixels_are_those_of_the_models_own_processor(size: tuple[int, int]) -> None:
    image = scene(*size)
    ours = PREPARE(saved(image)).astype(float)
    assert ours.shape == (384, 384, 3)
    assert np.abs(ours - processed(image)).max() <= 1


@pytest.mark.parametrize("size", [(1600, 1200), (3000, 4000), (6000, 800)])
def test_large_jpegs_are_nearly_those_of_the_processor(size: tuple[int, int]) -> None:
    data = saved(scene(*size), "JPEG", quality=90)
    ours, theirs = PREPARE(data).astype(float), processed(Image.open(io.BytesIO(data)))
    assert np.abs(ours - theirs).mean() < 1.0
    assert np.quantile(np.abs(ours - theirs), 0.99) < 6


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format(kind: str) -> None:
    assert PREPARE(saved(scene(60, 40), kind)).shape == (384, 384, 3)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_becomes_rgb(mode: str) -> None:
    image = scene(50, 30)
    data = saved(
        Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
        if mode == "I;16"
        else image.convert(mode),
        "TIFF",
    )
    made = PREPARE(data)
    assert made.shape == (384, 384, 3)
    assert made.dtype == np.uint8
    assert made.std() > 10


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = scene(64, 64)
    undone = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's own numbers of the inverse
    turned = upright.transpose(Image.Transpose(undone[orientation])) if orientation > 1 else upright
    made = PREPARE(saved(turned, "PNG", exif=exif)).astype(int)
    assert np.abs(made - PREPARE(saved(upright)).astype(int)).max() <= 1


def test_the_first_frame_of_an_animation() -> None:
    red, blue = (Image.new("RGB", (20, 20), name) for name in ("red", "blue"))
    made = PREPARE(saved(red, "GIF", save_all=True, append_images=[blue], duration=50))
    assert made[..., 0].min() > 200
    assert made[..., 2].max() < 50


def test_a_panorama_keeps_its_shorter_side() -> None:
    strip = Image.new("RGB", (20_000, 300), "white")
    strip.paste("black", (0, 150, 20_000, 300))
    made = PREPARE(saved(strip, "JPEG"))
    assert made[:180].min() > 240
    assert made[204:].max() < 15


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"hello",
        b"%PDF-1.7",
        b"<svg/>",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"GIF89a",
    ],
)
def test_what_is_no_picture_is_refused_with_the_reason(data: bytes) -> None:
    with pytest.raises(PictureError) as caught:
        PREPARE(data)
    assert str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"])
@pytest.mark.parametrize("part", [0.5, 0.9, 0.99])
def test_a_cut_picture_is_never_silently_good(kind: str, part: float) -> None:
    whole = saved(scene(200, 150), kind)
    with pytest.raises(PictureError, match=r"corrupt: |decoded|header|not "):
        PREPARE(whole[: int(len(whole) * part)])


def test_one_that_decodes_in_part_counts_as_corrupt() -> None:
    whole = saved(scene(200, 150), "JPEG")
    with pytest.raises(PictureError, match=r"^corrupt: "):
        PREPARE(whole[: len(whole) // 2])


def test_limits_hold() -> None:
    small = replace(PREPARE, limits=Limits(max_pixels=100))
    with pytest.raises(OverLimit, match="million pixels"):
        small(saved(scene(20, 20)))
    assert small(saved(scene(10, 10))).shape == (384, 384, 3)


def test_a_file_over_the_limit_is_not_decoded() -> None:
    small = replace(PREPARE, limits=Limits(max_file_bytes=100))
    with pytest.raises(OverLimit, match="bytes"):
        small(saved(scene(20, 20)))
