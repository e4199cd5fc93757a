"""The tables. `images` is content, `files` is where it stands; a picture may stand at many paths.

Paths and digests are bytes. JSON is kept as text exactly as a stage wrote it: PostgreSQL's own JSON
type refuses U+0000 and reorders keys. Times are microseconds since 1970 UTC, so that both databases
compare and page over them alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    event,
    func,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
# SQLite numbers rows by itself only where the key is exactly INTEGER.
Key = BigInteger().with_variant(Integer, "sqlite")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_WHERE = "where"


def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970 UTC; a naive datetime is a bug and raises TypeError."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(number: int) -> datetime:
    """Back to an aware datetime in UTC. Raises OverflowError beyond its calendar."""
    return _EPOCH + number * _MICROSECOND


class UtcTime(TypeDecorator[datetime]):
    """An aware datetime, stored as microseconds since 1970 UTC."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:  # noqa: ARG002
        """To microseconds; a naive datetime is a bug and raises TypeError."""
        return None if value is None else microseconds(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Back to an aware datetime in UTC."""
        return None if value is None else moment_of(value)


def now() -> datetime:
    """The present, aware, in UTC."""
    return datetime.now(UTC)


def partial_index(name: str, *columns: str, where: str) -> Index:
    """An index of the rows for which `where` holds.

    To tell SQLAlchemy so for PostgreSQL loads that dialect, a twentieth of the start of every scan
    into SQLite; `_for_postgresql` tells it in time.
    """
    return Index(name, *columns, sqlite_where=text(where), info={_WHERE: where})


def _for_postgresql(target: MetaData, connection: Connection, **_options: object) -> None:
    if connection.dialect.name != "postgresql":
        return
    for index in (index for table in target.tables.values() for index in table.indexes):
        if where := index.info.get(_WHERE):
            index.dialect_options["postgresql"][_WHERE] = text(where)


event.listen(metadata, "before_create", _for_postgresql)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("source", LargeBinary, nullable=False),
    Column("state", String(16), nullable=False),
    Column("stages", Text, nullable=False),
    Column("reason", Text),
    Column("planned", Text),
    Column("created_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("finished_at", UtcTime),
    # A user's id; jobs of the command line belong to nobody and are seen by administrators. No
    # foreign key: SQLite cannot add one to a table that stands, and deleting a user settles it.
    Column("owner_id", String(36), index=True),
    Column("walked_at", UtcTime),
)

images = Table(
    "images",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("sha256", LargeBinary(32), nullable=False, unique=True),
    Column("sha1", LargeBinary(20), nullable=False),
    Column("md5", LargeBinary(16), nullable=False, index=True),
    Column("size", BigInteger, nullable=False, index=True),
    Column("state", String(16), nullable=False),
    Column("reason", Text),
    Column("mime", String(64), nullable=False),
    Column("format", String(16)),
    Column("width", Integer),
    Column("height", Integer),
    Column("orientation", Integer),
    Column("colorspace", String(16)),
    Column("bit_depth", Integer),
    Column("resolution_dpi", Float),
    Column("pdq", LargeBinary(32)),
    Column("pdq_quality", Integer),
    Column("captured_at", String(40)),
    Column("camera_make", Text),
    Column("camera_model", Text),
    Column("lens", Text),
    Column("face_count", Integer),
    Column("added_at", UtcTime, nullable=False),
)

files = Table(
    "files",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("path", LargeBinary, nullable=False),
    Column("path_text", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("modified_ns", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text),
    Column("mime", String(128)),
    Column("sha256", LargeBinary(32), index=True),
    Column("sha1", LargeBinary(20)),
    Column("md5", LargeBinary(16)),
    Column("image_id", ForeignKey("images.id")),
    Column("missing", Boolean, nullable=False, server_default=text("false")),
    Column("examined_at", UtcTime, nullable=False),
    UniqueConstraint("job_id", "path"),
    Index("ix_files_image_id_job_id", "image_id", "job_id", "id"),
    # Few files have a problem; they must be found without reading them all.
    partial_index(
        "ix_files_problem", "job_id", "id", where="state NOT IN ('picture', 'not-a-picture')"
    ),
)


FILES_KEY = "job_id, sha256(path)"
"""The natural key of `files` in PostgreSQL, as its index has it."""


def _find_paths_by_digest(target: Table, connection: Connection, **_options: object) -> None:
    # An entry of an index of PostgreSQL holds 2.7 kB; a path may have 4 kB and more.
    if connection.dialect.name == "postgresql":
        name = f"uq_{target.name}_job_id_path"
        connection.execute(text(f"ALTER TABLE {target.name} DROP CONSTRAINT {name}"))
        connection.execute(text(f"CREATE UNIQUE INDEX {name} ON {target.name} ({FILES_KEY})"))


event.listen(files, "after_create", _find_paths_by_digest)


def path_digests(paths: Sequence[bytes]) -> list[bytes]:
    """What stands for these paths in PostgreSQL's index of them."""
    return [sha256(path).digest() for path in paths]


def stands_at(connection: Connection, paths: Sequence[bytes]) -> ColumnElement[bool]:
    """Whether a row of `files` has one of these paths, by the index that the database has."""
    if connection.dialect.name != "postgresql":
        return files.c.path.in_(paths)
    return func.sha256(files.c.path).in_(path_digests(paths))


tasks = Table(
    "tasks",
    metadata,
    Column("image_id", ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("stage", String(64), primary_key=True),
    Column("version", String(32), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("found", Boolean),
    Column("reason", Text),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("seconds", Float),
    Column("model", Text),
    Column("model_digest", String(64)),
    Column("finished_at", UtcTime),
    # Nearly all tasks are done; the ones that are not must be found without reading them all.
    partial_index("ix_tasks_open", "state", "stage", "image_id", where="state <> 'done'"),
    sqlite_with_rowid=False,
)

results = Table(
    "results",
    metadata,
    Column("image_id", ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("stage", String(64), primary_key=True),
    Column("version", String(32), primary_key=True),
    Column("payload", Text, nullable=False),
)

faces = Table(
    "faces",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("image_id", ForeignKey("images.id", ondelete="CASCADE"), nullable=False),
    Column("stage", String(64), nullable=False),
    Column("x", Integer, nullable=False),
    Column("y", Integer, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("score", Float, nullable=False),
    Column("landmarks", Text, nullable=False),
    Column("descriptor", LargeBinary),
    Index("ix_faces_image_id_stage", "image_id", "stage"),
)

places = Table(
    "places",
    metadata,
    Column("image_id", ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("stage", String(64), primary_key=True),
    Column("latitude", Float, nullable=False),
    Column("longitude", Float, nullable=False),
    Column("altitude_m", Float),
    Column("direction", Float),
    Column("town", Text),
    Column("region", Text),
    Column("country", Text),
    Column("country_code", String(2)),
    Column("distance_km", Float),
    Index("ix_places_latitude_longitude", "latitude", "longitude"),
)

texts = Table(
    "texts",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("image_id", ForeignKey("images.id", ondelete="CASCADE"), nullable=False),
    Column("stage", String(64), nullable=False),
    Column("field", String(32), nullable=False),
    Column("value", Text, nullable=False),
    Index("ix_texts_image_id_stage", "image_id", "stage"),
)

problems = Table(
    "problems",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("file_id", ForeignKey("files.id", ondelete="CASCADE"), index=True),
    Column("image_id", ForeignKey("images.id", ondelete="CASCADE"), index=True),
    Column("stage", String(64), nullable=False),
    Column("reason", Text, nullable=False),
)

thumbnails = Table(
    "thumbnails",
    metadata,
    Column("image_id", ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("mime", String(32), nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
)
