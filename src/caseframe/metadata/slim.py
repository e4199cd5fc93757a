"""What Exiv2 is handed: the file itself, or only the parts of it that hold metadata.

Exiv2 reads JPEG headers and stops at the scan, so a JPEG is handed over whole, without a copy,
unless the header of its XMP needs mending, or it holds no metadata, as most pictures from the web.
Other containers need care:

* PNG: Exiv2 gives up on a file with a compressed text of more than 128 kB, and inflates colour
  profiles only to hold them; a text may inflate to any size. Here the metadata chunks are copied
  into a small PNG, compressed ones inflated up to a limit.
* WebP, and GIF, whose XMP Exiv2 does not know: the packets go into a small file as well.
* TIFF, and with it most raw formats: a directory may point a hundred times at the same ten
  megabytes, and Exiv2 copies each. Entries that large are emptied in a copy of the file.
* XMP: Adobe's toolkit takes quadratic time in the number of properties, so packets beyond limits
  are left out.

Everything left out is said in one line.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator

from caseframe.metadata.rings import ring
from caseframe.metadata.tiff import tamed

Flag = Callable[[str], None]
_Parts = Iterator[tuple[bytes, bytes]]
"""Types and bodies of PNG chunks."""

XMP_MOST_BYTES = 4 * 1024 * 1024
XMP_MOST_NAMES = 12_000
"""Properties in one XMP packet; Adobe's toolkit takes about half a second for so many."""
_INFLATE_MOST = 4 * 1024 * 1024
_EXIF_MOST = 8 * 1024 * 1024
_TEXT_CHUNKS_MOST = 16
_HEADER = 12
"""Bytes that every format Exiv2 knows needs at least."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_HEAD = PNG_SIGNATURE + bytes.fromhex("0000000d49484452000000010000000108000000003a7e9b55")
_XMP_KEYWORD = b"XML:com.adobe.xmp"
_RAW_PROFILE = b"Raw profile type "
_MARKER = 0xFF
_HOLDING = {0xE1, 0xED}
"""Segments of JPEG with Exif and XMP (APP1), and with IPTC (APP13)."""
_SOS = 0xDA
_EXIF_MARK = b"Exif\x00\x00"
_XMP_SPOILT = b"XMP\x00://ns.adobe.com/xap/1.0/\x00"
"""How XMP begins in pictures from Flickr of some years: four bytes of `http` were written over."""
_GIF_XMP = b"\x21\xff\x0bXMP DataXMP"
_GIF_XMP_TRAILER = b"\x01\xff\xfe\xfd"
"""The start of the 258-byte "magic trailer" that ends XMP in a GIF (XMP part 3, 1.1.2)."""


def slim(data: bytes, flag: Flag, lose: Flag) -> bytes | None:
    """The bytes for Exiv2; None when this kind of file has no place for metadata.

    `flag` receives one line for each thing wrong with the container, `lose` one for each part
    that holds metadata and was left out.
    """
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data, flag)
    for start, parts in _REPACKED.items():
        if data.startswith(start):
            return _small_png(parts(data, flag, lose))
    if data.startswith(b"BM") or len(data) < _HEADER:
        return None
    if data.startswith((b"II*\x00", b"MM\x00*")):
        _flag_ring(data, flag)
        return tamed(data, lose, xmp_ok=xmp_ok)
    return data


def xmp_ok(packet: bytes, lose: Flag) -> bool:
    """Whether a packet is small enough for Adobe's toolkit; says so when not.

    Names are counted as tags that open plus attributes, less those of RDF itself, whose number
    does not matter; that is at least the number of properties.
    """
    if len(packet) > XMP_MOST_BYTES:
        lose(f"XMP packet of {len(packet)} bytes left out (limit {XMP_MOST_BYTES})")
        return False
    if len(packet) < XMP_MOST_NAMES * 4:
        return True
    opening = packet.count(b"<") - packet.count(b"</") - packet.count(b"<rdf:")
    names = opening + packet.count(b"=")
    if names > XMP_MOST_NAMES:
        lose(f"XMP packet with up to {names} properties left out (limit {XMP_MOST_NAMES})")
        return False
    return True


def _flag_ring(block: bytes | memoryview, flag: Flag) -> None:
    if (found := ring(block)) is not None:
        flag(f"Exif: {found}")


def _jpeg(data: bytes, flag: Flag) -> bytes | None:
    """The same JPEG, or only its segments before the scan, with a spoilt XMP header mended.

    None where the segments before the scan are whole and none holds metadata.
    """
    holding, scan = _jpeg_segments(data)
    if scan is not None and not holding:
        return None
    for at in holding:
        if data.startswith(_EXIF_MARK, at + 4):
            end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
            _flag_ring(memoryview(data)[at + 4 + len(_EXIF_MARK) : end], flag)
    spoilt = [at for at in holding if data.startswith(_XMP_SPOILT, at + 4)]
    if not spoilt:
        return data
    mended = bytearray(data[: scan or len(data)])
    mended[spoilt[0] + 4 : spoilt[0] + 8] = b"http"
    return bytes(mended + b"\xff\xd9")


def _jpeg_segments(data: bytes) -> tuple[list[int], int | None]:
    """Where segments that may hold metadata stand, and the scan; None when the way there is odd."""
    holding: list[int] = []
    at, last = 2, len(data) - 4
    while at <= last and data[at] == _MARKER:
        kind = data[at + 1]
        if kind == _SOS:
            return holding, at
        if kind in _HOLDING:
            holding.append(at)
        if kind == _MARKER:
            return holding, None
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return holding, None


def _small_png(parts: _Parts) -> bytes | None:
    """A PNG of one pixel's header and the given chunks; None when there are none."""
    chunks = [_chunk(kind, body) for kind, body in parts]
    if not chunks:
        return None
    return b"".join((_PNG_HEAD, *chunks, _chunk(b"IEND", b"")))


