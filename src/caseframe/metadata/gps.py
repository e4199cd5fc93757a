"""Where the metadata say a picture was taken: the facts, without judging them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction

from pydantic import BaseModel, ConfigDict

from caseframe.metadata.dates import parse
from caseframe.metadata.values import clock, ratio, sexagesimal

Flag = Callable[[str], None]

_GPS = "Exif.GPSInfo."
_XMP = "Xmp.exif."
_XMP_COORDINATE = re.compile(
    r"(\d{1,3}),(\d{1,3}(?:\.\d+)?)(?:,(\d{1,3}(?:\.\d+)?))?([NSEW])", re.ASCII
)
_NAMES = (
    "GPSLatitude",
    "GPSLatitudeRef",
    "GPSLongitude",
    "GPSLongitudeRef",
    "GPSAltitude",
    "GPSAltitudeRef",
    "GPSImgDirection",
    "GPSImgDirectionRef",
    "GPSTimeStamp",
    "GPSDateStamp",
    "GPSMapDatum",
    "GPSStatus",
)
GPS_KEYS: frozenset[str] = frozenset(
    {_GPS + name for name in _NAMES}
    | {_XMP + name for name in _NAMES if not name.endswith("tudeRef") or "Alti" in name}
)

_BELOW = ("1", "3")
"""GPSAltitudeRef: below sea level, as height above the ellipsoid's or the sea's zero (Exif 3.0)."""
_NORTH = {"T": "true", "M": "magnetic"}


class GpsFacts(BaseModel):
    """Position as the picture states it; ranges are not checked here.

    Each value is None where the picture does not say or says something unreadable.
    """

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="null")

    latitude: float | None = None
    """Degrees, north positive."""
    longitude: float | None = None
    """Degrees, east positive."""
    altitude_m: float | None = None
    """Metres, negative below sea level."""
    altitude_reference: str | None = None
    """`above` or `below` sea level as stated; None when not stated (taken as above)."""
    direction: float | None = None
    """Degrees clockwise from north that the camera looked towards."""
    direction_reference: str | None = None
    """`true` or `magnetic` north; None when not stated."""
    timestamp: str | None = None
    """UTC of the satellite fix, ISO 8601 (time only where there is no date)."""
    datum: str | None = None
    source: str = "EXIF"
    """`EXIF` or `XMP`: the block in which the coordinates stood."""


def gps_facts(kept: Mapping[str, str], flag: Flag) -> GpsFacts | None:
    """The position from Exif, else from XMP; None when the picture says nothing of the kind."""
    from_exif = _from_exif(kept, flag)
    if from_exif is not None and from_exif.latitude is not None:
        return from_exif
    from_xmp = _from_xmp(kept, flag)
    return from_xmp if from_xmp is not None else from_exif


def _from_exif(kept: Mapping[str, str], flag: Flag) -> GpsFacts | None:
    if not any(_GPS + name in kept for name in _NAMES):
        return None
    if kept.get(_GPS + "GPSStatus", "").startswith("V"):
        flag("Exif.GPSInfo.GPSStatus: V, the receiver had no valid measurement")
    latitude = _coordinate(kept, "GPSLatitude", "NS", flag)
    longitude = _coordinate(kept, "GPSLongitude", "EW", flag)
    if latitude is None or longitude is None:
        latitude = longitude = None
    altitude, reference = _altitude(kept, _GPS, flag)
    return GpsFacts.model_construct(
        latitude=latitude,
        longitude=longitude,
        altitude_m=altitude,
        altitude_reference=reference,
        direction=_number(kept, _GPS + "GPSImgDirection", flag),
        direction_reference=_NORTH.get(kept.get(_GPS + "GPSImgDirectionRef", "")[:1]),
        timestamp=_timestamp(kept, flag),
        datum=kept.get(_GPS + "GPSMapDatum", "").strip() or None,
        source="EXIF",
    )


def _coordinate(kept: Mapping[str, str], name: str, letters: str, flag: Flag) -> float | None:
    """Signed degrees. Without its letter a coordinate has no sign, and none is made up."""
    text = kept.get(_GPS + name)
    if text is None or not text.strip():
        return None
    letter = kept.get(_GPS + name + "Ref", "").strip().upper()[:1]
    try:
        value = sexagesimal(text)
        result = float(value)
    except (ValueError, ArithmeticError):
        flag(f"{_GPS}{name}: not a coordinate: {text[:60]!r}")
        return None
    if value and letter not in tuple(letters):
        flag(f"{_GPS}{name}Ref: neither {letters[0]} nor {letters[1]}, so the sign is unknown")
        return None
    return -result if letter == letters[1] and value else result


def _altitude(kept: Mapping[str, str], prefix: str, flag: Flag) -> tuple[float | None, str | None]:
    """Signed metres and the stated reference."""
    code = kept.get(prefix + "GPSAltitudeRef", "").strip()
    reference = None if not code else "below" if code in _BELOW else "above"
    metres = _number(kept, prefix + "GPSAltitude", flag)
    if metres is None:
        return None, None
    return (-metres if reference == "below" and metres else metres), reference


def _number(kept: Mapping[str, str], key: str, flag: Flag) -> float | None:
    text = kept.get(key)
    if text is None or not text.strip():
        return None
    try:
        return ratio(text.strip())
    except (ValueError, ArithmeticError):
        flag(f"{key}: not a number: {text[:60]!r}")
        return None


def _timestamp(kept: Mapping[str, str], flag: Flag) -> str | None:
    date, time = kept.get(_GPS + "GPSDateStamp"), kept.get(_GPS + "GPSTimeStamp")
    if time is None or not time.strip():
        return None
    try:
        hours = clock(time)
    except (ValueError, ArithmeticError):
        flag(f"{_GPS}GPSTimeStamp: not a time: {time[:60]!r}")
        return None
    if parse(f"2000:01:01 {hours}") is None:
        flag(f"{_GPS}GPSTimeStamp: not a possible time: {hours}")
        return None
    day = parse(date) if date is not None else None
    return f"{hours}Z" if day is None else f"{day.date}T{hours}Z"


def _from_xmp(kept: Mapping[str, str], flag: Flag) -> GpsFacts | None:
    texts = kept.get(_XMP + "GPSLatitude"), kept.get(_XMP + "GPSLongitude")
    if texts[0] is None or texts[1] is None:
        return None
    latitude, longitude = (
        _xmp_coordinate(text, letters) for text, letters in zip(texts, ("NS", "EW"), strict=True)
    )
    if latitude is None or longitude is None:
        flag(f"Xmp.exif.GPSLatitude, GPSLongitude: not coordinates: {texts!r}"[:200])
        return None
    altitude, reference = _altitude(kept, _XMP, flag)
    return GpsFacts.model_construct(
        latitude=latitude,
        longitude=longitude,
        altitude_m=altitude,
        altitude_reference=reference,
        direction=_number(kept, _XMP + "GPSImgDirection", flag),
        direction_reference=_NORTH.get(kept.get(_XMP + "GPSImgDirectionRef", "")[:1]),
        timestamp=_xmp_timestamp(kept),
        datum=kept.get(_XMP + "GPSMapDatum", "").strip() or None,
        source="XMP",
    )


def _xmp_coordinate(text: str | None, letters: str) -> float | None:
    """`43,28.0469N` or `43,28,2.814N` (XMP part 2, GPSCoordinate) in signed degrees."""
    match = _XMP_COORDINATE.fullmatch((text or "").strip())
    if match is None or match[4] not in letters:
        return None
    value = Fraction(match[1]) + Fraction(match[2]) / 60 + Fraction(match[3] or 0) / 3600
    return -float(value) if match[4] == letters[1] and value else float(value)


def _xmp_timestamp(kept: Mapping[str, str]) -> str | None:
    moment = parse(kept.get(_XMP + "GPSTimeStamp", ""))
    if moment is None or moment.time is None:
        return None
    part = f".{moment.fraction}" if moment.fraction else ""
    return f"{moment.date}T{moment.time}{part}Z" if moment.offset in (0, None) else None
