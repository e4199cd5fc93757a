"""Results in the words of the original image scanner's workers, to and from our own.

ExifExtractor says `{"md5", "exifData": {tag: value}}`, Faces a list of boxes with a descriptor as
text, Classifier a caption.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from caseframe.domain.errors import StageError
from caseframe.domain.work import ImageRecord

QUEUES = {"exif": "ExifExtractor", "faces": "Faces", "caption": "Classifier"}
"""Queues that the original system named; every other stage's queue has the stage's own name."""
_GROUPS = ("Exif", "IPTC", "XMP", "MakerNotes")
_MAKER = "Classifier"
_DATE = re.compile(r"(\d{4}):(\d\d):(\d\d)[ T](\d\d:\d\d:\d\d)")
_MEGA = 1_000_000


def record_keys(record: ImageRecord, job_id: str, name: str, source: str) -> dict[str, Any]:
    """The picture's record as the original messages hold it; `filesize` is in MB."""
    dpi = record.resolution_dpi
    return {
        "id": str(record.id),
        "filename": name,
        "mimetype": record.mime,
        "filesize": record.size / _MEGA,
        "width": record.width,
        "height": record.height,
        "format": record.format,
        "colorspace": record.colorspace,
        "resolution": None if dpi is None else f"{dpi:g}",
        "depth": record.bit_depth,
        "source": source,
        "createdAt": None if record.added_at is None else record.added_at.isoformat(),
        "md5": record.md5,
        "sha1": record.sha1,
        "jobIds": [job_id],
    }


def to_message(stage: str, result: Mapping[str, Any] | None, md5: str) -> Any:
    """What an original job manager understands of a result of ours; None where it has no words.

    `result` is the stored result, None where nothing was found.
    """
    given = result or {}
    if stage == "exif":
        return {"md5": md5, "exifData": flat_tags(given.get("metadata", {}))}
    if stage == "faces":
        return [_face(face) for face in given.get("faces", ())]
    if stage == "caption":
        return given.get("caption", "")
    return None


def flat_tags(metadata: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Tags of all groups in one mapping; the camera's own come before those of programs."""
    tags: dict[str, Any] = {}
    for group in _GROUPS:
        for tag, value in metadata.get(group, {}).items():
            tags.setdefault(tag, value)
    return tags


def descriptor_text(descriptor: Any) -> str:
    """128 decimals with 8 places, separated by commas."""
    return ",".join(f"{value:.8f}" for value in descriptor)


def _face(face: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "hash": descriptor_text(face["descriptor"]),
        "coordX": face["x"],
        "coordY": face["y"],
        "width": face["width"],
        "height": face["height"],
    }


def from_message(stage: str, message: Any) -> dict[str, Any]:
    """Our result of what an original worker said. Raises StageError when it says something else."""
    readers = {"exif": _exif, "faces": _faces, "caption": _caption}
    if stage not in readers:
        raise StageError("the answer holds no result")
    try:
        return readers[stage](message)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StageError(f"the answer cannot be read ({type(error).__name__}: {error})") from error


def _caption(message: Any) -> dict[str, Any]:
    if not isinstance(message, str):
        raise StageError("the caption is no text")
    return {"caption": message.strip(), "made_by": _MAKER}


def _faces(message: Any) -> dict[str, Any]:
    faces = []
    for face in message:
        numbers = [float(number) for number in str(face["hash"]).split(",")]
        if len(numbers) != 128:
            raise StageError(f"a descriptor holds {len(numbers)} numbers and not 128")
        faces.append(
            {
                "x": round(face["coordX"]),
                "y": round(face["coordY"]),
                "width": round(face["width"]),
                "height": round(face["height"]),
                "score": 1.0,
                "landmarks": [],
                "descriptor": numbers,
            }
        )
    return {"faces": faces}


def _exif(message: Any) -> dict[str, Any]:
    tags = dict(message["exifData"] or {})
    values = {tag: _plain(value) for tag, value in tags.items()}
    return {
        "metadata": {"Exif": values} if values else {},
        "raw": {"Exif": {tag: str(value) for tag, value in values.items()}} if values else {},
        "captured_at": _date(tags),
        "capture_source": "DateTimeOriginal" if _date(tags) else None,
        "camera_make": _words(tags.get("Make")),
        "camera_model": _words(tags.get("Model")),
        "lens": _words(tags.get("LensModel") or tags.get("Lens")),
        "software": _words(tags.get("Software")),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [part if isinstance(part, (int, float, str)) else str(part) for part in value]
    return value if isinstance(value, (int, float, str)) else str(value)


def _words(value: Any) -> str | None:
    return str(value).strip() or None if value is not None else None


def _date(tags: Mapping[str, Any]) -> str | None:
    found = _DATE.match(str(tags.get("DateTimeOriginal", "")))
    if found is None:
        return None
    text = "{}-{}-{}T{}".format(*found.groups())
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return None
    return text
