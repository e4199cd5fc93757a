"""Pictures whose metadata are made byte by byte, for the tests of the exif stage."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache

from PIL import Image

from caseframe.stages.exif import ExifResult

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, SIGNED = 1, 2, 3, 4, 5, 7, 10
SIZES = {BYTE: 1, ASCII: 1, SHORT: 2, LONG: 4, RATIONAL: 8, UNDEFINED: 1, SIGNED: 8}

Entry = tuple[int, bytes]
"""A TIFF type and the bytes of its values."""
Read = Callable[[bytes], ExifResult]
"""What the stage finds in these bytes: what the fixture `read` gives."""


def text(value: str | bytes) -> Entry:
    raw = value.encode() if isinstance(value, str) else value
    return ASCII, raw + b"\x00"


def short(*values: int) -> Entry:
    return SHORT, struct.pack(f"<{len(values)}H", *values)


def ratio(*values: int) -> Entry:
    return RATIONAL, struct.pack(f"<{len(values)}I", *values)


def directory(entries: dict[int, Entry], at: int, following: int = 0) -> bytes:
    """One little-endian TIFF directory that stands at `at`, its values behind it."""
    head, values = struct.pack("<H", len(entries)), b""
    behind = at + 2 + 12 * len(entries) + 4
    for tag, (kind, raw) in sorted(entries.items()):
        head += struct.pack("<HHI", tag, kind, len(raw) // SIZES[kind])
        if len(raw) <= 4:
            head += raw.ljust(4, b"\x00")
        else:
            head += struct.pack("<I", behind + len(values))
            values += raw + b"\x00" * (len(raw) & 1)
    return head + struct.pack("<I", following) + values


def tiff(
    main: dict[int, Entry],
    exif: dict[int, Entry] | None = None,
    gps: dict[int, Entry] | None = None,
) -> bytes:
    parts = {0x8769: exif, 0x8825: gps}
    pointers = {tag: (LONG, bytes(4)) for tag, part in parts.items() if part is not None}
    at = 8 + len(directory({**main, **pointers}, 8))
    behind = b""
    for tag, part in parts.items():
        if part is not None:
            pointers[tag] = (LONG, struct.pack("<I", at + len(behind)))
            behind += directory(part, at + len(behind))
    return b"II*\x00\x08\x00\x00\x00" + directory({**main, **pointers}, 8) + behind


def picture(form: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 30, 30)).save(out, form, **options)
    return out.getvalue()


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def jpeg(*segments: bytes) -> bytes:
    whole = picture("JPEG")
    return whole[:2] + b"".join(segments) + whole[2:]


def with_exif(block: bytes) -> bytes:
    return jpeg(segment(0xE1, b"Exif\x00\x00" + block))


def xmp(properties: str, attributes: str = "") -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF'
        ' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
        ' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
        ' xmlns:exif="http://ns.adobe.com/exif/1.0/"'
        ' xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"'
        ' xmlns:stEvt="http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"'
        f' xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/" {attributes}>{properties}'
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def with_xmp(packet: bytes, mark: bytes = b"http://ns.adobe.com/xap/1.0/\x00") -> bytes:
    return jpeg(segment(0xE1, mark + packet))


def with_iptc(*sets: tuple[int, int, bytes]) -> bytes:
    body = b"".join(
        struct.pack(">BBBH", 0x1C, record, number, len(raw)) + raw for record, number, raw in sets
    )
    block = (
        b"8BIM\x04\x04\x00\x00" + struct.pack(">I", len(body)) + body + b"\x00" * (len(body) & 1)
    )
    return jpeg(segment(0xED, b"Photoshop 3.0\x00" + block))


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(*chunks: bytes) -> bytes:
    whole = picture("PNG")
    return whole[:33] + b"".join(chunks) + whole[33:]


@cache
def bomb(megabytes: int) -> bytes:
    engine = zlib.compressobj(9)
    return b"".join(engine.compress(bytes(1 << 20)) for _ in range(megabytes)) + engine.flush()


CAMERA = {
    0x010F: text("ACME"),
    0x0110: text("Shot 3"),
    0x0112: short(6),
    0x0131: text("firmware 1.2"),
    0x0132: text("2021:02:03 04:05:06"),
}
SHOT = {
    0x829A: ratio(10, 2000),
    0x829D: ratio(56, 10),
    0x8827: short(200),
    0x9003: text("2021:02:03 04:05:06"),
    0x9004: text("2021:02:03 04:05:07"),
    0x9011: text("+05:30"),
    0x9204: (SIGNED, struct.pack("<ii", -2, 6)),
    0x9209: short(16),
    0x920A: ratio(50, 1),
    0x9291: text("042"),
    0xA432: ratio(18, 1, 55, 1, 35, 10, 56, 10),
    0xA434: text("ACME 18-55"),
}


GPS = {
    0x0001: text("S"),
    0x0002: ratio(43, 1, 28, 1, 281_400_000, 100_000_000),
    0x0003: text("W"),
    0x0004: ratio(11, 1, 53, 1, 6, 1),
    0x0005: (BYTE, b"\x01"),
    0x0006: ratio(325, 10),
    0x0007: ratio(14, 1, 27, 1, 724, 100),
    0x0010: text("M"),
    0x0011: ratio(935, 10),
    0x001D: text("2008:10:23"),
}
