"""The exif stage on metadata that lie, have no end, or cannot be read."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

import pytest
from tests.unit.stages.exif_files import (
    ASCII,
    BYTE,
    CAMERA,
    LONG,
    SHORT,
    SHOT,
    UNDEFINED,
    Read,
    bomb,
    chunk,
    directory,
    picture,
    png,
    short,
    text,
    tiff,
    with_exif,
    with_xmp,
    xmp,
)

from caseframe.stages.stage import StageError

pytest.importorskip("exiv2")

HANG_SECONDS = 30


def loop() -> bytes:
    pointers = {0x8769: (LONG, struct.pack("<I", 8)), 0x8825: (LONG, struct.pack("<I", 8))}
    body = directory({0x0112: short(1), **pointers}, 8, following=8)
    return with_exif(b"II*\x00\x08\x00\x00\x00" + body)


def lying_count() -> bytes:
    lie = struct.pack("<HHII", 0x010F, ASCII, 0x7FFFFFFF, 8)
    true = struct.pack("<HHII", 0x0112, SHORT, 1, 1)
    return with_exif(b"II*\x00\x08\x00\x00\x00" + struct.pack("<H", 2) + lie + true + bytes(4))


def shared_values() -> bytes:
    """A TIFF of 5 MB, a hundred of whose entries claim the same 5 MB."""
    size = 5_000_000
    rows = [struct.pack("<HHII", 0x0112, SHORT, 1, 1)]
    rows += [struct.pack("<HHII", 0xC000 + n, BYTE, size, 2048) for n in range(100)]
    head = b"II*\x00\x08\x00\x00\x00" + struct.pack("<H", len(rows)) + b"".join(rows)
    return head.ljust(2048, b"\x00") + bytes(size)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (loop, "previously read"),
        (lying_count, "invalid size"),
        (shared_values, "left out: too large"),
    ],
)
def test_lying_directories_cost_little_and_lose_only_the_lie(
    read: Read, make: Callable[[], bytes], problem: str
) -> None:
    start = time.monotonic()
    result = read(make())
    assert time.monotonic() - start < HANG_SECONDS
    assert result.orientation == 1
    assert any(problem in line for line in result.problems)
    assert "5000000 bytes)" not in str(result.raw)


@pytest.mark.parametrize(
    "head",
    [b"zTXtRaw profile type exif\x00\x00", b"iTXtXML:com.adobe.xmp\x00\x01\x00\x00\x00"],
)
def test_a_text_that_inflates_without_end_is_left_out(read: Read, head: bytes) -> None:
    block = chunk(b"eXIf", tiff(CAMERA))
    result = read(png(chunk(head[:4], head[4:] + bomb(256)), block))
    assert result.camera_make == "ACME"
    assert any("inflates to more than" in line for line in result.problems)


def test_a_colour_profile_is_no_metadata_and_is_not_inflated(read: Read) -> None:
    assert not read(png(chunk(b"iCCP", b"x\x00\x00" + bomb(256)))).found


@pytest.mark.parametrize(
    "data",
    [
        with_xmp(b"<x:xmpmeta><rdf:RD"),
        png(
            chunk(
                b"iTXt",
                b"XML:com.adobe.xmp\x00\x00\x00\x00\x00"
                + xmp("".join(f"<dc:a{n}>x</dc:a{n}>" for n in range(100_000))),
            )
        ),
        with_exif(b"II*\x00\x08\x00\x00\x00" + struct.pack("<H", 5000) + bytes(12 * 5000)),
        png(chunk(b"eXIf", b"nothing of the kind")),
        picture("JPEG")[:20],
    ],
    ids=["broken xmp", "endless xmp", "endless directory", "no exif", "cut"],
)
def test_metadata_of_which_nothing_can_be_read_are_a_failure(read: Read, data: bytes) -> None:
    start = time.monotonic()
    with pytest.raises(StageError, match="metadata cannot be read: "):
        read(data)
    assert time.monotonic() - start < HANG_SECONDS


def test_long_values_and_long_results_are_bounded_but_what_matters_is_kept(read: Read) -> None:
    wide = {0xC000 + n: text("x" * 400) for n in range(140)}
    result = read(with_exif(tiff(CAMERA | {0x010E: text("y" * 5000)} | wide, SHOT)))
    assert len(result.raw["Exif"]["Exif.Image.ImageDescription"]) == 2001
    assert any("longer than 2000 characters" in line for line in result.problems)
    names = "".join(f"<dc:a{n}>{'x' * 20}</dc:a{n}>" for n in range(3000))
    packet = b"XML:com.adobe.xmp" + bytes(5) + xmp(names, 'xmp:CreatorTool="Tool 1"')
    result = read(png(chunk(b"iTXt", packet)))
    assert len(result.model_dump_json()) < 300_000
    assert result.software == "Tool 1"
    assert any("metadata limited to" in line for line in result.problems)


def test_long_binary_values_show_their_length_and_start(read: Read) -> None:
    result = read(with_exif(tiff({}, {0x927C: (UNDEFINED, bytes(range(200)))})))
    raw = result.raw["Exif"]["Exif.Photo.MakerNote"]
    assert raw.startswith("(binary, 200 bytes) 000102030405")


def test_warnings_do_not_reach_standard_error(
    read: Read, capfd: pytest.CaptureFixture[str]
) -> None:
    read(lying_count())
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "tag",
    ["exif:FNumber", "exif:ShutterSpeedValue", "exif:PixelXDimension", "exif:ISOSpeedRatings",
     "exif:GPSAltitude", "exif:ApertureValue"],
)  # fmt: skip
def test_no_power_is_computed_that_only_a_text_names(read: Read, tag: str) -> None:
    """Ten to the power of a thousand million: whoever computes it does not come back."""
    for number in ("1e999999999", "1E-999999999", "-1e1000000000"):
        result = read(with_xmp(xmp("", f'{tag}="{number}"')))
        assert result.raw["XMP"]["Xmp." + tag.replace(":", ".")] == number
