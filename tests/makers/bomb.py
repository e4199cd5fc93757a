"""Small files that claim or unpack to very much (S17)."""

from __future__ import annotations

import struct
import zlib

from .ifd import LONG, SHORT, Entry, tiff
from .photos import photo, progressive

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BLOCK = 1 << 20


def repeated(byte: int, size: int) -> bytes:
    """A zlib stream that unpacks to `size` times one byte; made without unpacking anything.

    A full flush makes each block of the stream independent of the one before, so the same packed
    block is repeated. The checksum is Adler-32's closed form for a constant byte.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes([byte]) * _BLOCK) + packer.flush(zlib.Z_FULL_FLUSH)
    whole, rest = divmod(size, _BLOCK)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    tail = packer.compress(bytes([byte]) * rest) + packer.flush()
    low = (1 + size * byte) % 65_521
    high = (size + byte * size * (size + 1) // 2) % 65_521
    return b"\x78\xda" + block * whole + tail + struct.pack(">HH", high, low)


def chunk(kind: bytes, body: bytes) -> bytes:
    """One PNG chunk, its checksum right."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(size: tuple[int, int], kind: tuple[int, int], pixels: bytes, extra: bytes = b"") -> bytes:
    """A PNG of a header, any chunks, packed pixels and an end; `kind` is bits and colour type."""
    header = struct.pack(">IIBBBBB", *size, *kind, 0, 0, 0)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return PNG_SIGNATURE + body


