"""Fields with values that are compared, not words: date, size, faces, state, digests."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from caseframe.domain.errors import UsageError
from caseframe.domain.evidence import PICTURE_STATES
from caseframe.domain.text import one_line

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400
MOST = 2**62
"""Larger than any number that is compared."""


@dataclass(frozen=True, slots=True)
class Range:
    """A column of tiles within bounds, both included; `captured` is in seconds since 1970."""

    column: str
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Mark:
    """A word that documents hold for a field that is only asked for by field (`has·place`)."""

    field: str
    word: str


@dataclass(frozen=True, slots=True)
class Digest:
    """The image with this digest; `column` of images."""

    column: str
    value: bytes


Value = Range | Mark | Digest
_Reader = Callable[[str], Value]

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
          "kib": 2**10, "mib": 2**20, "gib": 2**30}  # fmt: skip
_NUMBER = re.compile(r"([0-9]{1,15})(\.[0-9]{1,9})?([a-z]*)", re.ASCII)
_DATE = re.compile(r"([0-9]{4})(?:-([0-9]{1,2})(?:-([0-9]{1,2}))?)?", re.ASCII)


def _shown(value: str) -> str:
    return one_line(value, 40) or "nothing"


def _ends(value: str, read: Callable[[str], tuple[int, int]]) -> tuple[int, int]:
    """`5`, `>5`, `>=5`, `<5`, `<=5`, `2..5`, `2..`, `..5`: (least, most)."""
    for sign in (">=", "<=", ">", "<", "="):
        if value.startswith(sign):
            first, last = read(value[len(sign) :])
            return {
                ">=": (first, MOST),
                "<=": (-MOST, last),
                ">": (last + 1, MOST),
                "<": (-MOST, first - 1),
                "=": (first, last),
            }[sign]
    low, dots, high = value.partition("..")
    if not dots:
        return read(value)
    if not low and not high:
        raise ValueError
    return (read(low)[0] if low else -MOST, read(high)[1] if high else MOST)


def _whole(text: str) -> tuple[int, int]:
    if not re.fullmatch("[0-9]{1,12}", text, re.ASCII):
        raise ValueError
    return int(text), int(text)


def _bytes(text: str) -> tuple[int, int]:
    match = _NUMBER.fullmatch(text.lower())
    if match is None or match[3] not in _UNITS:
        raise ValueError
    number = int(float(match[1] + (match[2] or "")) * _UNITS[match[3]])
    return number, number


def _day(text: str) -> tuple[int, int]:
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError
    year, month, day = int(match[1]), match[2], match[3]
    first = datetime(year, int(month or 1), int(day or 1), tzinfo=UTC)
    last_month = int(month or 12)
    last = datetime(year, last_month, int(day or monthrange(year, last_month)[1]), tzinfo=UTC)
    return _seconds(first), _seconds(last) + _DAY - 1


def _seconds(moment: datetime) -> int:
    return int((moment - _EPOCH).total_seconds())


def _range(column: str, read: Callable[[str], tuple[int, int]], example: str) -> _Reader:
    def reader(value: str) -> Value:
        try:
            least, most = _ends(value.strip(), read)
        except (ValueError, OverflowError):
            raise UsageError(f"cannot read {_shown(value)}; for example: {example}") from None
        return Range(column, _within(least), _within(most))

    return reader


def _within(number: int) -> int:
    return min(max(number, -MOST), MOST)


def _word(field: str, allowed: Mapping[str, tuple[str, str]]) -> _Reader:
    def reader(value: str) -> Value:
        key = value.strip().lower()
        if key not in allowed:
            raise UsageError(f"{field}: is one of {', '.join(allowed)}, not {_shown(value)}")
        return Mark(*allowed[key])

    return reader


_SAME_FORMAT = {"jpg": "jpeg", "tif": "tiff", "heif": "heic"}


def _format(value: str) -> Value:
    key = value.strip().lower()
    if not re.fullmatch("[a-z0-9]{1,16}", key, re.ASCII):
        raise UsageError(f"cannot read the format {_shown(value)}; for example: format:png")
    return Mark("format", _SAME_FORMAT.get(key, key))


def _digest(column: str, size: int) -> _Reader:
    def reader(value: str) -> Value:
        digits = value.strip().lower()
        if not re.fullmatch(f"[0-9a-f]{{{2 * size}}}", digits, re.ASCII):
            raise UsageError(f"{column}: takes {2 * size} hexadecimal digits")
        return Digest(column, bytes.fromhex(digits))

    return reader


_HAS = {name: ("has", name) for name in ("place", "faces", "problem", "date", "camera")}
_IS = {"duplicate": ("has", "duplicate"), "problem": ("has", "problem")} | {
    state.value: ("state", state.value.replace("-", "")) for state in sorted(PICTURE_STATES)
}
FILTERS: dict[str, _Reader] = {
    "date": _range("captured", _day, "date:2016, date:2016-07 or date:2016-07..2016-08-15"),
    "size": _range("size", _bytes, "size:>5MB or size:100kB..2MB"),
    "width": _range("width", _whole, "width:>1000"),
    "height": _range("height", _whole, "height:>1000"),
    "faces": _range("faces", _whole, "faces:0, faces:2 or faces:>3"),
    "copies": _range("copies", _whole, "copies:>1"),
    "format": _format,
    "state": _word("state", {s: m for s, m in _IS.items() if m[0] == "state"}),
    "is": _word("is", _IS),
    "has": _word("has", _HAS),
    "sha256": _digest("sha256", 32),
    "sha1": _digest("sha1", 20),
    "md5": _digest("md5", 16),
}
"""What turns the text after each of these fields into a value; raises UsageError."""
