"""TIFF directories whose entries are too large for Exiv2 are emptied before it sees them.

What it goes by (sizes, bounds, pointers) holds for every walk over directories, see rings.py.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Flag = Callable[[str], None]

_TYPE_BYTES = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4)
"""Bytes of one value of each TIFF type (TIFF 6.0, page 15; 13 is IFD of TIFF technical note 1)."""
ENTRY_BYTES = 12
_INLINE = 4
"""Bytes; a value up to this size stands in the entry itself."""
ENTRIES_MOST = 256
"""Entries in one directory; Exiv2 refuses directories with more."""
DIRECTORIES_MOST = 64
_VALUE_MOST = 4 * 1024 * 1024
_TOTAL_MOST = 16 * 1024 * 1024
"""Bytes: of one value, and of all values; larger ones are pixels or layers, not metadata."""
_XMP_TAG = 700
POINTERS = frozenset({0x8769, 0x8825, 0xA005, 0x014A})
"""Tags that point at more directories: Exif, GPS, interoperability (Exif 3.0, 4.6.3), SubIFDs
(TIFF technical note 1)."""
SUB_IFDS_MOST = 16


@dataclass(frozen=True, slots=True)
class _Entry:
    """One directory entry: where it stands, its tag, the bytes its value takes, and where."""

    at: int
    tag: int
    size: int
    value_at: int
    count: int


def tamed(data: bytes, flag: Flag, *, xmp_ok: Callable[[bytes, Flag], bool]) -> bytes:
    """The same TIFF when all is well; else a copy whose oversized entries have no values.

    An emptied entry keeps its place and gets the count 0, so that no offset changes.
    """
    order = "<" if data[:2] == b"II" else ">"
    victims: list[int] = []
    total = 0
    for entry in _entries(data, order):
        total += entry.size
        if entry.size > _VALUE_MOST or total > _TOTAL_MOST:
            flag(f"TIFF tag 0x{entry.tag:04x} of {entry.size} bytes left out: too large")
        elif entry.tag != _XMP_TAG or xmp_ok(
            data[entry.value_at : entry.value_at + entry.size], flag
        ):
            continue
        victims.append(entry.at)
        total -= entry.size
    if not victims:
        return data
    copy = bytearray(data)
    for at in victims:
        copy[at + 4 : at + 8] = bytes(4)
    return bytes(copy)


def _entries(data: bytes, order: str) -> Iterator[_Entry]:
    """Entries of all directories, each directory once, whose values lie inside the file."""
    pending, seen = [long_at(data, 4, order)], set[int]()
    while pending and len(seen) < DIRECTORIES_MOST:
        at = pending.pop()
        if at in seen or not 0 < at <= len(data) - 2:
            continue
        seen.add(at)
        count = struct.unpack_from(order + "H", data, at)[0]
        if count > ENTRIES_MOST:
            continue
        end = min(at + 2 + count * ENTRY_BYTES, len(data) - ENTRY_BYTES + 1)
        for place in range(at + 2, end, ENTRY_BYTES):
            entry = _entry(data, place, order)
            if entry is not None:
                yield entry
                if entry.tag in POINTERS:
                    pending.extend(_targets(data, entry, order))
        pending.append(long_at(data, at + 2 + count * ENTRY_BYTES, order))


def _entry(data: bytes, at: int, order: str) -> _Entry | None:
    tag, kind, count, offset = struct.unpack_from(order + "HHII", data, at)
    size = count * (_TYPE_BYTES[kind] if kind < len(_TYPE_BYTES) else 1)
    value_at = at + 8 if size <= _INLINE else offset
    if value_at + size > len(data):
        return None
    return _Entry(at, tag, size, value_at, count)


def _targets(data: bytes, entry: _Entry, order: str) -> list[int]:
    many = min(entry.count, SUB_IFDS_MOST, entry.size // 4)
    return [long_at(data, entry.value_at + 4 * n, order) for n in range(many)]


def long_at(data: bytes | memoryview, at: int, order: str) -> int:
    """Four bytes as a number; 0, which is no offset, beyond the end."""
    if not 0 <= at <= len(data) - 4:
        return 0
    value: int = struct.unpack_from(order + "I", data, at)[0]
    return value
