"""One picture in memory: header, and upright pixels at the size that is asked for.

JPEG goes through libjpeg-turbo (simplejpeg), which decodes at a fraction of the size for a
fraction of the work and reports data that it had to guess; everything else through Pillow.
"""

from __future__ import annotations

import warnings
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, ImageFile

from caseframe.domain.errors import OverLimit, PictureError
from caseframe.domain.evidence import MOST_PIXELS_A_SIDE, PictureInfo, Thumbnail
from caseframe.scanner.integrity import damage, png_chunk
from caseframe.scanner.jpeg import JpegHeader, read_header
from caseframe.scanner.limits import Limits
from caseframe.scanner.opening import DECODE_ERRORS, damaged_frame, opened, said
from caseframe.scanner.sniff import JPEG, PNG, TIFF, Kind

Pixels = npt.NDArray[np.uint8]

cv2.setNumThreads(1)

_COLORSPACES = {
    "1": "Gray", "L": "Gray", "LA": "Gray", "I": "Gray", "F": "Gray",
    "I;16": "Gray", "I;16B": "Gray", "I;16L": "Gray",
    "RGB": "sRGB", "RGBA": "sRGB", "RGBX": "sRGB", "P": "sRGB", "PA": "sRGB",
    "CMYK": "CMYK", "YCbCr": "YCbCr", "LAB": "Lab", "HSV": "HSV",
}  # fmt: skip
_ORIENTATION = 0x0112
# Pillow turns these upright itself while it opens or loads them.
_TURNED_BY_PILLOW = (TIFF,)
# libwebp needs 15 bytes a pixel where others need 3 or 4 (measured on lossless bombs).
_WEIGHT = {"WebP": 3}
# Progressive JPEGs hold about 10 scans; every scan passes over all coefficients of the picture.
_SCANS = 50
_THUMBNAIL_QUALITY = 80


