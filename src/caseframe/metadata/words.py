"""IPTC and XMP as Exiv2 gives them: raw text, and readable values by ExifTool's names."""

from __future__ import annotations

from typing import Any

from caseframe.domain.text import one_line
from caseframe.metadata import decode
from caseframe.metadata.dates import parse
from caseframe.metadata.names import iptc_name, xmp_name
from caseframe.metadata.record import DERIVED_KEYS, TAGS_MOST, VALUE_MOST, Reading
from caseframe.metadata.values import FORMATTERS, XMP_UNSAFE, Value, numbers

_SMALL = 512
"""Bytes up to which Exiv2's own text of a value is used."""
_BINARY = 64
"""Bytes of undefined type beyond which only the length and the start are kept."""
_HEX_SHOWN = 32
_ITEMS_SHOWN = 1000
_EXIF_IN_XMP = ("Xmp.exif.", "Xmp.tiff.", "Xmp.exifEX.", "Xmp.aux.", "Xmp.photoshop.ColorMode")
_NUMERIC_XMP = frozenset({"Rating", "RatingPercent", "ImageWidth", "ImageHeight", "Urgency"})


def iptc_tags(tags: Any, reading: Reading) -> None:
    """IPTC data sets, in the character set that the first record declares."""
    codec: str | None = None
    for place, datum in enumerate(tags):
        if place >= TAGS_MOST:
            reading.flag(f"more than {TAGS_MOST} IPTC tags; the rest left out")
            return
        key: str = datum.key()
        kind: str = datum.typeName()
        if key == "Iptc.Envelope.CharacterSet":
            codec = decode.iptc_codec(datum.toString())
        if kind == "String":
            text = reading.checked(key, decode.iptc(_iptc_bytes(datum), codec))
        elif kind == "Undefined" and datum.size() > _BINARY:
            text = f"(binary, {datum.size()} bytes) {_bytes(datum, _HEX_SHOWN).hex()}…"
        else:
            text = reading.checked(key, decode.from_exiv2(datum.toString()[:VALUE_MOST]))
        if kind == "Time":
            # Exiv2 makes +00:00 of a time that has no offset, so a zero offset says nothing.
            text = text.removesuffix("+00:00")
        if reading.keep("IPTC", key, text, always=key in DERIVED_KEYS):
            reading.append("IPTC", iptc_name(key), _iptc_value(key, kind, text))


def _bytes(datum: Any, most: int) -> bytes:
    return bytes(datum.value().data()[:most])


def _iptc_bytes(datum: Any) -> bytes:
    if datum.size() > _SMALL:
        return _bytes(datum, VALUE_MOST * 4)
    text: str = datum.toString()
    return text.encode("utf-8", "surrogateescape")


def _iptc_value(key: str, kind: str, text: str) -> str | int | float:
    if kind == "Short" and text.isdigit():
        return int(text)
    if kind == "Date":
        return text.replace("-", ":")
    if key == "Iptc.Envelope.CharacterSet":
        return "UTF8" if decode.iptc_codec(text) == "utf-8" else text
    return text.rstrip()


def xmp_tags(tags: Any, reading: Reading) -> None:
    """XMP properties, by their local names."""
    for place, datum in enumerate(tags):
        if place >= TAGS_MOST:
            reading.flag(f"more than {TAGS_MOST} XMP properties; the rest left out")
            return
        key: str = datum.key()
        whole: str = datum.toString()
        text = reading.checked(key, decode.from_exiv2(whole[: VALUE_MOST + 1]))
        if not reading.keep("XMP", key, text, always=key in DERIVED_KEYS):
            continue
        kind: str = datum.typeName()
        if kind == "XmpText":
            if text.startswith('type="') or "?" in key:
                continue  # the node above a structure, or a qualifier such as xml:lang
            _show_xmp(key, _xmp_text(key, text), reading)
        elif kind == "LangAlt":
            _languages(key, datum, reading)
        else:
            _show_xmp(key, _items(key, datum, reading), reading)


def _show_xmp(key: str, value: Value, reading: Reading) -> None:
    """Items of one array become a list; the same name from another namespace gets its prefix."""
    name = xmp_name(key)
    if "[" in key:
        reading.append("XMP", name, value)
        return
    if reading.metadata.get("XMP", {}).get(name, value) != value:
        name = f"{key.split('.', 2)[1]}:{name}"
    reading.show("XMP", name, value)


def _xmp_text(key: str, text: str) -> str | int | float:
    """XMP keeps all as text; Exif tags in it are made readable as in Exif, dates as ExifTool's."""
    name = xmp_name(key)
    if key.startswith(_EXIF_IN_XMP) and name not in XMP_UNSAFE:
        formatter = FORMATTERS.get(name, numbers if text[:1].isdigit() else None)
        if formatter is not None:
            try:
                value = formatter(text)
            except (ValueError, ArithmeticError, IndexError):
                value = text
            if not isinstance(value, list):
                return value if value != text else _dated(text)
    if name in _NUMERIC_XMP and text.isascii() and text.lstrip("-").isdigit():
        return int(text)
    return _dated(text)


def _dated(text: str) -> str:
    """`2008-10-22T16:28:39+02:00` as `2008:10:22 16:28:39+02:00`; other text as it is."""
    if text[4:5] != "-" or text[7:8] != "-" or parse(text) is None:
        return text
    return text[:10].replace("-", ":") + text[10:].replace("T", " ", 1)


def _languages(key: str, datum: Any, reading: Reading) -> None:
    """The default text under the plain name, each other language under `Title-fr`."""
    name = xmp_name(key)
    texts: dict[str, str] = dict(datum.value())
    for language, text in list(texts.items())[:_ITEMS_SHOWN]:
        value = decode.from_exiv2(text).text[:VALUE_MOST]
        if not reading.afford(len(name) + len(language) + len(value), value):
            return
        plain = language == "x-default" or len(texts) == 1
        reading.show("XMP", name if plain else f"{name}-{one_line(language, 20)}", value)


def _items(key: str, datum: Any, reading: Reading) -> Value:
    """One item as itself, several as a list."""
    count = datum.count()
    if count > _ITEMS_SHOWN:
        reading.flag(f"{key}: {count} items, the first {_ITEMS_SHOWN} shown")
    value = datum.value()
    items: list[str] = []
    for place in range(min(count, _ITEMS_SHOWN)):
        text = decode.from_exiv2(value[place]).text[:VALUE_MOST]
        if not reading.afford(len(text), text):
            break
        items.append(text)
    if len(items) > 1 and not key.startswith(_EXIF_IN_XMP):
        return [_xmp_text(key, item) for item in items]
    return _xmp_text(key, " ".join(items))  # an Exif tag of several numbers
