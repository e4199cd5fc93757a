"""What the catalog holds, as messages of the wire, and the cursors of their pages."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from caseframe.catalog.described import Described
from caseframe.catalog.tables import microseconds, moment_of
from caseframe.catalog.tally import CountedJob
from caseframe.domain.errors import UsageError
from caseframe.domain.evidence import path_text
from caseframe.domain.work import JobState
from caseframe.jobmanager import jobmanager_pb2 as pb
from caseframe.pipeline.original import descriptor_text, flat_tags
from caseframe.scanner.sources import Source

_MEGA = 1_000_000
_MOST = 0x7FFFFFFF


def timestamp(moment: datetime) -> Timestamp:
    """A moment as the wire carries it."""
    made = Timestamp()
    made.FromDatetime(moment)
    return made


def service_error(code: int, kind: str, message: str) -> pb.ServiceError:
    """A refusal that happens now."""
    return pb.ServiceError(code=code, type=kind, message=message, date=timestamp(datetime.now(UTC)))


def job_message(found: CountedJob, source: bytes) -> pb.Job:
    """A job whose folder goes by the name `source`."""
    job, progress = found.job, found.progress
    return pb.Job(
        id=job.id,
        name=job.name,
        description=job.description,
        source=path_text(source),
        images=_bounded(progress.pictures),
        jpegs=_bounded(progress.formats.get("JPEG", 0)),
        pngs=_bounded(progress.formats.get("PNG", 0)),
        user_id=job.owner_id or "",
        created_at=timestamp(job.created_at),
        scanned=job.state is JobState.FINISHED,
        in_progress=job.state is JobState.RUNNING,
    )


def _file_time(seconds: float) -> Timestamp:
    """A time of a file system, which may lie beyond any calendar; then the last one there is."""
    first, last = datetime.min.replace(tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
    within = min(max(seconds, first.timestamp()), last.timestamp())
    return timestamp(datetime.fromtimestamp(within, UTC))


def source_message(source: Source) -> pb.SourceInfo:
    """A folder directly below the root."""
    return pb.SourceInfo(
        name=path_text(source.name),
        created_at=_file_time(source.created),
        modified_at=_file_time(source.modified),
        path=_exact(source.name),
    )


def image_message(found: Described, source: bytes) -> pb.Image:
    """A picture of a job whose folder goes by the name `source`."""
    tile, dpi = found.tile, found.resolution_dpi
    path = source + b"/" + tile.path if source else tile.path
    return pb.Image(
        id=str(tile.image_id),
        filename=path_text(tile.path).rpartition("/")[2],
        mimetype=tile.mime,
        filesize=tile.size / _MEGA,
        width=_bounded(tile.width),
        height=_bounded(tile.height),
        format=tile.format or "",
        colorspace=found.colorspace or "",
        resolution="" if dpi is None else f"{dpi:g}",
        depth=_bounded(found.bit_depth),
        source=path_text(source),
        createdAt=timestamp(found.added_at),
        md5=found.md5.hex(),
        sha1=found.sha1.hex(),
        sha256=tile.sha256.hex(),
        exifData=_tags(found.metadata),
        faces=[
            pb.FaceData(
                hash=descriptor_text(face.descriptor),
                x=face.x,
                y=face.y,
                width=face.width,
                height=face.height,
            )
            for face in found.faces
        ],
        tags=found.caption,
        filepath="/" + path_text(path),
        path=_exact(path),
    )


def _tags(metadata: Mapping[str, Mapping[str, Any]]) -> str:
    # Escaped, so that lone surrogates of broken metadata cannot make the message invalid.
    return json.dumps(flat_tags(metadata), ensure_ascii=True)


def _exact(path: bytes) -> bytes:
    """The path where text cannot say it, else nothing."""
    try:
        path.decode("utf-8")
    except UnicodeDecodeError:
        return path
    return b""


def _bounded(number: int | None) -> int:
    return min(number or 0, _MOST)


def job_cursor(created_at: datetime, job_id: str, *, descending: bool) -> str:
    """A place in the list of jobs as opaque text; it stays good when jobs come or go."""
    plain = json.dumps([descending, microseconds(created_at), job_id])
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def job_place(text: str, *, descending: bool) -> tuple[datetime, str]:
    """The place that a cursor remembers. Raises UsageError for what is none of this order."""
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        falling, created, job_id = json.loads(base64.b64decode(padded, b"-_", validate=True))
        if falling is not descending or type(created) is not int or type(job_id) is not str:
            raise ValueError
        return moment_of(created), job_id
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise UsageError("this is no cursor of this list; begin again without one") from None
