"""Raw values of Exif tags made readable, in the words that ExifTool prints by default.

Every formatter takes Exiv2's raw text (`59/10`, `43/1 28/1 281/100`, `2`) and raises ValueError
or ArithmeticError for text that is not what the specification asks for; the caller then keeps the
raw text. The meanings of codes are those of the Exif 3.0 specification (CIPA DC-008-2023).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

from caseframe.metadata.codes import CODES

Value = str | int | float | list[str | int | float]
"""What one tag may hold once readable; a list where the tag is repeated or holds an array."""

Formatter = Callable[[str], Value]

_QUARTER = 0.25001
"""Seconds; exposures up to here read as a fraction, as photographers write them."""
_THIRD_TOLERANCE = 0.0001
_SEXAGESIMAL = (1, 60, 3600)
_LENS_NUMBERS = 4
_TV_MOST = 100
"""APEX time value beyond which there is no exposure that a camera could have made."""
_MOST_EXPONENT = 99
_PRINTABLE = range(32, 127)
_MANY = 32
"""Numbers in one value beyond which only their count is shown."""


def ratio(text: str) -> float:
    """One rational `a/b` or number as the nearest float.

    A zero denominator raises ZeroDivisionError.
    """
    top, slash, bottom = text.partition("/")
    # Dividing two ints is correctly rounded, and far quicker than building a Fraction.
    return int(top) / int(bottom) if slash else float(_fraction(text))


def _fraction(text: str) -> Fraction:
    """A decimal number. Raises ValueError for what is none, or beyond what anything measures."""
    _, letter, exponent = text.lower().partition("e")
    if letter and abs(int(exponent)) > _MOST_EXPONENT:
        raise ValueError("its exponent is too large")  # Fraction would compute the power
    return Fraction(text)


def number(text: str) -> int | float:
    """One number: whole as int, any other as a float of ten significant digits."""
    if text.isdigit():
        return int(text)
    value = ratio(text)
    return int(value) if value.is_integer() else float(f"{value:.10g}")


def numbers(text: str) -> Value:
    """One number as itself, several as text with blanks between them; 0/0 reads `undef`."""
    if text.isdigit():
        return int(text)
    parts = text.split(None, _MANY + 1)
    if len(parts) == 1:
        return number(parts[0])
    if len(parts) > _MANY:
        return f"({len(text.split())} numbers)"
    return " ".join(_number_word(part) for part in parts)


def _number_word(text: str) -> str:
    try:
        return str(number(text))
    except ZeroDivisionError:
        return "undef" if text.startswith("0/") else "inf"


def exposure_time(text: str) -> Value:
    """Seconds: `1/200` below a quarter of a second, else one decimal, without a useless zero."""
    return _seconds(ratio(text))


def _seconds(seconds: float) -> Value:
    if 0 < seconds < _QUARTER:
        return f"1/{int(0.5 + 1 / seconds)}"
    rounded = round(seconds, 1)
    return int(rounded) if rounded == int(rounded) else rounded


def shutter_speed(text: str) -> Value:
    """APEX time value Tv, where the exposure is 2**-Tv seconds (Exif 3.0, annex C)."""
    tv = ratio(text)
    return _seconds(math.pow(2, -tv)) if abs(tv) < _TV_MOST else 0


def aperture(text: str) -> Value:
    """APEX aperture value Av, where the f-number is 2**(Av/2) (Exif 3.0, annex C)."""
    return round(math.pow(2, ratio(text) / 2), 1)


def f_number(text: str) -> Value:
    """An f-number with one decimal, two below f/1."""
    value = ratio(text)
    return round(value, 1 if value >= 1 else 2)


def compensation(text: str) -> Value:
    """Exposure values (EV): 0, whole, halves and thirds as fractions, all with their sign."""
    value = ratio(text)
    if value == 0:
        return 0
    for parts in (1, 2, 3):
        steps = round(value * parts)
        if steps and abs(value * parts / steps - 1) < _THIRD_TOLERANCE * 10:
            return f"{steps:+d}" if parts == 1 else f"{steps:+d}/{parts}"
    return f"{value:+.3g}"


def millimetres(text: str) -> Value:
    """A focal length: one decimal, and the unit."""
    return f"{ratio(text):.1f} mm"


def whole_millimetres(text: str) -> Value:
    """A focal length for 35 mm film, which the specification stores whole."""
    return f"{number(text)} mm"


def metres(text: str) -> Value:
    """A distance or height and its unit; an unsigned 0xFFFFFFFF numerator means infinity."""
    if text.startswith("4294967295/"):
        return "inf"
    return f"{number(text)} m"


def lens_info(text: str) -> Value:
    """Shortest and longest focal length (mm) and their lowest f-numbers: `18-55mm f/3.5-5.6`."""
    parts = [_number_word(part) for part in text.split()]
    if len(parts) != _LENS_NUMBERS:
        raise ValueError("a lens specification has four numbers")
    short, long, wide, tele = ("?" if part in ("undef", "inf") else part for part in parts)
    zoom = short if long in (short, "0") else f"{short}-{long}"
    light = wide if tele in (wide, "0") else f"{wide}-{tele}"
    return f"{zoom}mm f/{light}"


def degrees(text: str) -> Value:
    """Degrees, minutes and seconds, as `43 deg 28' 2.81"`; the reference is another tag."""
    whole = sexagesimal(text)
    hundredths = round(abs(whole) * 360_000)
    sign = "-" if whole < 0 and hundredths else ""
    minutes, rest = divmod(hundredths, 6_000)
    return f"{sign}{minutes // 60} deg {minutes % 60}' {rest / 100:.2f}\""


@lru_cache(maxsize=1024)
def sexagesimal(text: str) -> float:
    """Degrees (or hours) from one to three rationals, d + m/60 + s/3600, rounded only once.

    A zero denominator raises ZeroDivisionError, because the value cannot be trusted then.
    """
    parts = text.split()
    if not 1 <= len(parts) <= len(_SEXAGESIMAL):
        raise ValueError("coordinates have one to three numbers")
    top, bottom = 0, 1
    for part, unit in zip(parts, _SEXAGESIMAL, strict=False):
        numerator, denominator = _terms(part)
        over = denominator * unit
        top, bottom = top * over + numerator * bottom, bottom * over
    return top / bottom


def _terms(text: str) -> tuple[int, int]:
    """Numerator and denominator of one number, not reduced."""
    top, slash, bottom = text.partition("/")
    return (int(top), int(bottom)) if slash else _fraction(text).as_integer_ratio()


@lru_cache(maxsize=1024)
def clock(text: str) -> str:
    """Hours, minutes and seconds as three rationals: `14:27:07.24`."""
    hours, minutes, seconds = (_terms(part) for part in text.split())
    if hours[0] % hours[1] or minutes[0] % minutes[1]:
        raise ValueError("hours and minutes are whole numbers")
    whole, rest = divmod(seconds[0], seconds[1])
    decimals = f"{rest / seconds[1]:.9f}"[1:].rstrip("0").rstrip(".")
    return f"{hours[0] // hours[1]:02d}:{minutes[0] // minutes[1]:02d}:{whole:02d}{decimals}"


def dotted(text: str) -> Value:
    """A version as numbers with dots: `2.2.0.0`."""
    return ".".join(str(int(part)) for part in text.split())


def characters(text: str) -> Value:
    """Bytes given as numbers that are ASCII characters: `48 50 51 48` is `0230`."""
    codes = [int(part) for part in text.split()]
    if not all(code == 0 or code in _PRINTABLE for code in codes):
        raise ValueError("not ASCII")
    return "".join(chr(code) for code in codes).replace("\x00", "").strip()


def components(text: str) -> Value:
    """The order of colour components."""
    names = ("-", "Y", "Cb", "Cr", "R", "G", "B")
    return ", ".join(names[int(part)] for part in text.split())


def flash(text: str) -> Value:
    """The flash bits: fired (0), return (1-2), mode (3-4), no function (5), red-eye (6)."""
    bits = int(text)
    if bits >> 1 & 3 == 1 or bits >> 7:
        return f"Unknown (0x{bits:x})"  # a code that is reserved
    mode = ("", "On", "Off", "Auto")[bits >> 3 & 3]
    if bits == 0:
        return "No Flash"
    if bits & 0x20:
        return "Off, No flash function" if mode == "Off" else "No flash function"
    back = ("", "", "Return not detected", "Return detected")[bits >> 1 & 3]
    red_eye = "Red-eye reduction" if bits & 0x40 else ""
    fired = "Fired" if bits & 1 else "Did not fire"
    plain = (mode == "On" and bits & 1 and (back or red_eye)) or (mode == "Off" and red_eye)
    return ", ".join(word for word in (mode, "" if plain else fired, red_eye, back) if word)


def coded(name: str) -> Formatter:
    """The formatter of a tag whose values are codes; an unlisted code reads `Unknown (9)`."""
    table = CODES[name]

    def text_of(text: str) -> Value:
        known = table.get(text)
        return known if known is not None else f"Unknown ({text.strip()})"

    return text_of


FORMATTERS: dict[str, Formatter] = {
    "ExposureTime": exposure_time,
    "ShutterSpeedValue": shutter_speed,
    "ApertureValue": aperture,
    "MaxApertureValue": aperture,
    "FNumber": f_number,
    "ExposureCompensation": compensation,
    "FocalLength": millimetres,
    "FocalLengthIn35mmFormat": whole_millimetres,
    "SubjectDistance": metres,
    "GPSAltitude": metres,
    "GPSHPositioningError": metres,
    "LensInfo": lens_info,
    "DNGLensInfo": lens_info,
    "GPSLatitude": degrees,
    "GPSLongitude": degrees,
    "GPSDestLatitude": degrees,
    "GPSDestLongitude": degrees,
    "GPSTimeStamp": clock,
    "GPSVersionID": dotted,
    "DNGVersion": dotted,
    "DNGBackwardVersion": dotted,
    "ExifVersion": characters,
    "FlashpixVersion": characters,
    "InteropVersion": characters,
    "ComponentsConfiguration": components,
    "Flash": flash,
    **{name: coded(name) for name in CODES},
}

XMP_UNSAFE: frozenset[str] = frozenset(
    {"ExifVersion", "FlashpixVersion", "ComponentsConfiguration", "GPSVersionID", "GPSTimeStamp"}
    | {"GPSLatitude", "GPSLongitude", "GPSDestLatitude", "GPSDestLongitude", "Flash"}
)
"""Tags that XMP writes in another form than Exif, so that these formatters do not apply."""