def png_bilevel(side: int = 60_000) -> bytes:
    """A valid black PNG of one bit a pixel: 60,000 x 60,000 in 440 kB."""
    return png((side, side), (1, 0), repeated(0, (1 + (side + 7) // 8) * side))


def png_rgb(side: int = 20_000) -> bytes:
    """A valid black RGB PNG: 20,000 x 20,000, 1.2 GB of pixels in 1.2 MB."""
    return png((side, side), (8, 2), repeated(0, (1 + 3 * side) * side))


def png_grey(side: int = 12_000) -> bytes:
    """A valid black grey PNG: 12,000 x 12,000, 144 MB of pixels in 140 kB."""
    return png((side, side), (8, 0), repeated(0, (1 + side) * side))


def png_promises_more() -> bytes:
    """A header of 60,000 x 60,000 over the pixels of 8 x 8."""
    return png((60_000, 60_000), (8, 2), zlib.compress(bytes(8 * 25)))


def png_promises_less() -> bytes:
    """A header of 8 x 8 over 256 MiB of pixels."""
    return png((8, 8), (8, 0), repeated(0, 256 << 20))


def png_text_bomb(size: int = 256 << 20) -> bytes:
    """An 8 x 8 PNG with a zTXt chunk that unpacks to `size` letters."""
    text = chunk(b"zTXt", b"Comment\x00\x00" + repeated(ord("A"), size))
    return png((8, 8), (8, 0), zlib.compress(bytes(72)), text)


def png_profile_bomb(size: int = 256 << 20) -> bytes:
    """An 8 x 8 PNG with a colour profile (iCCP) that unpacks to `size` letters."""
    profile = chunk(b"iCCP", b"profile\x00\x00" + repeated(ord("A"), size))
    return png((8, 8), (8, 0), zlib.compress(bytes(72)), profile)


def png_chunk_flood(count: int = 100_000) -> bytes:
    """An 8 x 8 PNG with that many empty text chunks."""
    return png((8, 8), (8, 0), zlib.compress(bytes(72)), chunk(b"tEXt", b"k\x00v") * count)


def gif_huge_screen(frame: bool = False) -> bytes:
    """A GIF of a 65,535² logical screen; its one frame 1 x 1, or as large with no data for it."""
    side = 65_535 if frame else 1
    screen = b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0x80, 0, 0) + bytes(3) + b"\xff" * 3
    picture = b"," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x44\x01\x00"
    return screen + picture + b";"


def gif_many_frames(count: int = 20_000) -> bytes:
    """A GIF of a 2,000² screen with that many one-pixel frames."""
    screen = b"GIF89a" + struct.pack("<HHBBB", 2000, 2000, 0x80, 0, 0) + bytes(3) + b"\xff" * 3
    picture = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return screen + picture * count + b";"


def jpeg_huge(scans: bool = False) -> bytes:
    """A JPEG whose header claims 65,500 x 65,500; progressive when `scans`."""
    data = bytearray(progressive(64, 48) if scans else photo(64, 48))
    at = data.index(b"\xff\xc2" if scans else b"\xff\xc0")
    struct.pack_into(">HH", data, at + 5, 65_500, 65_500)
    return bytes(data)


def jpeg_many_scans(count: int = 2000, mode: str = "RGB") -> bytes:
    """A progressive 4,000² JPEG whose last scan is repeated: little data, much work."""
    data = bytearray(progressive(64, 48, mode=mode))
    struct.pack_into(">HH", data, data.index(b"\xff\xc2") + 5, 4000, 4000)
    last = data.rindex(b"\xff\xda")
    return bytes(data[:last] + data[last:-2] * count + data[-2:])


def _tiff_tags(width: int, height: int, **more: Entry) -> list[Entry]:
    """The entries of an uncompressed grey TIFF, in order, some replaced by keyword (`t273=…`)."""
    tags = {
        256: Entry(256, LONG, struct.pack("<I", width)),
        257: Entry(257, LONG, struct.pack("<I", height)),
        258: Entry(258, SHORT, struct.pack("<H", 8)),
        259: Entry(259, SHORT, struct.pack("<H", 1)),
        262: Entry(262, SHORT, struct.pack("<H", 1)),
        273: Entry(273, LONG, struct.pack("<I", 8)),
        277: Entry(277, SHORT, struct.pack("<H", 1)),
        278: Entry(278, LONG, struct.pack("<I", height)),
        279: Entry(279, LONG, struct.pack("<I", 64)),
    }
    tags |= {entry.tag: entry for entry in more.values()}
    return [tags[tag] for tag in sorted(tags)]


def tiff_many_strips() -> bytes:
    """A TIFF that claims 2³¹ strips."""
    lies = {
        f"t{tag}": Entry(tag, LONG, bytes(4), count=1 << 31, offset=8) for tag in (273, 279)
    } | {"t278": Entry(278, LONG, struct.pack("<I", 1))}
    return tiff([_tiff_tags(64, 0x7FFFFFFF, **lies)])


def tiff_huge() -> bytes:
    """A TIFF that claims 2³¹-1 x 2³¹-1 pixels."""
    return tiff([_tiff_tags(0x7FFFFFFF, 0x7FFFFFFF)])


def tiff_beyond_integers() -> bytes:
    """A TIFF that claims 2³²-1 x 2³²-1 pixels, more than a column of 32 bits with a sign holds."""
    return tiff([_tiff_tags(0xFFFFFFFF, 0xFFFFFFFF)])


def tiff_deflate(side: int = 12_000) -> bytes:
    """A valid grey TIFF in one deflated strip: 144 MB of pixels in 140 kB."""
    packed = repeated(0, side * side)
    more = {
        "t259": Entry(259, SHORT, struct.pack("<H", 8)),
        "t273": Entry(273, LONG, packed, count=1),
        "t279": Entry(279, LONG, struct.pack("<I", len(packed))),
    }
    return tiff([_tiff_tags(side, side, **more)])


def tiff_pages(count: int, strips: int, step: int) -> bytes:
    """A TIFF of that many pages, each with lists of that many strips.

    All lists lie in the same zeros, each `step` bytes behind those of the page before.
    """
    length = 6 + 12 * len(_tiff_tags(8, 8))
    heap = 8 + length * count
    pages = [
        _tiff_tags(8, 8, **{
            f"t{tag}": Entry(tag, LONG, bytes(4), count=strips, offset=heap + step * page)
            for tag in (273, 279)
        })
        for page in range(count)
    ]  # fmt: skip
    following = {page: 8 + length * (page + 1) for page in range(count - 1)}
    return tiff(pages, following=following) + bytes(4 * strips + step * count)


def tiff_pages_in_pages(count: int = 100_000) -> bytes:
    """A TIFF whose directories lie over each other, each of 65,535 entries."""
    page = _tiff_tags(8, 8)
    first = 8 + 6 + 12 * len(page)
    head = tiff([page], following={0: first})
    entries = b"\xff" * (2 + 12 * 0xFFFF)
    return head + entries + b"".join(struct.pack("<I", first + 4 * n) for n in range(1, count))


def webp_lossless(side: int = 16_384) -> bytes:
    """A valid WebP of one colour, 16,384 x 16,384, in some 40 bytes.

    Every prefix code has one symbol, so that a pixel takes no bits at all.
    """
    bits = (side - 1) | (side - 1) << 14  # then: no alpha, version 0, no transform, cache, groups
    at = 14 + 14 + 1 + 3 + 1 + 1 + 1
    for _ in range(5):  # green, red, blue, alpha, distance: simple code, one symbol, 1 bit, 0
        bits |= 1 << at
        at += 4
    body = b"\x2f" + bits.to_bytes((at + 7) // 8 + 1, "little")
    body += bytes(len(body) % 2)
    riff = b"WEBPVP8L" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(riff)) + riff


def webp_canvas() -> bytes:
    """A WebP whose extended header claims the largest canvas (2²⁴ x 255) and holds nothing."""
    body = b"\x00" * 4 + b"\xff\xff\xff" + b"\xfe\x00\x00"
    riff = b"WEBPVP8X" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(riff)) + riff


def bmp(width: int, height: int) -> bytes:
    """A BMP of 24 bits with these sizes in its header (signed) over 64 bytes of pixels."""
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 2835, 2835, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 64, 0, 0, 54) + header + bytes(64)


