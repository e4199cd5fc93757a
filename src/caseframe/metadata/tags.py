"""Exif tags as Exiv2 gives them: raw text, and readable values by ExifTool's names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import exiv2

from caseframe.metadata import decode
from caseframe.metadata.dates import DATE_KEYS, parse
from caseframe.metadata.names import STANDARD_IFDS, STRUCTURAL, exif_name
from caseframe.metadata.record import DERIVED_KEYS, TAGS_MOST, VALUE_MOST, Reading
from caseframe.metadata.values import FORMATTERS, Formatter, Value, numbers

_SMALL = 512
"""Bytes; a value up to here is turned to text by Exiv2, a larger one only in part."""
_BINARY = 64
"""Bytes of undefined type beyond which a value is a blob, not something to read."""
_HEX_SHOWN = 32
_NUMBERS_SHOWN = 16

_BYTE_TYPES = ("Undefined", "Byte", "SByte")
_COMMENT_KEYS = frozenset(
    {
        "Exif.Photo.UserComment",
        "Exif.GPSInfo.GPSProcessingMethod",
        "Exif.GPSInfo.GPSAreaInformation",
    }
)
_OTHER_IFD = {"Image": "Photo", "Photo": "Image"}
_XP_PREFIX = "Exif.Image.XP"


@dataclass(frozen=True, slots=True)
class _Tag:
    """What the tables say about one Exif key; asked for once, then remembered."""

    key: str
    name: str
    group: str
    standard: bool
    plain_ifd: bool
    """Of the picture itself, not of its thumbnail or another picture in the file."""
    hidden: bool
    """Kept raw only: a pointer, a container, or a tag without a name."""
    derived: bool
    date: bool
    formatter: Formatter | None
    comment: bool
    utf16: bool


@lru_cache(maxsize=8192)
def _tag(key: str) -> _Tag:
    group = key.split(".", 2)[1]
    name = exif_name(key)
    if name.startswith("0x") and group in _OTHER_IFD:
        name = exif_name(_misplaced(int(name, 16), _OTHER_IFD[group]) or key)
    return _Tag(
        key=key,
        name=name,
        group=group,
        standard=group in STANDARD_IFDS,
        plain_ifd=group in ("Image", "Photo", "GPSInfo", "Iop"),
        hidden=key in STRUCTURAL or name.startswith("0x"),
        derived=key in DERIVED_KEYS,
        date=key in DATE_KEYS,
        formatter=FORMATTERS.get(name) if group in STANDARD_IFDS else None,
        comment=key in _COMMENT_KEYS,
        utf16=key.startswith(_XP_PREFIX),
    )


def _misplaced(tag: int, group: str) -> str | None:
    """The key of a tag that belongs in another directory, where some programs put it wrongly."""
    try:
        key: str = exiv2.ExifKey(tag, group).key()
    except exiv2.Exiv2Error:
        return None
    return None if ".0x" in key else key


def exif_tags(image: Any, reading: Reading) -> None:
    """Standard tags first, then vendors', so that a huge maker note displaces nothing."""
    tags = image.exifData()
    reader = _Reader(tags, reading, image.byteOrder() != exiv2.ByteOrder.bigEndian)
    vendor: list[tuple[Any, _Tag]] = []
    minor: list[tuple[str, Value]] = []
    for place, datum in enumerate(tags):
        if place >= TAGS_MOST:
            reading.flag(f"more than {TAGS_MOST} Exif tags; the rest left out")
            break
        tag = _tag(datum.key())
        if not tag.standard:
            vendor.append((datum, tag))
            continue
        kind = datum.typeName()
        text = reader.text(datum, tag, kind)
        if not reading.keep("Exif", tag.key, text, always=tag.derived) or tag.hidden:
            continue
        value = reader.readable(datum, tag, kind, text)
        if tag.plain_ifd:
            reading.show("Exif", tag.name, value, replace=tag.group == "Photo")
        else:
            minor.append((tag.name, value))
    for name, value in minor:
        reading.show("Exif", name, value)
    for datum, tag in vendor:
        reader.vendor(datum, tag)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Turns the tags of one picture into text and values."""

    tags: Any
    reading: Reading
    little_endian: bool

    def text(self, datum: Any, tag: _Tag, kind: str) -> str:
        """A standard tag's raw value as text."""
        if kind == "Ascii":
            text = self._ascii(datum, tag.key)
            if tag.date and parse(text) is None:
                self.reading.flag(f"{tag.key}: not a possible date: {text[:40]!r}")
            return text
        if tag.comment and kind in _BYTE_TYPES:
            raw = _bytes(datum, VALUE_MOST * 2)
            comment = decode.user_comment(raw, little_endian=self.little_endian)
            return self.reading.checked(tag.key, comment)
        size: int = datum.size()
        if kind in _BYTE_TYPES:
            if tag.utf16:
                words = decode.utf16_le(_bytes(datum, VALUE_MOST * 2))
                return self.reading.checked(tag.key, words)
            if size > _BINARY:
                return _blob(datum, size)
        return _array(datum, kind) if size > _SMALL else str(datum.toString())

    def _ascii(self, datum: Any, key: str) -> str:
        """Exiv2 ends text at the first NUL; what stands behind one is fetched from the bytes."""
        size: int = datum.size()
        if size <= _SMALL:
            text: str = datum.toString()
            if size - len(text) in (0, 1) and text.isascii():
                return text
        return self.reading.checked(key, decode.plain(_bytes(datum, VALUE_MOST * 4)))

    def readable(self, datum: Any, tag: _Tag, kind: str, text: str) -> Value:
        """One value as people know it. What is not as it should be stays raw, flagged."""
        if tag.formatter is None and (kind == "Ascii" or tag.comment or tag.utf16):
            return text.rstrip()
        if text[:1] == "(" and datum.size() > _BINARY:
            return f"(Binary data {datum.size()} bytes)"
        try:
            if tag.formatter is not None:
                return tag.formatter(text)
            if kind == "Undefined":
                return self._printed(datum)
            if "/0" in text and any(part.endswith("/0") for part in text.split()):
                self.reading.flag(f"{tag.key}: denominator 0: {text[:60]!r}")
            return numbers(text)
        except ZeroDivisionError:
            self.reading.flag(f"{tag.key}: denominator 0: {text[:60]!r}")
        except (ValueError, ArithmeticError, IndexError):
            self.reading.flag(f"{tag.key}: not a value of this tag: {text[:60]!r}")
        return text.rstrip()

    def _printed(self, datum: Any) -> str:
        """Exiv2's own interpretation; printing is its business, and what it raises too."""
        try:
            text = datum.print(self.tags)
        except (exiv2.Exiv2Error, ValueError, ArithmeticError, LookupError, RuntimeError):
            text = datum.toString()
        return decode.from_exiv2(text).text.rstrip()

    def vendor(self, datum: Any, tag: _Tag) -> None:
        """A vendor's tag: raw, and as Exiv2 prints it when it has a name and is not a blob."""
        size: int = datum.size()
        kind: str = datum.typeName()
        if size <= _BINARY:
            text = decode.from_exiv2(datum.toString()).text
        elif kind == "Ascii":
            text = decode.plain(_bytes(datum, VALUE_MOST)).text
        else:
            text = _blob(datum, size) if kind in _BYTE_TYPES else _array(datum, kind)
        if not self.reading.keep("MakerNotes", tag.key, text) or tag.hidden:
            return
        if size <= _BINARY:
            text = self._printed(datum)
        elif kind != "Ascii":
            return
        name = tag.name
        if name in self.reading.metadata.get("MakerNotes", ()):
            name = f"{tag.group}.{name}"
        self.reading.show("MakerNotes", name, text.strip())


def _bytes(datum: Any, most: int) -> bytes:
    return bytes(datum.value().data()[:most])


def _blob(datum: Any, size: int) -> str:
    return f"(binary, {size} bytes) {_bytes(datum, _HEX_SHOWN).hex()}…"


def _array(datum: Any, kind: str) -> str:
    """The first numbers of a long array; the whole is data, not something to read."""
    value = datum.value()
    count = datum.count()
    try:
        first = [value[place] for place in range(min(count, _NUMBERS_SHOWN))]
    except TypeError:  # a type of value that cannot be indexed
        return f"({kind}, {count} values)"
    words = (f"{x[0]}/{x[1]}" if isinstance(x, tuple) else str(x) for x in first)
    return f"({kind}, {count} values) {' '.join(words)} …"
