"""Pictures with a face: NASA's portrait of Eileen Collins, public domain, from scikit-image."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageOps

from caseframe.demo.errors import DemoError
from caseframe.demo.scenes import alps, lavender, sunset
from caseframe.demo.views import lighthouse


@lru_cache(maxsize=1)
def portrait() -> Image.Image:
    """The portrait, 512 x 512."""
    try:
        from skimage.data import astronaut  # noqa: PLC0415 - an extra that the product lacks
    except ImportError as error:
        raise DemoError(
            'the demo\'s portrait comes with scikit-image: pip install "caseframe[demo]"'
        ) from error
    pixels = np.asarray(astronaut(), dtype=np.uint8)
    return Image.fromarray(pixels)


def mirrored() -> Image.Image:
    """The portrait, left and right exchanged."""
    return ImageOps.mirror(portrait())


def wide() -> Image.Image:
    """The portrait small at the right of a wide, quiet wall."""
    wall = Image.linear_gradient("L").resize((1600, 512)).point(lambda light: 150 + light // 4)
    canvas = Image.merge("RGB", (wall, wall, wall.point(lambda light: min(255, light + 14))))
    canvas.paste(portrait(), (1000, 0))
    return canvas


def collage() -> Image.Image:
    """An album page of four prints, one of them the portrait."""
    page = Image.new("RGB", (1120, 860), (44, 40, 38))
    prints = (
        lavender(51, (480, 360)),
        portrait(),
        sunset(52, (480, 360)),
        lighthouse(53, (480, 360)),
    )
    for place, (print_, turn) in enumerate(zip(prints, (-2, 3, 2, -3), strict=True)):
        framed = ImageOps.expand(
            ImageOps.fit(print_, (440, 330), centering=(0.5, 0)), 14, (246, 244, 238)
        )
        mask = Image.new("L", framed.size, 255).rotate(turn, Image.Resampling.BICUBIC, expand=True)
        spot = (40 + (place % 2) * 540, 40 + (place // 2) * 410)
        page.paste(framed.rotate(turn, Image.Resampling.BICUBIC, expand=True), spot, mask)
    return page


def group() -> Image.Image:
    """Two prints of the portrait before mountains: two faces in one picture, of two sizes."""
    canvas = alps(54, (1000, 640))
    large = portrait().crop((80, 0, 400, 400))
    small = mirrored().crop((120, 0, 420, 380)).resize((210, 266))
    canvas.paste(ImageOps.expand(large, 10, (246, 244, 238)), (120, 190))
    canvas.paste(ImageOps.expand(small, 10, (246, 244, 238)), (640, 324))
    return canvas
