"""What was read of one picture's metadata, kept within bounds while it is gathered."""

from __future__ import annotations

from dataclasses import dataclass, field

from caseframe.domain.text import one_line
from caseframe.metadata.dates import DATE_SOURCE_KEYS
from caseframe.metadata.decode import Decoded
from caseframe.metadata.gps import GPS_KEYS
from caseframe.metadata.values import Value

TAGS_MOST = 4_000
"""Tags of one kind in one picture that are looked at; a camera writes 50 to 500."""
VALUE_MOST = 2_000
"""Characters of one value that are kept."""
RESULT_MOST = 256_000
"""Bytes of JSON that all values together may take, apart from those that others derive from."""
_PROBLEMS_MOST = 50
_TWICE = 2
"""A value is kept raw and readable."""
_WORDS = 100
"""Characters that a readable value may take beyond the raw one, such as the meaning of a code."""
_ESCAPED = 6
"""Bytes that one character takes in JSON at most (a control character, as \\u001f)."""

DERIVED_KEYS: frozenset[str] = (
    GPS_KEYS
    | DATE_SOURCE_KEYS
    | {
        "Exif.Image.Make",
        "Exif.Image.Model",
        "Exif.Image.Orientation",
        "Exif.Image.Software",
        "Exif.Photo.LensModel",
        "Xmp.tiff.Make",
        "Xmp.tiff.Model",
        "Xmp.aux.Lens",
        "Xmp.exifEX.LensModel",
        "Xmp.xmp.CreatorTool",
    }
)
"""Tags that other values are derived from; the limit on the whole result spares them."""


@dataclass(slots=True)
class Reading:
    """Values by group and name, raw and readable, and what was wrong with them.

    `kept` holds raw values by Exiv2 key without regard to groups, for what is derived from them.
    """

    raw: dict[str, dict[str, str]] = field(default_factory=dict)
    metadata: dict[str, dict[str, Value]] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    lost: str | None = None
    """Why some metadata were not read at all; None when none were lost."""
    _room: int = RESULT_MOST
    _left_out: int = 0
    _unsaid: int = 0

    def lose(self, problem: str) -> None:
        """Remember that metadata which are there could not be read, and why."""
        if self.lost is None:
            self.lost = one_line(problem)
        self.flag(problem)

    def flag(self, problem: str) -> None:
        """Remember one problem; beyond the limit only how many there were."""
        if len(self.problems) < _PROBLEMS_MOST:
            self.problems.append(one_line(problem))
        else:
            self._unsaid += 1

    def checked(self, key: str, decoded: Decoded) -> str:
        """The text, its problem flagged under the tag's key."""
        if decoded.problem is not None:
            self.flag(f"{key}: {decoded.problem}")
        return decoded.text

    def keep(self, group: str, key: str, text: str, *, always: bool = False) -> bool:
        """Keep a raw value; False when there is no room, and the readable one is to be dropped."""
        if len(text) > VALUE_MOST:
            self.flag(f"{key}: longer than {VALUE_MOST} characters, shortened")
            text = text[:VALUE_MOST] + "…"
        if not self.afford(_TWICE * (len(key) + len(text)) + _WORDS, text) and not always:
            return False
        if always:
            self.kept.setdefault(key, text)
        values = self.raw.get(group)
        if values is None:
            values = self.raw[group] = {}
        if key in values:
            if group == "Exif":
                self.flag(f"{key}: appears more than once")
            key = _numbered(key, values)
        values[key] = text
        return True

    def show(self, group: str, name: str, value: Value, *, replace: bool = False) -> None:
        """Add a readable value, whose room `keep` has taken already; the first of a name stands."""
        if isinstance(value, str) and len(value) > VALUE_MOST:
            value = value[:VALUE_MOST] + "…"
        values = self.metadata.get(group)
        if values is None:
            values = self.metadata[group] = {}
        if replace or name not in values:
            values[name] = value

    def append(self, group: str, name: str, value: Value) -> None:
        """Add a readable value; values of one name become a list."""
        values = self.metadata.get(group, {})
        if name in values:
            values[name] = _as_list(values[name]) + _as_list(value)
        else:
            self.show(group, name, value)

    def close(self) -> None:
        """Say what was left out for want of room."""
        if self._left_out:
            self.problems.append(
                f"metadata limited to {RESULT_MOST} bytes: {self._left_out} values left out"
            )
            self._left_out = 0

    def all_problems(self) -> tuple[str, ...]:
        """Every problem as one line, the last of which may say how many more there were."""
        if not self._unsaid:
            return tuple(self.problems)
        return (*self.problems, f"and {self._unsaid} more problems")

    def afford(self, cost: int, text: str) -> bool:
        """Take room for `cost` characters like those of `text`; False when there is not enough."""
        if not (text.isascii() and text.isprintable()):
            cost *= _ESCAPED
        if cost > self._room:
            self._left_out += 1
            return False
        self._room -= cost
        return True


def _as_list(value: Value) -> list[str | int | float]:
    return value if isinstance(value, list) else [value]


def _numbered(key: str, taken: dict[str, str]) -> str:
    number = 2
    while f"{key}[{number}]" in taken:
        number += 1
    return f"{key}[{number}]"
