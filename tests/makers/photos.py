"""Good pictures, made quickly: the material from which the hostile files are made."""

from __future__ import annotations

import io
from collections.abc import Mapping

import exiv2
import numpy as np
import pillow_heif
from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "HEIF", "AVIF")
SUFFIXES = {
    "JPEG": "jpg",
    "PNG": "png",
    "WEBP": "webp",
    "TIFF": "tif",
    "GIF": "gif",
    "BMP": "bmp",
    "HEIF": "heic",
    "AVIF": "avif",
}

_SHORT = {
    "Make": "Exif.Image.Make",
    "Model": "Exif.Image.Model",
    "Software": "Exif.Image.Software",
    "Artist": "Exif.Image.Artist",
    "Copyright": "Exif.Image.Copyright",
    "ImageDescription": "Exif.Image.ImageDescription",
    "Orientation": "Exif.Image.Orientation",
    "DateTime": "Exif.Image.DateTime",
    "XPTitle": "Exif.Image.XPTitle",
    "XPComment": "Exif.Image.XPComment",
    "XPAuthor": "Exif.Image.XPAuthor",
    "XPKeywords": "Exif.Image.XPKeywords",
}
"""EXIF tags of the main directory by their own names; other short names are taken for Photo's."""


def scene(width: int, height: int, seed: int) -> Image.Image:
    """A picture like no other seed's: broad patches of colour, an edge or two, and grain."""
    dice = np.random.default_rng(seed)
    patches = dice.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    broad = Image.fromarray(patches).resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(broad, np.int16).copy()
    top, left = int(dice.integers(0, height)), int(dice.integers(0, width))
    pixels[top:, left:] = 255 - pixels[top:, left:]
    pixels += dice.integers(-6, 7, pixels.shape, dtype=np.int16)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def encoded(picture: Image.Image, kind: str = "JPEG", exif: bytes = b"") -> bytes:
    """A picture as a file of one of `FORMATS`, always the same bytes for the same pixels."""
    file = io.BytesIO()
    options: dict[str, object] = {"exif": exif} if exif else {}
    if kind == "HEIF":
        pillow_heif.from_pillow(picture).save(file, quality=50, **options)
        return file.getvalue()
    if kind == "AVIF":
        options |= {"quality": 50, "speed": 10, "max_threads": 1}
    picture.save(file, kind, **options)
    return file.getvalue()


def photo(
    width: int = 320,
    height: int = 240,
    seed: int = 0,
    *,
    format: str = "JPEG",  # noqa: A002 - Pillow's own word for it
    exif: bytes = b"",
) -> bytes:
    """A distinct picture for each seed; `exif` is a ready-made block (GIF and BMP take none)."""
    return encoded(scene(width, height, seed), format, exif)


def progressive(width: int = 320, height: int = 240, seed: int = 0, mode: str = "RGB") -> bytes:
    """A progressive JPEG."""
    file = io.BytesIO()
    scene(width, height, seed).convert(mode).save(file, "JPEG", progressive=True)
    return file.getvalue()


def animation(
    width: int = 96,
    height: int = 64,
    frames: int = 6,
    *,
    format: str = "GIF",  # noqa: A002 - Pillow's own word for it
) -> bytes:
    """Several pictures in one file: GIF, PNG, WebP, TIFF or AVIF."""
    first, *others = (scene(width, height, seed) for seed in range(frames))
    file = io.BytesIO()
    more = {"compression": "tiff_adobe_deflate"} if format == "TIFF" else {}
    first.save(file, format, save_all=True, append_images=others, **more)
    return file.getvalue()


def described(
    data: bytes,
    exif: Mapping[str, str] | None = None,
    iptc: Mapping[str, str] | None = None,
    xmp: Mapping[str, str] | None = None,
) -> bytes:
    """The same picture (JPEG, PNG, WebP, TIFF) with metadata by Exiv2's keys."""
    image = exiv2.ImageFactory.open(data)
    image.readMetadata()
    for target, tags in (
        (image.exifData(), exif),
        (image.iptcData(), iptc),
        (image.xmpData(), xmp),
    ):
        for key, value in (tags or {}).items():
            target[key] = value
    image.writeMetadata()
    return content(image)


def content(image: exiv2.Image) -> bytes:
    """The bytes of a picture that Exiv2 holds in memory."""
    store = image.io()
    store.open()
    try:
        return bytes(store.mmap())
    finally:
        store.munmap()
        store.close()


def jpeg_with_exif(size: tuple[int, int] = (320, 240), seed: int = 0, /, **tags: str) -> bytes:
    """A JPEG with EXIF tags, by short name (`Make="Nikon"`) or by Exiv2's key."""
    keys = {
        name if "." in name else _SHORT.get(name, f"Exif.Photo.{name}"): value
        for name, value in tags.items()
    }
    return described(photo(*size, seed), exif=keys)


def gps_tags(latitude: float, longitude: float) -> dict[str, str]:
    """GPS tags by Exiv2's keys, for `jpeg_with_exif(**gps_tags(…))`; any number goes."""

    def parts(value: float) -> str:
        total = round(abs(value) * 360_000)
        return f"{total // 360_000}/1 {total // 6000 % 60}/1 {total % 6000}/100"

    return {
        "Exif.GPSInfo.GPSLatitudeRef": "S" if latitude < 0 else "N",
        "Exif.GPSInfo.GPSLatitude": parts(latitude),
        "Exif.GPSInfo.GPSLongitudeRef": "W" if longitude < 0 else "E",
        "Exif.GPSInfo.GPSLongitude": parts(longitude),
    }
