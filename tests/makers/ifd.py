"""EXIF and TIFF directories that lie or go round in circles (R3)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from .photos import photo

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 1, 2, 3, 4, 5, 7
_SIZES = {BYTE: 1, ASCII: 1, SHORT: 2, LONG: 4, RATIONAL: 8, UNDEFINED: 1}
EXIF_POINTER, GPS_POINTER, SUB_IFDS, MAKER_NOTE = 0x8769, 0x8825, 0x014A, 0x927C


@dataclass(frozen=True)
class Entry:
    """One directory entry; `count` and `offset` replace the true ones by a lie."""

    tag: int
    kind: int
    value: bytes
    count: int | None = None
    offset: int | None = None


def long(tag: int, value: int) -> Entry:
    """An entry with one 32-bit number."""
    return Entry(tag, LONG, struct.pack("<I", value))


def tiff(
    directories: Sequence[Sequence[Entry]],
    *,
    exif: int | None = None,
    following: dict[int, int] | None = None,
) -> bytes:
    """A little-endian TIFF structure: the directories one after another, then their values.

    `exif` says which directory the first one's EXIF pointer names; `following` maps a directory to
    the offset of its next one (0, none, by default). The first directory stands at offset 8.
    """
    tables = [list(directory) for directory in directories]
    if exif is not None:
        starts = directory_offsets([len(t) + (n == 0) for n, t in enumerate(tables)])
        tables[0].append(long(EXIF_POINTER, starts[exif]))
    starts = directory_offsets([len(table) for table in tables])
    heap_at = starts[-1] + 6 + 12 * len(tables[-1])
    head, heap = b"II*\x00\x08\x00\x00\x00", b""
    for number, table in enumerate(tables):
        head += struct.pack("<H", len(table))
        for entry in table:
            packed, heap = _packed(entry, heap_at, heap)
            head += packed
        head += struct.pack("<I", (following or {}).get(number, 0))
    return head + heap


def directory_offsets(lengths: Sequence[int]) -> list[int]:
    """Where each directory of so many entries starts."""
    starts = [8]
    for length in lengths[:-1]:
        starts.append(starts[-1] + 6 + 12 * length)
    return starts


def _packed(entry: Entry, heap_at: int, heap: bytes) -> tuple[bytes, bytes]:
    """The twelve bytes of an entry, and the heap with its value where it does not fit in them."""
    count = len(entry.value) // _SIZES[entry.kind] if entry.count is None else entry.count
    field = entry.value.ljust(4, b"\x00")
    if len(entry.value) > 4:
        field = struct.pack("<I", heap_at + len(heap))
        heap += entry.value
    if entry.offset is not None:
        field = struct.pack("<I", entry.offset)
    return struct.pack("<HHI", entry.tag, entry.kind, count) + field, heap


def jpeg_with_tiff(structure: bytes, seed: int = 0) -> bytes:
    """A good JPEG with a structure of ours as its EXIF, cut to the 64 KiB that a segment holds."""
    body = b"Exif\x00\x00" + structure[:65_500]
    data = photo(96, 64, seed)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]


def _chain(length: int) -> bytes:
    """That many empty-looking directories, each naming the next."""
    starts = directory_offsets([1] * length)
    following = dict(enumerate(starts[1:]))
    return tiff([[Entry(0x010F, ASCII, b"A\x00")]] * length, following=following)


def evil_structures() -> dict[str, bytes]:
    """Directories that lie, by the lie; each is a whole TIFF structure without pixels."""
    make = Entry(0x010F, ASCII, b"Nikon\x00")
    nikon = b"Nikon\x00\x02\x10\x00\x00" + tiff([[long(0x0011, 8)]], following={0: 8})
    return {
        "next-is-itself": tiff([[make]], following={0: 8}),
        "two-in-a-ring": tiff([[make], [make]], following={0: 26, 1: 8}),
        "exif-is-itself": tiff([[make, long(EXIF_POINTER, 8)]]),
        "gps-is-itself": tiff([[make, long(GPS_POINTER, 8)]]),
        "subifds-are-itself": tiff([[make, Entry(SUB_IFDS, LONG, struct.pack("<I", 8) * 4000)]]),
        "exif-ring": tiff([[make], [long(GPS_POINTER, 8), long(EXIF_POINTER, 8)]], exif=1),
        "maker-note-ring": tiff([[make], [Entry(MAKER_NOTE, UNDEFINED, nikon)]], exif=1),
        "count-4g": tiff([[make, Entry(0x010E, ASCII, b"text!\x00", count=0xFFFFFFFF)]]),
        "count-rationals": tiff([[Entry(0x011A, RATIONAL, bytes(8), count=0x1FFFFFFF)]]),
        "count-overflow": tiff([[Entry(0x010E, LONG, bytes(8), count=0x40000001)]]),
        "offset-past-end": tiff([[Entry(0x010E, ASCII, b"text!\x00", offset=0x7FFFFFF0)]]),
        "offset-wraps": tiff([[Entry(0x010E, ASCII, b"text!\x00", offset=0xFFFFFFFE)]]),
        "exif-past-end": tiff([[make, long(EXIF_POINTER, 0x10000000)]]),
        "next-past-end": tiff([[make]], following={0: 0xFFFFFFF0}),
        "entries-65535": b"II*\x00\x08\x00\x00\x00\xff\xff" + _fillers(5400),
        "entries-65535-none-there": b"II*\x00\x08\x00\x00\x00\xff\xff",
        "chain-of-3000": _chain(3000),
        "kind-unknown": b"II*\x00\x08\x00\x00\x00\x01\x00\x0f\x01\xee\xee\x04\x00\x00\x00abcd"
        + bytes(4),
        "zero-rationals": tiff(
            [[Entry(0x011A, RATIONAL, bytes(8)), Entry(0x829A, RATIONAL, bytes(8))]]
        ),
        "header-only": b"II*\x00\x08\x00\x00\x00",
        "first-past-end": b"II*\x00\xff\xff\xff\x7f",
    }


def _fillers(count: int) -> bytes:
    """That many entries that each point at the same bytes."""
    return struct.pack("<HHII", 0x010E, ASCII, 6, 8) * count


def evil_metadata() -> dict[str, bytes]:
    """Every lie as the EXIF of a good JPEG and as a file of its own."""
    files = {}
    for name, structure in evil_structures().items():
        files[f"{name}.jpg"] = jpeg_with_tiff(structure)
        files[f"{name}.tif"] = structure
    return files
