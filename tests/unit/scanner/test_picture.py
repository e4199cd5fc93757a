"""Pixels: upright, RGB, at the size asked for, from every kind of picture."""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin
from tests import makers

from caseframe.domain.errors import PictureError
from caseframe.scanner import opening
from caseframe.scanner import picture as pictures
from caseframe.scanner.jpeg import read_header
from caseframe.scanner.limits import Limits
from caseframe.scanner.picture import Picture
from caseframe.scanner.sniff import sniff


def picture(data: bytes) -> Picture:
    return Picture(data, sniff(data), Limits())


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def corners(orientation: int) -> bytes:
    """A picture that is red at the top left when upright, stored under `orientation`."""
    upright = np.full((40, 60, 3), 255, np.uint8)
    upright[:20, :30] = (255, 0, 0)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(Image.fromarray(np.ascontiguousarray(stored)), "JPEG", exif=exif, quality=95)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_out_upright(orientation: int) -> None:
    made = picture(corners(orientation))
    assert (made.info.width, made.info.height) == (60, 40)
    assert made.info.orientation == orientation
    pixels = made.pixels(60)
    assert pixels.shape == (40, 60, 3)
    red, rest = pixels[5, 5], pixels[30, 45]
    assert red[0] > 200
    assert red[1] < 60
    assert rest.min() > 200


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WebP"])
def test_orientation_in_other_formats(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    made = picture(encoded(Image.new("RGB", (60, 40), "red"), kind.upper(), exif=exif))
    assert (made.info.width, made.info.height) == (40, 60)
    assert made.pixels(100).shape == (60, 40, 3)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("1", "PNG"), ("L", "PNG"), ("LA", "PNG"), ("P", "PNG"), ("RGBA", "PNG"), ("I;16", "PNG"),
     ("CMYK", "JPEG"), ("L", "JPEG"), ("YCbCr", "JPEG"), ("F", "TIFF"), ("I;16", "TIFF"),
     ("CMYK", "TIFF"), ("LAB", "TIFF"), ("P", "GIF"), ("RGBA", "WEBP"), ("1", "BMP")],
)  # fmt: skip
def test_every_mode_becomes_rgb(mode: str, kind: str) -> None:
    if mode in {"I;16", "F"}:
        values = np.linspace(0, 65535, 64 * 48).reshape(48, 64)
        image = Image.fromarray(values.astype(np.uint16 if mode == "I;16" else np.float32))
    else:
        image = makers.scene(64, 48, 3).convert(mode)
    pixels = picture(encoded(image, kind)).pixels(256)
    assert pixels.shape == (48, 64, 3)
    assert pixels.dtype == np.uint8
    assert int(pixels.max()) - int(pixels.min()) > 100


def test_transparent_pixels_lie_on_white() -> None:
    made = picture(encoded(Image.new("RGBA", (10, 10), (0, 0, 0, 0)), "PNG"))
    assert made.pixels(10).min() == 255


@pytest.mark.parametrize("side", [1, 10, 100, 256, 1000])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_the_longer_side_is_bounded_and_never_enlarged(side: int, kind: str) -> None:
    pixels = picture(makers.photo(300, 90, 1, format=kind)).pixels(side)
    assert max(pixels.shape[:2]) == min(side, 300)
    assert min(pixels.shape[:2]) == max(1, round(90 * min(side, 300) / 300))


def test_scaled_decoding_shows_the_same_picture() -> None:
    data = makers.photo(800, 600, 5)
    small = picture(data).pixels(200).astype(int)
    reference = np.asarray(Image.open(io.BytesIO(data)).resize((200, 150), Image.Resampling.BOX))
    assert np.abs(small - reference.astype(int)).mean() < 8


def test_pixels_are_made_once_and_cannot_be_written() -> None:
    made = picture(makers.photo(64, 48, 1))
    assert made.pixels(32) is made.pixels(32)
    with pytest.raises(ValueError, match="read-only"):
        made.pixels(32)[0, 0, 0] = 1


def test_pixels_do_not_depend_on_what_was_asked_for_before() -> None:
    noise = np.random.default_rng(5).integers(0, 255, (16, 4200, 3), np.uint8)
    data = encoded(Image.fromarray(noise), "PNG")
    sides = (256, 4000, 2500)
    alone = {side: picture(data).pixels(side) for side in sides}
    for order in (sides, sides[::-1]):
        made = picture(data)
        for side in order:
            assert np.array_equal(made.pixels(side), alone[side])


def test_a_picture_given_up_is_not_tried_again() -> None:
    made = picture(makers.photo(64, 48, 1))
    made.give_up_pixels("it killed the decoder")
    with pytest.raises(PictureError, match="killed the decoder"):
        made.pixels(32)


