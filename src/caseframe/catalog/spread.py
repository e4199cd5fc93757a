"""What pictures are counted by when and where they were taken: days, and cells of the map.

Whole numbers throughout, so that triggers, queries and Python put a picture in the same place. The
text of an expression is SQL that both databases read alike.
"""

from __future__ import annotations

from datetime import date

from caseframe.catalog.watching import Sums

CELLS = Sums("cells", "gallery, zoom, down, across", ("count", "north", "east"))
"""How many pictures lie in a cell, and the sums of how far north and east they are, in units."""
MOST_ZOOM = 20
ZOOMS = range(2, MOST_ZOOM + 1, 3)
"""Zooms of web maps at which cells are counted; those between are made of the next finer ones."""
UNITS = 10_000_000
"""In a degree, which makes one 11 mm at most."""
TURN = 360 * UNITS
_CELL_BITS = 3  # eight cells across a map tile of 256 pixels
DAY_SECONDS = 86_400
_FIRST_ORDINAL = date(1970, 1, 1).toordinal()
FIRST_DAY, LAST_DAY = (end.toordinal() - _FIRST_ORDINAL for end in (date.min, date.max))
"""Days since 1970 that dates can say."""
# So that all days of the years 1 to 9999 have eight digits, and their order is that of the text.
_BEFORE = 20_000_000


def day_of(column: str) -> str:
    """SQL for the day of a column of seconds since 1970: days since then and `_BEFORE`."""
    return f"(({column} + {_BEFORE * DAY_SECONDS}) / {DAY_SECONDS})"


def day_key(days: int) -> str:
    """How tallies name a day, from days since 1970."""
    return f"{days + _BEFORE:08}"


def days_of(key: str | int) -> int:
    """Days since 1970 of what `day_of` or `day_key` gave."""
    return int(key) - _BEFORE


def date_of(key: str | int) -> date:
    """The date of what `day_of` or `day_key` gave."""
    return date.fromordinal(_FIRST_ORDINAL + days_of(key))


def north_of(latitude: str) -> str:
    """SQL for units from the South Pole, of a column of degrees."""
    return _units(latitude, 90)


def east_of(longitude: str) -> str:
    """SQL for units east of the 180th meridian, of a column of degrees."""
    return _units(longitude, 180)


def _units(degrees: str, zero: int) -> str:
    return f"CAST(round(({degrees} + {zero}) * {UNITS}) AS bigint)"


def cell_of(units: str, zoom: str | int = MOST_ZOOM) -> str:
    """SQL for the number of the cell at a zoom in which so many units lie."""
    finest = f"({units} * {1 << MOST_ZOOM + _CELL_BITS} / {TURN})"
    return f"({finest} >> ({MOST_ZOOM} - {zoom}))"


def cell(units: int, zoom: int) -> int:
    """The same in Python."""
    return (units << zoom + _CELL_BITS) // TURN


def first_unit(number: int, zoom: int) -> int:
    """The first of the units that lie in a cell at a zoom; that of the next cell is its end."""
    return -(-number * TURN >> zoom + _CELL_BITS)


def cells_of(own: str) -> str:
    """The query of what tiles add to `CELLS`; `own` is FROM, tiles under the name `t`."""
    zooms = " UNION ALL ".join(f"SELECT {zoom} AS zoom" for zoom in ZOOMS)
    north, east = north_of("t.latitude"), east_of("t.longitude")
    return (
        f"SELECT t.gallery, z.zoom, {cell_of(north, 'z.zoom')}, {cell_of(east, 'z.zoom')}, 1,"
        f" {north}, {east} {own} CROSS JOIN ({zooms}) z"
        " WHERE t.latitude IS NOT NULL AND t.longitude IS NOT NULL"
    )
