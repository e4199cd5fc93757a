"""Is the container whole? Cheap walks that find what decoders pass over in silence.

Decoders are made to show something: several accept a file whose end is missing or whose checksum
is wrong. Each check here reads only the structure, decodes nothing, and answers with the reason
for the state "corrupt", or None.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt


def damage(mime: str, data: bytes) -> str | None:
    """What is structurally wrong with a picture of this type, or None."""
    check = _CHECKS.get(mime)
    if check is None:
        return None
    try:
        return check(data)
    except (struct.error, IndexError):
        return "the file ends in the middle of its structure"


def _png(data: bytes) -> str | None:
    """Every chunk's length and CRC-32, up to IEND (PNG 3rd edition, 5.3)."""
    view = memoryview(data)
    for name, start, end in _png_chunks(data):
        if end + 4 > len(data):
            return f"PNG chunk {_ascii(name)} is cut short"
        (stored,) = struct.unpack_from(">I", data, end)
        if zlib.crc32(view[start - 4 : end]) != stored:
            return f"PNG chunk {_ascii(name)} has a wrong checksum"
        if name == b"IEND":
            return None
    return "PNG ends before its IEND chunk"


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(name, start, end) of the content of each chunk; the last may reach past the file's end."""
    at = 8
    while at + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        yield name, at + 8, at + 8 + length
        at += 12 + length


def png_chunk(data: bytes, wanted: bytes) -> bytes | None:
    """The content of the first chunk of that name, or None."""
    return next((data[a:b] for name, a, b in _png_chunks(data) if name == wanted), None)


def _ascii(name: bytes) -> str:
    return name.decode("ascii", "backslashreplace")


def _gif(data: bytes) -> str | None:
    """Blocks of a GIF89a file up to its trailer 0x3B (specification, appendix B)."""
    flags = data[10]
    at = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
    while at < len(data):
        kind = data[at]
        if kind == 0x3B:
            return None
        if kind == 0x21:
            at = _sub_blocks(data, at + 2)
        elif kind == 0x2C:
            local = data[at + 9]
            at += 10 + (3 << ((local & 7) + 1) if local & 0x80 else 0)
            at = _sub_blocks(data, at + 1)
        else:
            return f"GIF holds an unknown block 0x{kind:02x}"
    return "GIF ends before its trailer"


def _sub_blocks(data: bytes, at: int) -> int:
    while size := data[at]:
        at += size + 1
    return at + 1


def _webp(data: bytes) -> str | None:
    (declared,) = struct.unpack_from("<I", data, 4)
    missing = declared + 8 - len(data)
    return f"WebP is {missing} bytes shorter than it says" if missing > 0 else None


def _isobmff(data: bytes) -> str | None:
    """Top-level boxes of ISO/IEC 14496-12; size 0 runs to the end, size 1 has 64 bits."""
    at = 0
    while at < len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        if size == 0:
            return None
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, at + 8)
        if size < 8:
            return f"box {_ascii(name)} has an impossible size"
        at += size
        if at > len(data):
            return f"box {_ascii(name)} is {at - len(data)} bytes shorter than it says"
    return None


def _bmp(data: bytes) -> str | None:
    """Rows of an uncompressed bitmap must fit behind the pixel offset (BITMAPINFOHEADER)."""
    offset, header = struct.unpack_from("<I", data, 10)[0], struct.unpack_from("<I", data, 14)[0]
    if header < 40:
        return None
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    if compression not in {0, 3}:
        return None
    missing = offset + (abs(width) * bits + 31) // 32 * 4 * abs(height) - len(data)
    return f"BMP is {missing} bytes shorter than its rows need" if missing > 0 else None


def _tiff(data: bytes) -> str | None:
    """Strips and tiles of every page must lie within a classic TIFF (TIFF 6.0, section 8)."""
    if data[2:4] not in {b"*\0", b"\0*"}:
        return None
    order = "<" if data[:1] == b"I" else ">"
    (at,) = struct.unpack_from(order + "I", data, 4)
    met: set[int] = set()
    strips = _Strips(data, order)
    while at and at not in met:
        met.add(at)
        (count,) = struct.unpack_from(order + "H", data, at)
        if (reason := _tiff_page(strips, at + 2, count)) is not None:
            return f"TIFF page {len(met)} {reason}"
        (at,) = struct.unpack_from(order + "I", data, at + 2 + 12 * count)
    return "TIFF pages run in a circle" if at else None


def _tiff_page(strips: _Strips, at: int, count: int) -> str | None:
    if not strips.room(12 * count):
        return _TIFF_TOO_MUCH
    lists: dict[int, _List] = {}
    for index in range(count):
        entry = at + 12 * index
        tag, kind, number = struct.unpack_from(strips.order + "HHI", strips.data, entry)
        if tag in _TIFF_PLACES and kind in {3, 4}:
            lists[tag] = strips.place(entry + 8, kind, number)
    for offsets, sizes in ((273, 279), (324, 325)):
        if offsets in lists and sizes in lists:
            reason = strips.fault(lists[offsets], lists[sizes])
            if reason is not None:
                return reason
    return None


_TIFF_PLACES = {273, 279, 324, 325}
_TIFF_TOO_MUCH = "and those before it name more than the file can hold"
_List = tuple[int, int, int]
"""Where the values of a tag begin, the bytes of one, and how many they are."""


class _Strips:
    """Where the pixels of all pages lie; each list of them is looked at once.

    What does not overlap fits into the file together, so its size bounds the work, whatever its
    pages say.
    """

    def __init__(self, data: bytes, order: str) -> None:
        self.data, self.order = data, order
        self._seen: set[tuple[_List, _List]] = set()
        self._left = 2 * len(data)  # pages may share the list of sizes and not that of offsets

    def place(self, at: int, kind: int, count: int) -> _List:
        """The list of a tag whose value stands at `at`. Raises IndexError beyond the end."""
        size = 2 if kind == 3 else 4
        if size * count > 4:
            (at,) = struct.unpack_from(self.order + "I", self.data, at)
        if at + size * count > len(self.data):
            raise IndexError(at)
        return at, size, count

    def room(self, size: int) -> bool:
        """Count `size` bytes as looked at; False when that is more than there can be."""
        self._left -= size
        return self._left >= 0

    def fault(self, offsets: _List, sizes: _List) -> str | None:
        """What is wrong with strips that begin there and are so long."""
        if (offsets, sizes) in self._seen:
            return None
        self._seen.add((offsets, sizes))
        if not self.room(sum(size * count for _, size, count in (offsets, sizes))):
            return _TIFF_TOO_MUCH
        count = min(offsets[2], sizes[2])
        ends = self._values(offsets)[:count] + self._values(sizes)[:count]
        if count and int(ends.max()) > len(self.data):
            return "is cut short: its pixels reach past the end of the file"
        return None

    def _values(self, wanted: _List) -> npt.NDArray[np.uint64]:
        at, size, count = wanted
        return np.frombuffer(self.data, f"{self.order}u{size}", count, at).astype(np.uint64)


_CHECKS: dict[str, Callable[[bytes], str | None]] = {
    "image/png": _png,
    "image/gif": _gif,
    "image/tiff": _tiff,
    "image/webp": _webp,
    "image/bmp": _bmp,
    "image/heic": _isobmff,
    "image/avif": _isobmff,
}
