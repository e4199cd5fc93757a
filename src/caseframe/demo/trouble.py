"""Files that are broken, mislabelled or no pictures at all, as every old disk holds some."""

from __future__ import annotations

import struct
import zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CUT = 0.6


def truncated(data: bytes) -> bytes:
    """The first 60 % of a file, as an interrupted copy leaves it."""
    return data[: int(len(data) * _CUT)]


def chunk(kind: bytes, body: bytes) -> bytes:
    """One PNG chunk with its length and its right checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def bad_checksum(png: bytes) -> bytes:
    """A PNG whose first pixel chunk fails its checksum, its pixels as they were."""
    at = png.index(b"IDAT")
    (length,) = struct.unpack(">I", png[at - 4 : at])
    end = at + 4 + length
    (checksum,) = struct.unpack(">I", png[end : end + 4])
    return png[:end] + struct.pack(">I", checksum ^ 0x5A5A5A5A) + png[end + 4 :]


def claims_huge(_: bytes) -> bytes:
    """A PNG of 80 bytes whose header promises 60,000 x 60,000 pixels of one bit."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 1, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(64))
    return _SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def note(_: bytes) -> bytes:
    """Plain text."""
    return b"Not a picture: a shopping list.\nbread, milk, film for the old camera\n"


def empty(_: bytes) -> bytes:
    """Nothing."""
    return b""


def pdf(_: bytes) -> bytes:
    """A PDF of one page with one line of text, its cross-reference table right."""
    text = b"BT /F1 24 Tf 72 700 Td (Harbour Office - annual report) Tj ET"
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources 6 0 R >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Font << /F1 5 0 R >> >>",
    )
    file, table = b"%PDF-1.4\n", b"0000000000 65535 f \n"
    for number, body in enumerate(objects, 1):
        table += b"%010d 00000 n \n" % len(file)
        file += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    trailer = b"trailer\n<< /Size 7 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(file)
    return file + b"xref\n0 7\n" + table + trailer


def film(_: bytes) -> bytes:
    """The beginning of an MP4 film: a file type box and an empty data box."""
    kind = b"isom" + struct.pack(">I", 512) + b"isomiso2avc1mp41"
    boxes = ((b"ftyp", kind), (b"free", b""), (b"mdat", bytes(256)))
    return b"".join(struct.pack(">I", 8 + len(body)) + name + body for name, body in boxes)
