"""Dates in metadata, and which of them says when a picture was taken."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time
from functools import lru_cache

_DATE = re.compile(
    r"(\d{4})[:\-/.](\d\d)[:\-/.](\d\d)"
    r"(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9})\d*)?)?\s*(Z|[+-]\d\d:?\d\d)?)?",
    re.ASCII,
)
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)", re.ASCII)
_HOUR = 60
"""Minutes."""
_MOST_MINUTES = 14 * _HOUR
"""Minutes; no zone has been further from UTC than +14:00 (Kiribati) since zones exist."""

DATE_KEYS: frozenset[str] = frozenset(
    {
        "Exif.Image.DateTime",
        "Exif.Image.DateTimeOriginal",
        "Exif.Photo.DateTimeOriginal",
        "Exif.Photo.DateTimeDigitized",
        "Exif.GPSInfo.GPSDateStamp",
    }
)
"""Exif tags that hold a date and are checked, whether or not they tell the time of capture."""


@dataclass(frozen=True, slots=True)
class Captured:
    """A moment as ISO 8601, the tag it was read from, and minutes east of UTC where it says so."""

    at: str
    source: str
    offset_minutes: int | None


@dataclass(frozen=True, slots=True)
class _Source:
    """One place where the time of capture may stand: a date, and the keys that complete it."""

    name: str
    date: str
    time: str | None = None
    fraction: str | None = None
    offset: str | None = None


SOURCES: tuple[_Source, ...] = (
    _Source(
        "EXIF:DateTimeOriginal",
        "Exif.Photo.DateTimeOriginal",
        fraction="Exif.Photo.SubSecTimeOriginal",
        offset="Exif.Photo.OffsetTimeOriginal",
    ),
    _Source("EXIF:IFD0:DateTimeOriginal", "Exif.Image.DateTimeOriginal"),
    _Source(
        "EXIF:CreateDate",
        "Exif.Photo.DateTimeDigitized",
        fraction="Exif.Photo.SubSecTimeDigitized",
        offset="Exif.Photo.OffsetTimeDigitized",
    ),
    _Source("XMP-exif:DateTimeOriginal", "Xmp.exif.DateTimeOriginal"),
    _Source("XMP-photoshop:DateCreated", "Xmp.photoshop.DateCreated"),
    _Source("XMP-xmp:CreateDate", "Xmp.xmp.CreateDate"),
    _Source("XMP-exif:DateTimeDigitized", "Xmp.exif.DateTimeDigitized"),
    _Source(
        "IPTC:DateCreated",
        "Iptc.Application2.DateCreated",
        time="Iptc.Application2.TimeCreated",
    ),
    _Source(
        "IPTC:DigitalCreationDate",
        "Iptc.Application2.DigitizationDate",
        time="Iptc.Application2.DigitizationTime",
    ),
)
"""The order of trust: the camera's own clock at the shutter, then at digitising, then what people
and programs wrote. The date of the last change (ModifyDate) never counts as time of capture.

An offset from UTC is taken only from the tag that belongs to the date, or from the date itself.
None is derived from the GPS clock: its fix may be hours older than the picture (cameras repeat the
last one), so the difference between the two clocks is not the time zone.
"""

DATE_SOURCE_KEYS: frozenset[str] = frozenset(
    key
    for source in SOURCES
    for key in (source.date, source.time, source.fraction, source.offset)
    if key is not None
)


def captured(kept: Mapping[str, str], flag: Callable[[str], None]) -> Captured | None:
    """The first usable date in the order of `SOURCES`; unusable ones before it are flagged."""
    for source in SOURCES:
        text = kept.get(source.date)
        if text is None:
            continue
        if source.time is not None and source.time in kept:
            text = f"{text}T{kept[source.time]}"
        moment = parse(text)
        if moment is None:
            if source.date not in DATE_KEYS:
                flag(f"{source.date}: not a possible date: {text!r}")
            continue
        return _completed(moment, source, kept, flag)
    return None


@dataclass(frozen=True, slots=True)
class Moment:
    """A possible date, with its time when it has one; ISO 8601 parts, offset in minutes."""

    date: str
    time: str | None
    fraction: str
    offset: int | None


@lru_cache(maxsize=1024)
def parse(text: str) -> Moment | None:
    """A date as Exif, XMP or IPTC write it; None when it is unset, incomplete or impossible."""
    match = _DATE.fullmatch(text.strip("\x00 "))
    if match is None:
        return None
    year, month, day, hour, minute, second, part, zone = match.groups()
    try:
        date(int(year), int(month), int(day))
        time(int(hour or 0), int(minute or 0), int(second or 0))
    except ValueError:
        return None
    clock = None if hour is None else ":".join(p for p in (hour, minute, second) if p is not None)
    return Moment(f"{year}-{month}-{day}", clock, part or "", offset_minutes(zone or ""))


def offset_minutes(text: str) -> int | None:
    """Minutes east of UTC from `+02:00`, `-0330` or `Z`; None when it is none of these."""
    text = text.strip("\x00 ")
    if text == "Z":
        return 0
    match = _OFFSET.fullmatch(text)
    if match is None or int(match[3]) >= _HOUR:
        return None
    minutes = int(match[2]) * _HOUR + int(match[3])
    if minutes > _MOST_MINUTES:
        return None
    return -minutes if match[1] == "-" else minutes


def _completed(
    moment: Moment, source: _Source, kept: Mapping[str, str], flag: Callable[[str], None]
) -> Captured:
    fraction, offset = moment.fraction, moment.offset
    for key, value in _companions(source, kept):
        if key == source.fraction and not fraction:
            if value.isascii() and value.isdigit():
                fraction = value[:9]
            else:
                flag(f"{key}: not digits: {value[:40]!r}")
        elif key == source.offset and offset is None:
            offset = offset_minutes(value)
            if offset is None:
                flag(f"{key}: not an offset from UTC: {value[:40]!r}")
    return Captured(_iso(moment, fraction, offset), source.name, offset if moment.time else None)


def _companions(source: _Source, kept: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The sub-second and offset tags that are there and not blank (blank means unknown)."""
    for key in (source.fraction, source.offset):
        value = kept.get(key, "").strip("\x00 :") if key is not None else ""
        if key is not None and value:
            yield key, value


def _iso(moment: Moment, fraction: str, offset: int | None) -> str:
    if moment.time is None:
        return moment.date
    text = f"{moment.date}T{moment.time}"
    if fraction and len(moment.time) == len("hh:mm:ss"):
        text += f".{fraction}"
    if offset is None:
        return text
    sign = "-" if offset < 0 else "+"
    return f"{text}{sign}{abs(offset) // _HOUR:02d}:{abs(offset) % _HOUR:02d}"
