"""The type of a file by its content; a name is only ever compared with what was found."""

from __future__ import annotations

import mimetypes
import struct
from dataclasses import dataclass
from functools import cache

import puremagic

HEAD = 4096
"""Bytes that suffice to type a file."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of content. `picture` marks the formats that Caseframe decodes."""

    mime: str
    format: str
    picture: bool = False
    extensions: tuple[str, ...] = ()


JPEG = Kind("image/jpeg", "JPEG", True, ("jpg", "jpeg", "jpe", "jfif", "jif", "mpo"))
PNG = Kind("image/png", "PNG", True, ("png", "apng"))
WEBP = Kind("image/webp", "WebP", True, ("webp",))
TIFF = Kind("image/tiff", "TIFF", True, ("tif", "tiff"))
GIF = Kind("image/gif", "GIF", True, ("gif",))
BMP = Kind("image/bmp", "BMP", True, ("bmp", "dib"))
HEIC = Kind("image/heic", "HEIC", True, ("heic", "heif", "hif"))
AVIF = Kind("image/avif", "AVIF", True, ("avif", "avifs"))
EMPTY = Kind("inode/x-empty", "empty")
UNKNOWN = Kind("application/octet-stream", "unknown")
PLAIN = Kind("text/plain", "text")
ZIP = Kind("application/zip", "zip")

PICTURES = (JPEG, PNG, WEBP, TIFF, GIF, BMP, HEIC, AVIF)

_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}
# Sizes of the header that follows the BMP file header, from OS/2 1.x to version 5.
_DIB_SIZES = {12, 16, 40, 52, 56, 64, 108, 124}
_TEXTUAL = {
    "application/pdf",
    "application/postscript",
    "application/xml",
    "application/json",
    "application/rtf",
    "image/svg+xml",
}
_RAW_MAGIC = (
    (b"FUJIFILMCCD-RAW", 0, Kind("image/x-fuji-raf", "RAF")),
    (b"IIRO", 0, Kind("image/x-olympus-orf", "ORF")),
    (b"IIRS", 0, Kind("image/x-olympus-orf", "ORF")),
    (b"MMOR", 0, Kind("image/x-olympus-orf", "ORF")),
    (b"IIU\0", 0, Kind("image/x-panasonic-rw2", "RW2")),
    (b"FOVb", 0, Kind("image/x-sigma-x3f", "X3F")),
    (b"ftypcrx ", 4, Kind("image/x-canon-cr3", "CR3")),
)
_RAW_OTHER = Kind("image/x-raw", "RAW")
_DNG = Kind("image/x-adobe-dng", "DNG")
_CR2 = Kind("image/x-canon-cr2", "CR2")


def sniff(data: bytes) -> Kind:
    """The kind of content that starts with `data` (at least its first 4 kB, or all of it)."""
    if not data:
        return EMPTY
    return _picture(data) or _raw(data) or _other(data[:HEAD])


def _picture(data: bytes) -> Kind | None:
    if data.startswith(b"\xff\xd8\xff"):
        return JPEG
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return WEBP
    if data.startswith((b"GIF87a", b"GIF89a")):
        return GIF
    if data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return _tiff(data)
    if data.startswith(b"BM") and len(data) >= 18:
        return BMP if struct.unpack_from("<I", data, 14)[0] in _DIB_SIZES else None
    if data[4:8] == b"ftyp":
        return _isobmff(data)
    return None


def _isobmff(data: bytes) -> Kind | None:
    length = struct.unpack_from(">I", data)[0]
    brands = {data[8:12]} | {data[i : i + 4] for i in range(16, min(length, 128, len(data)), 4)}
    if brands & _AVIF_BRANDS:
        return AVIF
    return HEIC if brands & _HEIF_BRANDS else None


def _raw(data: bytes) -> Kind | None:
    return next((kind for magic, at, kind in _RAW_MAGIC if data.startswith(magic, at)), None)


def _tiff(data: bytes) -> Kind:
    """TIFF, or one of the camera RAW formats that are built on it (TIFF 6.0, DNG 1.7).

    RAW files hold a reduced preview first (NewSubfileType 1) and the sensor's data in SubIFDs,
    or a maker's own compression; DNG says so itself.
    """
    if data[8:10] == b"CR":
        return _CR2
    tags = _first_directory(data)
    if 0xC612 in tags:
        return _DNG
    maker = tags.get(259) in {34713, 32767, 32769, 32770, 65535}
    preview = tags.get(254) == 1 and 330 in tags and 271 in tags
    return _RAW_OTHER if maker or preview else TIFF


def _first_directory(data: bytes) -> dict[int, int]:
    """Tag -> value (or offset) of a classic TIFF's first directory; empty where unreadable."""
    order = "<" if data[:1] == b"I" else ">"
    try:
        (at,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, at)
        entries = [
            struct.unpack_from(order + "HHI4s", data, at + 2 + 12 * i)
            for i in range(min(count, 512))
        ]
    except struct.error:
        return {}
    short = {3: "H", 4: "I"}
    return {
        tag: struct.unpack_from(order + short.get(kind, "I"), value)[0]
        for tag, kind, _, value in entries
    }


def _other(head: bytes) -> Kind:
    if head.startswith(b"PK\x03\x04"):  # puremagic guesses an office format from these four bytes
        return ZIP
    try:
        mime = puremagic.from_string(head, mime=True)
    except (puremagic.PureError, ValueError, IndexError, struct.error):
        mime = ""
    # Short magic numbers match ordinary prose, so text is only believed to be a kind of text.
    if _text(head) and not mime.startswith("text/") and mime not in _TEXTUAL:
        return PLAIN
    return Kind(mime, mime.partition("/")[2]) if mime else UNKNOWN


# Control characters but tab, line feed, form feed, carriage return and escape.
_NOT_IN_TEXT = bytes(set(range(32)) - {9, 10, 12, 13, 27})


def _text(head: bytes) -> bool:
    if head.translate(None, _NOT_IN_TEXT) != head:
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4  # a character cut at the end of what we looked at
    return True


def extension_note(path: bytes, kind: Kind) -> str | None:
    """A remark when a picture's extension names another type, or another type's a picture.

    None when it fits or is missing.
    """
    name = path.rpartition(b"/")[2]
    stem, dot, extension = name.rpartition(b".")
    if not dot or not stem or not extension:
        return None
    shown = extension.decode("utf-8", "replace").lower()
    if shown in kind.extensions:  # nearly always; what all types are called takes a while to load
        return None
    if shown not in (_claims() if kind.picture else _PICTURE_NAMES):
        return None
    return f"the extension .{shown} is wrong: {_content(kind)}"


def _content(kind: Kind) -> str:
    if kind in (EMPTY, UNKNOWN):
        return "the file is empty" if kind == EMPTY else "the content is of no known type"
    return f"the content is {kind.format if kind.picture else kind.mime}"


_PICTURE_NAMES = frozenset().union(*(kind.extensions for kind in PICTURES))


@cache
def _claims() -> frozenset[str]:
    """Extensions that claim any type at all; `.backup` or `.1` claims none."""
    known = {row.extension for row in puremagic.magic_header_array}
    known |= mimetypes.MimeTypes().types_map[True].keys()
    return frozenset({name.lstrip(".") for name in known}) | _PICTURE_NAMES
