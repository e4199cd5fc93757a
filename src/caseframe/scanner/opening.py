"""Opening pictures by Pillow, and what its decoders say of damaged ones."""

from __future__ import annotations

import io
import struct
import warnings
from functools import cache

from PIL import Image, UnidentifiedImageError

from caseframe.domain.text import one_line
from caseframe.scanner.sniff import GIF, PNG, TIFF, WEBP, Kind

Image.MAX_IMAGE_PIXELS = None  # our own limit is checked on the header, before anything is decoded

_FORMATS = {
    "JPEG": ("JPEG", "MPO"),
    "HEIC": ("HEIF",),
}
_SEVERAL_FRAMES = (GIF, PNG, TIFF, WEBP)
# What is behind these is not decoded: little data can hold frames without end.
_MOST_FRAMES = 64
# What Pillow's decoders raise on malformed data, by their documentation and by trial.
DECODE_ERRORS = (
    OSError, ValueError, SyntaxError, EOFError, TypeError, KeyError, IndexError, AttributeError,
    OverflowError, ZeroDivisionError, RuntimeError, struct.error, UnidentifiedImageError,
    Image.DecompressionBombError,
)  # fmt: skip


def opened(data: bytes, kind: Kind) -> Image.Image:
    """The picture by Pillow, which may be no format but the one that its first bytes say."""
    if kind.format == "HEIC":
        _learn_heif()
    return Image.open(io.BytesIO(data), formats=_FORMATS.get(kind.format, (kind.format.upper(),)))


@cache
def _learn_heif() -> None:
    import pillow_heif  # noqa: PLC0415 - slow to load, and most folders hold no such picture

    pillow_heif.register_heif_opener(thumbnails=False)


def said(error: Exception) -> str:
    """What a decoder says, in one line."""
    if isinstance(error, UnidentifiedImageError):  # its own words hold a memory address
        return "it is not what its first bytes say"
    return one_line(str(error) or type(error).__name__)


def damaged_frame(data: bytes, kind: Kind, room: int) -> str | None:
    """What is wrong with the first damaged frame or page behind the first one; None for nothing.

    Looks at 64 frames, and at `room` pixels together.
    """
    if kind not in _SEVERAL_FRAMES:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with opened(data, kind) as image:
            return _first_damaged(image, room)


def _first_damaged(image: Image.Image, room: int) -> str | None:
    for number in range(1, _MOST_FRAMES):
        try:
            if not _turned_to(image, number):
                break
            room -= image.width * image.height
            if room < 0:
                break
            image.load()
        except DECODE_ERRORS as error:
            return f"frame {number + 1}: {said(error)}"
        except MemoryError:
            break  # the first is held besides, and what shows of the picture is sound
    return None


def _turned_to(image: Image.Image, number: int) -> bool:
    """Whether there is such a frame; if so, the image stands there."""
    try:
        image.seek(number)
    except EOFError:
        return False
    return True
