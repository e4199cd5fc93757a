"""The tables that the gallery, search and counts read; all of them follow from the other tables.

A *tile* is one image in one job: what the grid sorts by and shows, in a row narrow enough that a
million of them can be walked. Its id is `gallery << 40 | image id`, so the tiles of a job are one
range of ids, in the order in which their content came into the catalog. A *document* is the text
to find a tile by, its words folded and separated by blanks (search/document.py). *Tallies* are
counts that triggers keep (triggers.py) in the transaction of whatever changes, and so are *cells*.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
)

from caseframe.catalog.tables import Key, metadata, partial_index

IMAGE_BITS = 40
"""Bits of a tile's id that are the image's; the gallery's number stands above them."""

galleries = Table(
    "galleries",
    metadata,
    Column("number", Key, primary_key=True, autoincrement=True),
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, unique=True),
)


tiles = Table(
    "tiles",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True,
           autoincrement=False),
    Column("gallery", ForeignKey("galleries.number", ondelete="CASCADE"), nullable=False),
    Column("image_id", ForeignKey("images.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("file_id", BigInteger, nullable=False),
    # The first path; no more than an index entry of PostgreSQL can hold.
    Column("path_key", LargeBinary, nullable=False),
    # Seconds since 1970 by the clock of the place where it was taken, whatever its zone.
    Column("captured", BigInteger),
    Column("size", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("format", String(16)),
    Column("width", Integer),
    Column("height", Integer),
    Column("faces", Integer),
    Column("copies", Integer, nullable=False),
    Column("problem", Boolean, nullable=False),
    Column("camera", Text),
    Column("month", Integer),
    Column("latitude", Float),
    Column("longitude", Float),
    Column("country", Text),
    Column("town", Text),
    Index("ix_tiles_path", "gallery", "path_key", "id"),
    Index("ix_tiles_captured", "gallery", "captured", "id"),
    Index("ix_tiles_size", "gallery", "size", "id"),
    # Few pictures of most collections say where they were taken.
    partial_index(
        "ix_tiles_place", "gallery", "latitude", "longitude", where="latitude IS NOT NULL"
    ),
)  # fmt: skip

documents = Table(
    "documents",
    metadata,
    Column("id", ForeignKey("tiles.id", ondelete="CASCADE"), primary_key=True,
           autoincrement=False),
    Column("text", Text, nullable=False),
)  # fmt: skip

tallies = Table(
    "tallies",
    metadata,
    Column("gallery", ForeignKey("galleries.number", ondelete="CASCADE"), primary_key=True,
           autoincrement=False),
    Column("topic", String(16), primary_key=True),
    Column("a", Text, primary_key=True),
    Column("b", Text, primary_key=True),
    Column("c", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)  # fmt: skip

# How many pictures were taken in a cell of the map, and the sums of their distances from its south
# and west edges in units (spread.py).
cells = Table(
    "cells",
    metadata,
    Column("gallery", ForeignKey("galleries.number", ondelete="CASCADE"), primary_key=True,
           autoincrement=False),
    Column("zoom", Integer, primary_key=True, autoincrement=False),
    Column("down", Integer, primary_key=True, autoincrement=False),
    Column("across", Integer, primary_key=True, autoincrement=False),
    Column("count", BigInteger, nullable=False),
    Column("north", BigInteger, nullable=False),
    Column("east", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)  # fmt: skip
