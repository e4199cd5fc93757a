"""The orders in which a gallery is walked, and the cursors that remember a place in one.

Every order ends in the tile's id, so that equal keys have one order too. Pictures without a
capture time stand at the end, whichever way the others go.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement

from caseframe.catalog.gallery_tables import tiles
from caseframe.domain.errors import UsageError

_LARGEST = 2**63 - 1


class SortKey(StrEnum):
    """What tiles are ordered by."""

    PATH = "path"
    CAPTURED = "captured"
    SIZE = "size"
    ADDED = "added"


@dataclass(frozen=True, slots=True)
class Sort:
    """One order: the key, and whether the largest come first."""

    key: SortKey = SortKey.PATH
    descending: bool = False

    @classmethod
    def read(cls, text: str) -> Sort:
        """`path`, or `-path` for descending. Raises UsageError."""
        name = text.removeprefix("-")
        if name not in set(SortKey):
            raise UsageError(f"cannot sort by that; there are: {', '.join(SortKey)}, and -path …")
        return cls(SortKey(name), text.startswith("-"))

    def __str__(self) -> str:
        return ("-" if self.descending else "") + self.key

    @property
    def column(self) -> ColumnElement[Any] | None:
        """The column of tiles; None for the order in which content was added, which is the id."""
        columns = {
            SortKey.PATH: tiles.c.path_key,
            SortKey.CAPTURED: tiles.c.captured,
            SortKey.SIZE: tiles.c.size,
        }
        return columns.get(self.key)


NO_PLACE = "this is no place in this order of the gallery; begin again at its start"
"""What is said of a cursor that is none, or one of another order or job."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tile stands in an order: its key (None without one) and its id."""

    key: bytes | int | None
    id: int


def cursor(sort: Sort, place: Place) -> str:
    """A place as opaque text."""
    key = place.key.hex() if isinstance(place.key, bytes) else place.key
    plain = json.dumps([str(sort), key, place.id], separators=(",", ":"))
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def place_of(sort: Sort, text: str) -> Place:
    """The place that a cursor remembers. Raises UsageError for what is none of this order."""
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        name, key, number = json.loads(base64.b64decode(padded, b"-_", validate=True))
        if name != str(sort) or not _fits(number):
            raise ValueError
        return Place(_key(sort, key), number)
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise UsageError(NO_PLACE) from None


def _key(sort: Sort, key: object) -> bytes | int | None:
    if sort.key is SortKey.PATH and isinstance(key, str):
        return bytes.fromhex(key)
    if sort.key is SortKey.SIZE and _fits(key):
        return key  # type: ignore[return-value]  # _fits says that it is an int
    if sort.key is SortKey.CAPTURED and (key is None or _fits(key)):
        return key  # type: ignore[return-value]
    if sort.key is SortKey.ADDED and key is None:
        return None
    raise ValueError


def _fits(number: object) -> bool:
    return type(number) is int and -_LARGEST <= number <= _LARGEST
