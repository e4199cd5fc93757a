"""Pictures to files, in every format and variant that the collection shows."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image, ImageEnhance, ImageOps

from caseframe.demo.metadata import Shot, describe, exif_block

Encoder = Callable[[Image.Image, Shot], bytes]

_STORED_TURN = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How an upright picture must be stored so that its EXIF orientation turns it upright again."""


def _saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def jpeg(picture: Image.Image, shot: Shot) -> bytes:
    """Baseline JPEG; stored turned where the shot has an orientation."""
    turn = _STORED_TURN.get(shot.orientation or 1)
    stored = picture.transpose(turn) if turn is not None else picture
    return describe(_saved(stored, "JPEG", quality=84), shot)


def jpeg_poor(picture: Image.Image, shot: Shot) -> bytes:
    """The same picture compressed hard."""
    return describe(_saved(picture, "JPEG", quality=35), shot)


def jpeg_small(picture: Image.Image, shot: Shot) -> bytes:
    """The same picture at half its size."""
    return describe(_saved(ImageOps.scale(picture, 0.5), "JPEG", quality=80), shot)


def jpeg_bright(picture: Image.Image, shot: Shot) -> bytes:
    """The same picture slightly brightened."""
    return describe(
        _saved(ImageEnhance.Brightness(picture).enhance(1.08), "JPEG", quality=84), shot
    )


def jpeg_progressive(picture: Image.Image, shot: Shot) -> bytes:
    """JPEG that arrives in several scans."""
    return describe(_saved(picture, "JPEG", quality=82, progressive=True), shot)


def jpeg_grey(picture: Image.Image, shot: Shot) -> bytes:
    """JPEG with one channel."""
    return describe(_saved(ImageOps.grayscale(picture), "JPEG", quality=82), shot)


def jpeg_cmyk(picture: Image.Image, shot: Shot) -> bytes:
    """JPEG for a printing press, four channels."""
    return describe(_saved(picture.convert("CMYK"), "JPEG", quality=82), shot)


def png(picture: Image.Image, shot: Shot) -> bytes:
    """PNG, 8 bits a channel."""
    return describe(_saved(picture, "PNG"), shot)


def png_palette(picture: Image.Image, shot: Shot) -> bytes:
    """PNG with 64 colours."""
    few = picture.resize((480, 320)).quantize(64, Image.Quantize.MEDIANCUT)
    return describe(_saved(few, "PNG"), shot)


def png_alpha(picture: Image.Image, shot: Shot) -> bytes:
    """PNG whose rim is transparent."""
    small = picture.resize((360, 360)).convert("RGBA")
    small.putalpha(ImageOps.invert(Image.radial_gradient("L")).resize(small.size))
    return describe(_saved(small, "PNG"), shot)


def png_deep(picture: Image.Image, shot: Shot) -> bytes:
    """Grey PNG, 16 bits a channel."""
    grey = np.asarray(ImageOps.grayscale(picture.resize((360, 240))), np.uint16) * 257
    return describe(_saved(Image.fromarray(grey), "PNG"), shot)


def webp(picture: Image.Image, shot: Shot) -> bytes:
    """WebP, lossy."""
    return describe(_saved(picture, "WEBP", quality=80), shot)


def tiff(picture: Image.Image, shot: Shot) -> bytes:
    """TIFF, deflated."""
    small = picture.resize((480, 320))
    return describe(_saved(small, "TIFF", compression="tiff_adobe_deflate"), shot)


def tiff_pages(picture: Image.Image, _: Shot) -> bytes:
    """TIFF of three pages: the left, the middle and the right of the picture."""
    third = picture.width // 3
    pages = [picture.crop((third * k, 0, third * (k + 1), picture.height)) for k in range(3)]
    small = [ImageOps.grayscale(page).resize((240, 360)) for page in pages]
    options = {"save_all": True, "append_images": small[1:], "compression": "tiff_adobe_deflate"}
    return _saved(small[0], "TIFF", **options)


def gif(picture: Image.Image, _: Shot) -> bytes:
    """Animated GIF: the camera pans over the picture in eight frames."""
    small = picture.resize((360, 240))
    frames = [small.crop((k * 15, 30, k * 15 + 240, 190)).quantize(64) for k in range(8)]
    return _saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=120, loop=0)


def bmp(picture: Image.Image, _: Shot) -> bytes:
    """BMP, which has no place for metadata."""
    return _saved(picture.resize((360, 240)), "BMP")


def heic(picture: Image.Image, shot: Shot) -> bytes:
    """HEIC as telephones write it."""
    file = io.BytesIO()
    heif = pillow_heif.from_pillow(picture.resize((720, 480)))
    heif.save(file, quality=60, exif=exif_block(shot))
    return file.getvalue()


def avif(picture: Image.Image, shot: Shot) -> bytes:
    """AVIF; one thread, so that the bytes are the same on every machine."""
    small = picture.resize((720, 480))
    return _saved(small, "AVIF", quality=62, speed=9, max_threads=1, exif=exif_block(shot))
