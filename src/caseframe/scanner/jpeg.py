"""The header of a JPEG file: the segments before the picture data, and nothing else.

Pillow reads these too, at twenty times the cost; for most collections that is a tenth of the whole
ingest. What is odd here goes to Pillow all the same.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

# ITU-T T.81, table B.1: frames that libjpeg-turbo decodes; not the table segments among them.
_FRAMES = {0xC0, 0xC1, 0xC2}
_OTHER_FRAMES = {0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_SCAN, _END = 0xDA, 0xD9
_CM = 2.54
_SHORT, _RATIONAL = 3, 5
_ORIENTATION, _X_RESOLUTION, _UNIT = 0x0112, 0x011A, 0x0128


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """Stored width and height in pixels, before the orientation is undone."""

    width: int
    height: int
    components: int
    bits: int
    progressive: bool
    orientation: int
    resolution_dpi: float | None


def read_header(data: bytes) -> JpegHeader | None:
    """The header of a baseline or progressive JPEG; None for any other or a malformed one."""
    try:
        return _read(data)
    except (struct.error, IndexError):
        return None


def _read(data: bytes) -> JpegHeader | None:
    at = 2
    frame: tuple[int, int, int, int, int] | None = None
    density: float | None = None
    exif: dict[int, float] = {}
    while True:
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # fill bytes may precede a marker
            at += 1
            continue
        if marker == _SCAN:
            return _header(frame, density, exif)
        if marker in _OTHER_FRAMES or marker == _END or marker < 0xC0:
            return None
        (length,) = struct.unpack_from(">H", data, at + 2)
        body = at + 4
        if marker in _FRAMES and frame is None:
            frame = (marker, *struct.unpack_from(">BHHB", data, body))
        elif marker == 0xE0 and data[body : body + 5] == b"JFIF\0":
            density = _jfif_density(data, body)
        elif marker == 0xE1 and data[body : body + 6] == b"Exif\0\0" and not exif:
            exif = _exif(data[body + 6 : at + 2 + length])
        at += 2 + length


def _header(
    frame: tuple[int, int, int, int, int] | None, density: float | None, exif: dict[int, float]
) -> JpegHeader | None:
    if frame is None:
        return None
    marker, bits, height, width, components = frame
    if not width or not height or components not in {1, 3} or bits != 8:
        return None
    orientation = int(exif.get(_ORIENTATION, 1))
    return JpegHeader(
        width,
        height,
        components,
        bits,
        marker == 0xC2,
        orientation if 1 <= orientation <= 8 else 1,
        density if density is not None else _exif_density(exif),
    )


def _jfif_density(data: bytes, body: int) -> float | None:
    """Pixels an inch (JFIF 1.02: unit 1 is dots an inch, 2 dots a centimetre, 0 an aspect)."""
    unit, across = struct.unpack_from(">BH", data, body + 7)
    return {1: float(across), 2: across * _CM}.get(unit)


def _exif_density(exif: dict[int, float]) -> float | None:
    across = exif.get(_X_RESOLUTION)
    return None if across is None else across * (_CM if exif.get(_UNIT) == 3 else 1.0)


def _exif(tiff: bytes) -> dict[int, float]:
    """Orientation and resolution of the first directory; nothing where it cannot be read."""
    found: dict[int, float] = {}
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return found
    try:
        (at,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, at)
        for index in range(min(count, 256)):
            tag, kind, number = struct.unpack_from(order + "HHI", tiff, at + 2 + 12 * index)
            place = at + 10 + 12 * index
            if tag in {_ORIENTATION, _UNIT} and kind == _SHORT and number == 1:
                (found[tag],) = struct.unpack_from(order + "H", tiff, place)
            elif tag == _X_RESOLUTION and kind == _RATIONAL and number == 1:
                (place,) = struct.unpack_from(order + "I", tiff, place)
                above, below = struct.unpack_from(order + "II", tiff, place)
                if below:
                    found[tag] = above / below
    except struct.error:
        return found
    return found
