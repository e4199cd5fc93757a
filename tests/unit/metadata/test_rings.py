"""Directories that go round in circles are said to, cheaply, and good ones are not (R3)."""

from __future__ import annotations

import struct
import time

import pytest
from tests import makers
from tests.makers.ifd import (
    EXIF_POINTER,
    GPS_POINTER,
    MAKER_NOTE,
    SUB_IFDS,
    UNDEFINED,
    evil_structures,
    jpeg_with_tiff,
    long,
    tiff,
)
from tests.unit.stages import exif_files

from caseframe.domain.errors import StageError
from caseframe.metadata import read
from caseframe.metadata.rings import ring

_RINGS = {
    "next-is-itself",
    "two-in-a-ring",
    "exif-is-itself",
    "gps-is-itself",
    "subifds-are-itself",
    "exif-ring",
    "maker-note-ring",
}
_SECONDS = 1.0
"""Processor time for one picture's metadata; about a thousandth of it is needed."""


def problems(data: bytes) -> tuple[str, ...]:
    read.listen()
    start = time.process_time()
    try:
        return read.read(data).all_problems()
    except StageError as error:
        return (str(error),)
    finally:
        assert time.process_time() - start < _SECONDS


@pytest.mark.parametrize("name", sorted(makers.evil_metadata()))
def test_every_lie_costs_little_and_those_in_pictures_are_said(name: str) -> None:
    said = problems(makers.evil_metadata()[name])
    assert said or name.endswith(".tif")


@pytest.mark.parametrize("name", sorted(evil_structures()))
def test_rings_are_told_from_other_lies(name: str) -> None:
    found = ring(evil_structures()[name])
    assert (found is not None) == (name in _RINGS)
    assert found is None or "offset 8 leads back to itself" in found


@pytest.mark.parametrize("mark", ["jpeg", "png", "webp", "tiff"])
def test_every_container_is_looked_into(mark: str) -> None:
    block = evil_structures()["exif-ring"]
    data = {
        "jpeg": jpeg_with_tiff(block),
        "png": exif_files.png(exif_files.chunk(b"eXIf", block)),
        "webp": exif_files.picture("WEBP", exif=block),
        "tiff": block,
    }[mark]
    assert "Exif: directory at offset 8 leads back to itself" in problems(data)


def test_the_other_byte_order() -> None:
    pointer = struct.pack(">HHHII", 1, GPS_POINTER, 4, 1, 8)
    assert ring(b"MM\x00*\x00\x00\x00\x08" + pointer + bytes(4)) is not None


def test_two_ways_to_one_directory_are_no_ring() -> None:
    both = [long(EXIF_POINTER, 38), long(GPS_POINTER, 38)]
    assert ring(tiff([both, [long(0x0100, 1)]])) is None


def test_a_direction_of_gps_is_no_pointer() -> None:
    """The number of Nikon's preview is that of GPSImgDirection."""
    assert ring(tiff([[long(GPS_POINTER, 26)], [long(0x0011, 8)]])) is None


def test_a_directory_whose_entries_are_cut_off_is_left_to_exiv2() -> None:
    whole = tiff([[long(EXIF_POINTER, 8)]])
    assert ring(whole) is not None
    assert [ring(whole[:end]) for end in range(20)] == [None] * 20


def test_the_most_that_is_followed_costs_little() -> None:
    """Directories full of pointers, each of which is sixteen that lead nowhere."""
    length = 2 + 12 * 256 + 4
    starts = [8 + n * length for n in range(64)]
    heap = starts[-1] + length
    row = struct.pack("<HHII", SUB_IFDS, 4, 16, heap) * 255
    row += struct.pack("<HHII", MAKER_NOTE, UNDEFINED, 1 << 30, heap)
    nexts = [*starts[1:], 0]
    body = b"".join(struct.pack("<H", 256) + row + struct.pack("<I", at) for at in nexts)
    block = b"II*\x00\x08\x00\x00\x00" + body + bytes(64)
    start = time.process_time()
    assert ring(block) is None
    assert time.process_time() - start < _SECONDS