class Picture:
    """A `Frame` over the bytes of one file. Each part is made when first asked for, once.

    `damage` tells, after pixels were asked for, why the picture counts as corrupt; None for a
    sound one. Not for use by several threads at once.
    """

    def __init__(self, data: bytes, kind: Kind, limits: Limits) -> None:
        self._data = data
        self._kind = kind
        self._limits = limits
        self._fitted: dict[int, Pixels] = {}
        self._reduced: dict[int, Pixels] = {}
        self._failure: PictureError | None = None
        self._no_header: str | None = None
        self.damage: str | None = None

    @property
    def data(self) -> bytes:
        """The whole file."""
        return self._data

    def give_up_header(self, reason: str | None) -> None:
        """From now on neither header nor pixels are tried (they killed a worker); None: nothing.

        A worker that ended, or had no time left, says nothing of the content: OverLimit.
        """
        self._no_header = reason
        self.give_up_pixels(reason)

    def give_up_pixels(self, reason: str | None) -> None:
        """From now on `pixels` raises OverLimit with this reason; None: nothing."""
        if reason is not None:
            self._failure = OverLimit(reason)

    @cached_property
    def _header(self) -> Image.Image:
        if self._no_header is not None:
            raise OverLimit(self._no_header)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore"
                )  # remarks on odd metadata; the exif stage keeps them
                return opened(self._data, self._kind)
        except DECODE_ERRORS as error:
            if "too large" in str(error):  # Pillow's bound on compressed text and profiles in PNG
                raise OverLimit(f"its header holds a decompression bomb: {said(error)}") from error
            raise PictureError(f"the header cannot be read: {said(error)}") from error

    @cached_property
    def _jpeg(self) -> JpegHeader | None:
        return read_header(self._data) if self._kind is JPEG else None

    @cached_property
    def info(self) -> PictureInfo:
        """What the header says, width and height upright. Raises PictureError."""
        if self._no_header is None and (jpeg := self._jpeg) is not None:
            return _jpeg_info(jpeg)
        image = self._header
        orientation = self._orientation()
        turned = orientation >= 5 and self._kind not in _TURNED_BY_PILLOW
        width, height = image.size[::-1] if turned else image.size
        return PictureInfo(
            mime=self._kind.mime,
            format=self._kind.format,
            width=width,
            height=height,
            orientation=orientation,
            colorspace=_COLORSPACES.get(image.mode, image.mode),
            bit_depth=_bit_depth(image, self._data),
            resolution_dpi=_resolution(image),
        )

    def _orientation(self) -> int:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                value = self._exif().get(_ORIENTATION, 1)
        except DECODE_ERRORS:
            return 1  # the exif stage reports metadata that cannot be read
        return value if isinstance(value, int) and 1 <= value <= 8 else 1

    def _exif(self) -> Image.Exif:
        if self._kind is not PNG:
            return self._header.getexif()
        exif = Image.Exif()  # Pillow would decode the whole PNG in search of a late chunk
        if (chunk := png_chunk(self._data, b"eXIf")) is not None:
            exif.load(chunk)
        return exif

    def check_limits(self) -> None:
        """Raise OverLimit when decoding would exceed the limits; reads only the header."""
        info = self.info
        if max(info.width, info.height) > MOST_PIXELS_A_SIDE:
            raise OverLimit(
                f"{info.width} x {info.height}: no side may have more than "
                f"{MOST_PIXELS_A_SIDE} pixels"
            )
        pixels = info.width * info.height
        limit = self._limits.max_pixels // _WEIGHT.get(info.format, 1)
        if pixels > limit:
            raise OverLimit(
                f"{info.width} x {info.height} is {pixels / 1e6:,.0f} million pixels, over the "
                f"limit of {limit / 1e6:,.0f} million for {info.format} (setting max_pixels)"
            )
        if self._kind is JPEG and (self._jpeg is None or self._jpeg.progressive):
            scans = self._data.count(b"\xff\xda")
            if scans * pixels > self._limits.max_pixels * _SCANS:
                raise OverLimit(f"a JPEG of {scans:,} scans, each as much work as a whole picture")

    def pixels(self, max_side: int) -> Pixels:
        """The upright picture, 8-bit RGB, (height, width, 3), longer side at most `max_side`.

        Raises PictureError when nothing can be decoded, OverLimit before trying too much.
        """
        if self._failure is not None:
            raise self._failure
        if max_side not in self._fitted:
            try:
                self._fitted[max_side] = self._decode(max_side)
            except PictureError as error:
                self._failure = error
                raise
        return self._fitted[max_side]

    def _decode(self, max_side: int) -> Pixels:
        self.check_limits()
        if (
            self._jpeg is not None
            and (scaled := self._decode_jpeg(self._jpeg, max_side)) is not None
        ):
            fitted = _fit(scaled, self._wanted(max_side))
        else:
            # Reduced before it is converted: a picture at the limit would not fit in memory twice.
            factor = max(1, max(self.info.width, self.info.height) // max(max_side, _LEAST_SIDE))
            if factor not in self._reduced:
                self._reduced[factor] = self._decode_with_pillow(factor)
            fitted = _fit(self._reduced[factor], self._wanted(max_side))
        turn = 1 if self._kind in _TURNED_BY_PILLOW else self.info.orientation
        upright = np.ascontiguousarray(_upright(fitted, turn))
        upright.flags.writeable = False
        return upright

    def _wanted(self, max_side: int) -> tuple[int, int]:
        """(width, height) before the picture is turned, by the header and so exact at any scale."""
        width, height = self.info.width, self.info.height
        if self.info.orientation >= 5 and self._kind not in _TURNED_BY_PILLOW:
            width, height = height, width
        scale = min(1.0, max_side / max(width, height))
        return max(1, round(width * scale)), max(1, round(height * scale))

    def _decode_jpeg(self, header: JpegHeader, max_side: int) -> Pixels | None:
        """Decoded at the smallest scale not below `max_side`; None where Pillow must do it."""
        scale = min(1.0, max_side / max(header.width, header.height))
        wanted = {
            "min_width": int(header.width * scale) or 1,
            "min_height": int(header.height * scale) or 1,
        }
        decoded: Pixels
        try:
            decoded = simplejpeg.decode_jpeg(self._data, min_factor=1, **wanted)
        except ValueError as error:
            self.damage = said(error)
        else:
            return decoded
        try:
            decoded = simplejpeg.decode_jpeg(self._data, min_factor=1, strict=False, **wanted)
        except ValueError:
            return None  # arithmetic coding, 12 bits…: Pillow may know it, and says so if not
        return decoded

    def _decode_with_pillow(self, factor: int) -> Pixels:
        self.damage = damage(self._kind.mime, self._data)
        image = self._loaded()
        return _to_rgb(image.reduce(factor) if factor > 1 and image.mode in _REDUCIBLE else image)

    def _loaded(self) -> Image.Image:
        try:
            image = self._load(lenient=False)
        except DECODE_ERRORS as error:
            self.damage = self.damage or said(error)
        else:
            self.damage = self.damage or damaged_frame(
                self._data, self._kind, self._limits.max_pixels
            )
            return image
        try:
            return self._load(lenient=True)
        except DECODE_ERRORS as error:
            raise PictureError(f"nothing can be decoded: {said(error)}") from error

    def _load(self, *, lenient: bool) -> Image.Image:
        ImageFile.LOAD_TRUNCATED_IMAGES = lenient
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                image = opened(self._data, self._kind)
                image.load()
            return image
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = False

    def thumbnail(self) -> Thumbnail:
        """The upright picture within the thumbnail size, as JPEG. Raises PictureError."""
        small = self.pixels(self._limits.thumbnail_side)
        data = jpeg(small, _THUMBNAIL_QUALITY)
        return Thumbnail("image/jpeg", small.shape[1], small.shape[0], data)


def jpeg(pixels: Pixels, quality: int = 90) -> bytes:
    """Pixels as a JPEG file without any metadata."""
    made: bytes = simplejpeg.encode_jpeg(
        pixels, quality=quality, colorsubsampling="420", fastdct=False
    )
    return made


_LEAST_SIDE = 2048  # what is asked for in smaller sizes is made of one decode
_REDUCIBLE = {"L", "LA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "La", "RGBa"}


def _to_rgb(image: Image.Image) -> Pixels:
    if image.mode.startswith(("I", "F")):
        return _stretched(np.asarray(image))
    if image.mode in {"LA", "PA", "RGBA", "La", "RGBa"} or "transparency" in image.info:
        with_alpha = image.convert("RGBA")
        paper = Image.new("RGBA", with_alpha.size, (255, 255, 255, 255))
        image = Image.alpha_composite(paper, with_alpha)
    return np.asarray(image.convert("RGB"))


def _stretched(values: npt.NDArray[Any]) -> Pixels:
    """More than 8 bits a channel: 16-bit integers lose their low byte, others span their range."""
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:  # in either order of bytes
        grey = (values >> 8).astype(np.uint8)
    else:
        wide = np.nan_to_num(values.astype(np.float64), posinf=0.0, neginf=0.0)
        low, high = float(wide.min()), float(wide.max())
        full = 65535.0 if low >= 0 and 255 < high <= 65535 and values.dtype.kind == "i" else high
        low = 0.0 if full != high else low
        grey = ((wide - low) * (255.0 / max(full - low, 1e-12))).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _fit(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    height, width = pixels.shape[:2]
    if (width, height) == size:
        return pixels
    # Averaging areas costs five times as much and shows only when less than half is kept.
    method = cv2.INTER_LINEAR if max(width, height) < 2 * max(size) else cv2.INTER_AREA
    return np.asarray(cv2.resize(pixels, size, interpolation=method), dtype=np.uint8)


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo the EXIF orientation (EXIF 2.32, tag 0x0112) by mirroring and quarter turns."""
    turned = {
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.swapaxes(0, 1),
        6: lambda p: np.rot90(p, -1),
        7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
        8: lambda p: np.rot90(p, 1),
    }
    return turned[orientation](pixels) if orientation in turned else pixels


def _jpeg_info(header: JpegHeader) -> PictureInfo:
    across, down = header.width, header.height
    width, height = (across, down) if header.orientation < 5 else (down, across)
    return PictureInfo(
        mime=JPEG.mime,
        format=JPEG.format,
        width=width,
        height=height,
        orientation=header.orientation,
        colorspace="Gray" if header.components == 1 else "sRGB",
        bit_depth=header.bits,
        resolution_dpi=_plausible(header.resolution_dpi or 0.0),
    )


def _bit_depth(image: Image.Image, data: bytes) -> int | None:
    if image.format == "PNG":
        return data[24]  # IHDR is always first: width, height, then the bit depth
    if image.format == "AVIF":
        return _av1_depth(data)
    if image.format == "TIFF":
        bits = image.tag_v2.get(258, (1,))  # type: ignore[attr-defined]
        return int(bits[0] if isinstance(bits, tuple) else bits)
    if "bit_depth" in image.info:
        return int(image.info["bit_depth"])
    return 1 if image.mode == "1" else 16 if image.mode.startswith("I;16") else 8


def _av1_depth(data: bytes) -> int | None:
    """Bits a channel by the decoder's configuration (AV1 in ISOBMFF, 2.3.3); None without one."""
    at = data.find(b"av1C")
    if at < 0 or at + 7 > len(data):
        return None
    high, twelve = data[at + 6] & 0x40, data[at + 6] & 0x20
    return (12 if twelve else 10) if high else 8


def _resolution(image: Image.Image) -> float | None:
    dpi = image.info.get("dpi")
    try:
        across = float(dpi[0]) if dpi else 0.0
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return _plausible(across)


def _plausible(across: float) -> float | None:
    # Not a number, infinite, or the "1 x 1" that some programs write for "unknown".
    return round(across, 2) if 1 < across < 1e6 else None