@pytest.mark.parametrize(
    ("options", "dpi"),
    [({"dpi": (300, 300)}, 300.0), ({}, None), ({"dpi": (1, 1)}, None), ({"dpi": (72, 72)}, 72.0)],
)
def test_resolution(options: dict[str, Any], dpi: float | None) -> None:
    image = Image.new("RGB", (20, 10))
    assert picture(encoded(image, "JPEG", **options)).info.resolution_dpi == dpi
    assert picture(encoded(image, "TIFF", **options)).info.resolution_dpi == dpi


@pytest.mark.parametrize("seed", range(4))
def test_our_jpeg_header_says_what_pillow_says(seed: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = seed * 2 + 1
    for options in ({}, {"progressive": True}, {"dpi": (96, 96)}):
        for mode in ("RGB", "L"):
            image = makers.scene(90 + seed, 70, seed).convert(mode)
            data = encoded(image, "JPEG", exif=exif, **options)
            header, pillow = read_header(data), Image.open(io.BytesIO(data))
            assert header is not None
            assert (header.width, header.height) == pillow.size
            assert header.orientation == pillow.getexif()[0x0112]
            assert header.components == len(pillow.getbands())
            assert header.progressive is bool(pillow.info.get("progressive"))


def test_bit_depths() -> None:
    sixteen = Image.fromarray(np.zeros((8, 8), np.uint16))
    assert picture(encoded(sixteen, "PNG")).info.bit_depth == 16
    assert picture(encoded(sixteen, "TIFF")).info.bit_depth == 16
    assert picture(encoded(Image.new("1", (8, 8)), "PNG")).info.bit_depth == 1
    assert picture(makers.photo(8, 8, 1)).info.bit_depth == 8


@pytest.mark.parametrize(("order", "kind"), [(b"II", "I;16"), (b"MM", "I;16B")])
def test_grey_of_sixteen_bits_keeps_its_upper_byte(order: bytes, kind: str) -> None:
    ramp = np.tile(np.arange(64, dtype=np.uint16) * 64 + 1792, (48, 1))
    stored = ramp.astype("<u2" if order == b"II" else ">u2")
    file = io.BytesIO()
    Image.frombytes(kind, (64, 48), stored.tobytes()).save(file, "TIFF")
    assert file.getvalue()[:2] == order
    shown = picture(file.getvalue()).pixels(64)
    assert np.array_equal(shown[:, :, 0], (ramp >> 8).astype(np.uint8))


@pytest.mark.parametrize(("flags", "bits"), [(0x0C, 8), (0x4C, 10), (0x6C, 12)])
def test_the_depth_of_avif_is_what_its_decoder_is_told(flags: int, bits: int) -> None:
    data = makers.photo(48, 32, 1, format="AVIF")
    at = data.index(b"av1C") + 6
    assert picture(data).info.bit_depth == 8
    assert pictures._av1_depth(data[:at] + bytes([flags]) + data[at + 1 :]) == bits
    assert pictures._av1_depth(data[:at]) is None


def _spoilt_frame(kind: str) -> bytes:
    """An animation, or pages, of which the data of one behind the first are overwritten."""
    data = bytearray(makers.animation(96, 64, 4, format=kind))
    if kind == "TIFF":
        with TiffImagePlugin.TiffImageFile(io.BytesIO(data)) as image:
            image.seek(1)
            (start, *_), (size, *_) = image.tag_v2[273], image.tag_v2[279]
        data[start : start + size] = b"\xee" * size
    elif kind == "WEBP":
        second = data.index(b"ANMF", data.index(b"ANMF") + 4)
        third = data.index(b"ANMF", second + 4)
        data[second + 50 : third] = b"\x55" * (third - second - 50)
    elif kind == "PNG":
        second = data.index(b"fdAT")
        end = second + 4 + int.from_bytes(data[second - 4 : second])
        data[second + 8 : end] = b"\x55" * (end - second - 8)  # behind its sequence number
        data[end : end + 4] = zlib.crc32(data[second:end]).to_bytes(4)
    else:
        second = data.index(b"\x21\xf9", data.index(b"\x21\xf9") + 2) + 8 + 10
        local = data[second - 1]
        at = second + (3 << ((local & 7) + 1) if local & 0x80 else 0) + 1
        while size := data[at]:
            data[at + 1 : at + 1 + size] = b"\xff" * size
            at += size + 1
    return bytes(data)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "TIFF", "WEBP"])
def test_damage_behind_the_first_frame_is_damage(kind: str) -> None:
    sound = picture(makers.animation(96, 64, 4, format=kind))
    assert sound.pixels(64).shape == (43, 64, 3)
    assert sound.damage is None
    spoilt = picture(_spoilt_frame(kind))
    assert np.array_equal(spoilt.pixels(64), sound.pixels(64))
    assert (spoilt.damage or "").startswith("frame ")


def test_a_second_page_that_memory_has_no_room_for_is_not_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none(_image: Image.Image, _number: int) -> bool:
        raise MemoryError

    monkeypatch.setattr(opening, "_turned_to", none)
    made = picture(makers.animation(96, 64, 2, format="TIFF"))
    assert made.pixels(64).shape == (43, 64, 3)
    assert made.damage is None
