"""Bringing tiles and documents in step with what they follow from, in the same transaction.

`refresh` reads the truth (images, files, places, texts, problems) of a batch of images and writes
their tiles in every job that shows them. It may be called as often as one likes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select

from caseframe.catalog import triggers
from caseframe.catalog.gallery_tables import IMAGE_BITS, documents, galleries, tiles
from caseframe.catalog.inserting import upsert
from caseframe.catalog.search.document import CHOICES, document
from caseframe.catalog.search.spans import block_mark, size_mark
from caseframe.catalog.tables import files, images, places, problems, tasks, texts
from caseframe.domain.evidence import FileState
from caseframe.domain.work import TaskState

MOST_COPIES = 1000
"""Copies of one content in one job that are counted for its tile; it says no more than this."""
MOST_PATHS = 100
"""Paths of one content in one job whose words find it."""
_BATCH = 400
_MOST_TEXTS = 8000  # characters of texts of one image
_KEY_BYTES = 1000  # an index entry of PostgreSQL holds 2,700
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Row = dict[str, Any]


@dataclass(slots=True)
class Shown:
    """One image in one job: the paths to show and to find it by, and how many there are."""

    copies: int = 0
    first: tuple[bytes, int] | None = None
    paths: list[str] = field(default_factory=list)
    problem: bool = False

    def add(self, path: bytes, path_text: str, file_id: int) -> None:
        """Count one more file."""
        self.copies += 1
        if self.copies <= MOST_PATHS:
            self.paths.append(path_text)
            if self.first is None or path < self.first[0]:
                self.first = (path, file_id)


@dataclass(slots=True)
class About:
    """What is known of an image in whatever job."""

    problem: bool = False
    place: _Row | None = None
    texts: list[tuple[str, str]] = field(default_factory=list)


def refresh(connection: Connection, image_ids: Collection[int]) -> None:
    """Bring the tiles and documents of these images up to date, in all jobs."""
    ids = sorted(image_ids)
    for start in range(0, len(ids), _BATCH):
        _refresh(connection, ids[start : start + _BATCH])


def _refresh(connection: Connection, ids: list[int]) -> None:
    shown = _shown(connection, ids)
    about = _about(connection, ids)
    numbers = _numbers(connection, {job for _, job in shown})
    tile_rows: list[_Row] = []
    document_rows: list[_Row] = []
    of_image: dict[int, list[tuple[str, Shown]]] = {}
    for (image, job), here in shown.items():
        of_image.setdefault(image, []).append((job, here))
    columns = [images.c[name] for name in _IMAGE_COLUMNS]
    for row in connection.execute(select(*columns).where(images.c.id.in_(ids))).mappings():
        for job, here in of_image.get(row["id"], ()):
            tile = tile_row(row, numbers[job], here, about[row["id"]])
            tile_rows.append(tile)
            document_rows.append(document_row(tile, row, here, about[row["id"]]))
    _remove_others(connection, ids, {row["id"] for row in tile_rows})
    upsert(connection, tiles, tile_rows, update=_TILE_COLUMNS)
    upsert(connection, documents, document_rows, update=("text",))
    triggers.count_changes(connection, {tile["gallery"] for tile in tile_rows})


_IMAGE_COLUMNS = (
    "id", "size", "state", "format", "width", "height", "captured_at", "camera_make",
    "camera_model", "lens", "face_count",
)  # fmt: skip
_TILE_COLUMNS = tuple(c.name for c in tiles.c if c.name not in {"id", "gallery", "image_id"})


def _numbers(connection: Connection, jobs: set[str]) -> dict[str, int]:
    query = select(galleries.c.job_id, galleries.c.number).where(galleries.c.job_id.in_(jobs))
    return {job: number for job, number in connection.execute(query)}  # noqa: C416


# ---- what there is --------------------------------------------------------------------------

_FILES = select(
    files.c.image_id, files.c.job_id, files.c.id, files.c.path, files.c.path_text
).order_by(files.c.image_id, files.c.job_id, files.c.id)


def _shown(connection: Connection, ids: list[int]) -> dict[tuple[int, str], Shown]:
    """Where the images stand, by (image, job); of the files of one, the first `MOST_COPIES`."""
    most = 20 * len(ids) + MOST_COPIES
    rows = connection.execute(_FILES.where(files.c.image_id.in_(ids)).limit(most + 1)).all()
    if len(rows) > most:  # some content stands at thousands of paths; no more of them is read
        rows = [row for image in ids for row in _files_of(connection, image)]
    shown: dict[tuple[int, str], Shown] = {}
    for image, job, number, path, path_text in rows:
        here = shown.setdefault((image, job), Shown())
        if here.copies < MOST_COPIES:
            here.add(bytes(path), path_text, number)
    _file_problems(connection, shown)
    return shown


def _files_of(connection: Connection, image: int) -> Iterator[Any]:
    """The first files of an image in each job, without walking over all that there are."""
    job = ""
    following = select(files.c.job_id).where(files.c.image_id == image)
    while True:
        query = following.where(files.c.job_id > job).order_by(files.c.job_id).limit(1)
        found = connection.scalar(query)
        if found is None:
            return
        job = found
        here = _FILES.where(files.c.image_id == image, files.c.job_id == job)
        yield from connection.execute(here.limit(MOST_COPIES))


def _file_problems(connection: Connection, shown: dict[tuple[int, str], Shown]) -> None:
    ids = {image for image, _ in shown}
    query = (
        select(files.c.image_id, files.c.job_id)
        .join(problems, problems.c.file_id == files.c.id)
        .where(files.c.image_id.in_(ids))
        .limit(100 * len(ids))
    )
    for image, job in connection.execute(query):
        shown[image, job].problem = True


def _about(connection: Connection, ids: list[int]) -> dict[int, About]:
    about = {image: About() for image in ids}
    remarks = select(problems.c.image_id).where(problems.c.image_id.in_(ids))
    failed = select(tasks.c.image_id).where(
        tasks.c.image_id.in_(ids), tasks.c.state == TaskState.FAILED
    )
    for image in (*connection.scalars(remarks), *connection.scalars(failed)):
        about[image].problem = True
    where = select(places).where(places.c.image_id.in_(ids)).order_by(places.c.stage.desc())
    for row in connection.execute(where).mappings():
        about[row["image_id"]].place = dict(row)
    lengths = dict.fromkeys(ids, 0)
    said = select(texts.c.image_id, texts.c.field, texts.c.value).where(texts.c.image_id.in_(ids))
    for image, name, value in connection.execute(said.order_by(texts.c.image_id, texts.c.id)):
        if lengths[image] < _MOST_TEXTS:
            lengths[image] += len(value)
            about[image].texts.append((name, value))
    return about


# ---- what follows from it -------------------------------------------------------------------


def tile_row(row: Any, gallery: int, here: Shown, about: About) -> _Row:
    """The tile of an image (a row of `images`) in a gallery, as a row of `tiles`."""
    path, file_id = here.first or (b"", 0)
    moment = wall_clock(row["captured_at"])
    place = about.place or {}
    problem = about.problem or here.problem or row["state"] != FileState.PICTURE
    return {
        "id": gallery << IMAGE_BITS | row["id"],
        "gallery": gallery,
        "image_id": row["id"],
        "file_id": file_id,
        "path_key": path[:_KEY_BYTES],
        "captured": None if moment is None else int((moment - _EPOCH).total_seconds()),
        "size": row["size"],
        "state": row["state"],
        "format": row["format"],
        "width": row["width"],
        "height": row["height"],
        "faces": row["face_count"],
        "copies": here.copies,
        "problem": problem,
        "camera": camera_name(row["camera_make"], row["camera_model"]),
        "month": None if moment is None else moment.year * 100 + moment.month,
        "latitude": place.get("latitude"),
        "longitude": place.get("longitude"),
        "country": _short(place.get("country")),
        "town": _short(place.get("town")),
    }


def wall_clock(captured_at: str | None) -> datetime | None:
    """What the clock of the place showed, as if it were UTC; None without a usable time.

    People look for the day on which a picture was taken where it was taken.
    """
    if not captured_at:
        return None
    try:
        return datetime.fromisoformat(captured_at).replace(tzinfo=UTC)
    except ValueError:
        return None


def camera_name(make: str | None, model: str | None) -> str | None:
    """One name for a camera: make and model, the make not twice; at most 100 characters."""
    parts = [part.strip() for part in (make, model) if part and part.strip()]
    if len(parts) == 2 and parts[1].lower().startswith(parts[0].lower()):
        parts = parts[1:]
    return _short(" ".join(parts))


def _short(name: str | None) -> str | None:
    return name[:100] if name else None


def document_row(tile: _Row, row: Any, here: Shown, about: About) -> _Row:
    """The words by which a tile is found, as a row of `documents`."""
    chosen = [(field, tile[column]) for column, field in CHOICES.items() if tile[column]]
    text = document(here.paths, _texts(row, about), _marks(tile), chosen)
    return {"id": tile["id"], "text": text}


def _texts(row: Any, about: About) -> Iterator[tuple[str, str]]:
    yield from about.texts
    # What the columns say is found even when a stage gave no texts of its own for them.
    if name := camera_name(row["camera_make"], row["camera_model"]):
        yield "camera", name
    if row["lens"]:
        yield "lens", row["lens"]
    if about.place is not None:
        for key in ("town", "region", "country"):
            if about.place[key]:
                yield "place", about.place[key]


def _marks(tile: _Row) -> Iterator[tuple[str, str]]:
    """What is asked for by field only, as words, so that the word index finds the few quickly."""
    yield block_mark(tile["image_id"])
    yield size_mark(tile["size"])
    yield "state", tile["state"].replace("-", "")
    if tile["format"]:
        yield "format", tile["format"].lower()
    if tile["captured"] is not None:
        month = f"{tile['month']:06}"
        day = (_EPOCH + timedelta(seconds=tile["captured"])).day
        yield from (("date", month[:4]), ("date", month), ("date", f"{month}{day:02}"))
    if tile["faces"] is not None:
        yield "faces", str(min(tile["faces"], 99))
        if tile["faces"]:
            yield "has", "faces"
    if tile["width"]:
        yield "width", str(tile["width"].bit_length())
        yield "height", str((tile["height"] or 0).bit_length())
    for mark, holds in (
        ("place", tile["latitude"] is not None), ("problem", tile["problem"]),
        ("camera", tile["camera"]), ("date", tile["captured"] is not None),
        ("duplicate", tile["copies"] > 1),
    ):  # fmt: skip
        if holds:
            yield "has", mark


def _remove_others(connection: Connection, ids: Sequence[int], kept: set[int]) -> None:
    """Tiles of these images in jobs that show them no more."""
    there = set(connection.scalars(select(tiles.c.id).where(tiles.c.image_id.in_(ids))))
    gone = [{"number": number} for number in there - kept]
    if gone:
        connection.execute(delete(tiles).where(tiles.c.id == bindparam("number")), gone)


def rebuild(connection: Connection, *, after: int = 0) -> None:
    """Make all tiles, documents and tallies anew, the images from the one behind `after`."""
    if not after:
        triggers.lock(connection)
        connection.execute(delete(tiles))
    query = select(images.c.id).order_by(images.c.id).limit(_BATCH)
    while ids := list(connection.scalars(query.where(images.c.id > after))):
        refresh(connection, ids)
        after = ids[-1]
    triggers.recount(connection)
