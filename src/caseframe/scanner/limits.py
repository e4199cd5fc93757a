"""How much one file may cost; everything above is recorded as over the limit, never tried."""

from __future__ import annotations

from dataclasses import dataclass

MEGA = 1_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one file. Sizes are bytes, `max_pixels` counts width x height."""

    min_file_bytes: int = 0
    max_file_bytes: int = 256 * MEGA
    """A larger file is hashed in pieces and not decoded."""
    max_pixels: int = 150 * MEGA
    other_hash_bytes: int = 64 * MEGA
    """Files that are not pictures are hashed up to this size and left alone above it."""
    thumbnail_side: int = 256