def isobmff_huge(kind: str) -> bytes:
    """A HEIC or AVIF whose `ispe` boxes claim 65,535 x 65,535."""
    data = bytearray(photo(64, 48, format=kind))
    at = data.find(b"ispe")
    while at >= 0:
        struct.pack_into(">II", data, at + 8, 65_535, 65_535)
        at = data.find(b"ispe", at + 4)
    return bytes(data)


def bombs() -> dict[str, bytes]:
    """Every bomb by its file name."""
    return {
        "bilevel-60000.png": png_bilevel(),
        "rgb-20000.png": png_rgb(),
        "grey-12000.png": png_grey(),
        "promises-more.png": png_promises_more(),
        "promises-less.png": png_promises_less(),
        "ztxt-256m.png": png_text_bomb(),
        "iccp-256m.png": png_profile_bomb(),
        "chunk-flood.png": png_chunk_flood(),
        "screen-65535.gif": gif_huge_screen(),
        "frame-65535.gif": gif_huge_screen(frame=True),
        "frames-20000.gif": gif_many_frames(),
        "claims-65500.jpg": jpeg_huge(),
        "claims-65500-progressive.jpg": jpeg_huge(scans=True),
        "scans-2000.jpg": jpeg_many_scans(),
        "scans-2000-cmyk.jpg": jpeg_many_scans(mode="CMYK"),
        "strips-2g.tif": tiff_many_strips(),
        "sides-2g.tif": tiff_huge(),
        "sides-4g.tif": tiff_beyond_integers(),
        "deflate-12000.tif": tiff_deflate(),
        "pages-share-strips.tif": tiff_pages(3000, 100_000, 0),
        "pages-shift-strips.tif": tiff_pages(3000, 100_000, 4),
        "pages-in-pages.tif": tiff_pages_in_pages(),
        "lossless-16384.webp": webp_lossless(),
        "canvas-16m.webp": webp_canvas(),
        "height-negative.bmp": bmp(8, -0x7FFFFFFF),
        "height-min.bmp": bmp(8, -0x80000000),
        "sides-huge.bmp": bmp(0x7FFFFFFF, 0x7FFFFFFF),
        "width-negative.bmp": bmp(-8, 8),
        "claims-65535.heic": isobmff_huge("HEIF"),
        "claims-65535.avif": isobmff_huge("AVIF"),
    }
