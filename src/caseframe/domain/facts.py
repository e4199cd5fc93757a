"""The kinds of value that a stage may declare in its result, so that the product can use them.

A stage's result is its own typed model and is stored whole; beside it the stage points out which
of its values are a face, a place, a capture time and so on. Only these reach tables of their own.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Face:
    """One face in pixels of the upright picture at its full size."""

    x: int
    y: int
    width: int
    height: int
    score: float
    landmarks: tuple[tuple[float, float], ...] = ()
    """Five points (x, y): two corners of each eye and the base of the nose."""
    descriptor: tuple[float, ...] = ()
    """128 numbers; faces of one person lie within about 0.6 of each other (Euclidean)."""


@dataclass(frozen=True)
class Place:
    """Where a picture was taken: signed decimal degrees (WGS 84), metres, degrees from north."""

    latitude: float
    longitude: float
    altitude_m: float | None = None
    direction: float | None = None
    town: str | None = None
    region: str | None = None
    country: str | None = None
    country_code: str | None = None
    distance_km: float | None = None
    """From the coordinates to the named town."""


@dataclass(frozen=True)
class Capture:
    """When a picture was taken: ISO 8601, with an offset only where the picture says one."""

    at: str
    offset_minutes: int | None = None
    """Minutes east of UTC; None when the picture does not say, so `at` is local wall time."""


@dataclass(frozen=True)
class Camera:
    """The camera by its own words; None where the picture does not say."""

    make: str | None = None
    model: str | None = None
    lens: str | None = None


@dataclass(frozen=True)
class PerceptualHash:
    """256 bits (32 bytes) that stay near each other for pictures that look alike; quality 0-100."""

    bits: bytes
    quality: int


@dataclass(frozen=True)
class Text:
    """Words to find the picture by; `field` is the name people search it under (`caption`…)."""

    field: str
    value: str


@dataclass(frozen=True)
class Facts:
    """What one stage's result holds of each kind; None or empty means it says nothing of it."""

    faces: tuple[Face, ...] | None = None
    place: Place | None = None
    capture: Capture | None = None
    camera: Camera | None = None
    perceptual_hash: PerceptualHash | None = None
    texts: tuple[Text, ...] = ()


NOTHING = Facts()
"""The facts of a result that holds none, as most do; one for all, so that it travels once."""