def _chunk(kind: bytes, body: bytes) -> bytes:
    crc = zlib.crc32(body, zlib.crc32(kind))
    return b"".join((struct.pack(">I", len(body)), kind, body, struct.pack(">I", crc)))


def _xmp_chunk(packet: bytes) -> tuple[bytes, bytes]:
    return b"iTXt", _XMP_KEYWORD + b"\x00\x00\x00\x00\x00" + packet


def _exif_chunk(block: bytes, flag: Flag, lose: Flag) -> _Parts:
    block = block.removeprefix(_EXIF_MARK)
    if len(block) > _EXIF_MOST:
        lose(f"Exif block of {len(block)} bytes left out (limit {_EXIF_MOST})")
    elif block[:2] in (b"II", b"MM"):
        _flag_ring(block, flag)
        yield b"eXIf", tamed(block, lose, xmp_ok=xmp_ok)
    else:
        lose("Exif block is not one: it does not start with a byte order")


def _png_parts(data: bytes, flag: Flag, lose: Flag) -> _Parts:
    texts = 0
    for kind, start, end in _png_chunks(data, flag):
        if kind == b"eXIf":
            yield from _exif_chunk(data[start:end], flag, lose)
        elif kind in (b"iTXt", b"zTXt", b"tEXt"):
            keyword = data[start : min(end, start + 80)].partition(b"\x00")[0]
            if keyword != _XMP_KEYWORD and not keyword.startswith(_RAW_PROFILE):
                continue
            texts += 1
            if texts > _TEXT_CHUNKS_MOST:
                lose(f"more than {_TEXT_CHUNKS_MOST} metadata chunks; the rest left out")
                return
            yield from _png_text(kind, keyword, data[start:end], lose)


def _png_chunks(data: bytes, flag: Flag) -> Iterator[tuple[bytes, int, int]]:
    """Each chunk's type, and where its body starts and ends; stops where the file does."""
    at, size = len(PNG_SIGNATURE), len(data)
    while at + 8 <= size:
        length = int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        if kind == b"IEND":
            return
        if at + 8 + length > size:
            flag(f"PNG chunk {kind!r} claims {length} bytes, more than the file has left")
            return
        yield kind, at + 8, at + 8 + length
        at += 12 + length


def _png_text(kind: bytes, keyword: bytes, body: bytes, lose: Flag) -> _Parts:
    """An XMP packet or raw profile from a text chunk, inflated up to the limit."""
    text = body[len(keyword) + 1 :]
    packed = kind == b"zTXt"
    if packed:
        text = text[1:]
    elif kind == b"iTXt":  # compression flag, method, language, translated keyword, text
        packed = text[:1] == b"\x01"
        text = text[2:].partition(b"\x00")[2].partition(b"\x00")[2]
    if packed:
        inflated = _inflated(text, keyword, lose)
        if inflated is None:
            return
        text = inflated
    if keyword == _XMP_KEYWORD:
        if xmp_ok(text, lose):
            yield _xmp_chunk(text)
    elif len(text) > 2 * _EXIF_MOST:
        lose(f"PNG text {keyword!r} of {len(text)} bytes left out")
    else:
        # Exiv2 reads a profile only from zTXt, and only up to 128 kB of it.
        yield b"zTXt", keyword + b"\x00\x00" + zlib.compress(text, 1)


def _inflated(packed: bytes, keyword: bytes, lose: Flag) -> bytes | None:
    engine = zlib.decompressobj()
    try:
        text = engine.decompress(packed, _INFLATE_MOST)
    except zlib.error as error:
        lose(f"PNG text {keyword!r} cannot be inflated: {error}")
        return None
    if engine.unconsumed_tail:
        lose(f"PNG text {keyword!r} inflates to more than {_INFLATE_MOST} bytes; left out")
        return None
    return text


def _webp_parts(data: bytes, flag: Flag, lose: Flag) -> _Parts:
    if data[8:12] != b"WEBP":
        return
    at, size = 12, len(data)
    while at + 8 <= size:
        kind = data[at : at + 4]
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + length > size:
            flag(f"WebP chunk {kind!r} claims {length} bytes, more than the file has left")
            return
        if kind == b"EXIF":
            yield from _exif_chunk(data[at + 8 : at + 8 + length], flag, lose)
        elif kind == b"XMP " and xmp_ok(data[at + 8 : at + 8 + length], lose):
            yield _xmp_chunk(data[at + 8 : at + 8 + length])
        at += 8 + length + (length & 1)


def _gif_parts(data: bytes, _flag: Flag, lose: Flag) -> _Parts:
    start = data.find(_GIF_XMP)
    if start < 0:
        return
    start += len(_GIF_XMP)
    end = data.find(_GIF_XMP_TRAILER, start)
    if end < 0:
        lose("XMP in this GIF has no end; left out")
    elif xmp_ok(data[start:end], lose):
        yield _xmp_chunk(data[start:end])


_REPACKED: dict[bytes, Callable[[bytes, Flag, Flag], _Parts]] = {
    PNG_SIGNATURE: _png_parts,
    b"RIFF": _webp_parts,
    b"GIF8": _gif_parts,
}
