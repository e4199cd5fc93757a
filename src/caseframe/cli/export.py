"""The export: JSON lines hold everything exactly; CSV holds the flat values, safe to open."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from caseframe.catalog.records import Record

COLUMNS = (
    "path", "path_bytes", "state", "reason", "size", "modified", "sha256", "sha1", "md5", "mime",
    "format", "width", "height", "orientation", "colorspace", "bit_depth", "resolution_dpi", "pdq",
    "captured_at", "camera_make", "camera_model", "lens", "latitude", "longitude", "altitude_m",
    "town", "country", "faces", "problems", "missing",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")


def json_lines(found: Iterator[Record]) -> Iterator[str]:
    """One JSON object a line."""
    for record in found:
        yield json.dumps(record, ensure_ascii=False) + "\n"


def csv_lines(found: Iterator[Record]) -> Iterator[str]:
    """A header and one row a file (RFC 4180)."""
    yield _csv_row(COLUMNS)
    for record in found:
        flat = flatten(record)
        yield _csv_row([cell(flat.get(name)) for name in COLUMNS])


def _csv_row(values: Any) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(values)
    return line.getvalue()


def path_of(record: Record) -> bytes:
    """The exact path of a record."""
    exact = record.get("path_bytes")
    return base64.b64decode(exact) if exact is not None else record["path"].encode()


def flatten(record: Record) -> Record:
    """The values of a record that fit into one cell each."""
    camera, place = record["camera"] or {}, record["place"] or {}
    return {
        **record,
        "path_bytes": _exact(record),
        "camera_make": camera.get("make"),
        "camera_model": camera.get("model"),
        "lens": camera.get("lens"),
        **{
            name: place.get(name)
            for name in ("latitude", "longitude", "altitude_m", "town", "country")
        },
        "faces": len(record["faces"]),
        "problems": "; ".join(f"{p['stage']}: {p['reason']}" for p in record["problems"]),
        "missing": "true" if record.get("missing") else None,
    }


def _exact(record: Record) -> str | None:
    """The path's bytes in base64 wherever its cell does not show them: escaped, or a byte lost."""
    path: str = record["path"]
    if "path_bytes" in record or cell(path) == path:
        return record.get("path_bytes")
    return base64.b64encode(path.encode()).decode("ascii")


def cell(value: Any) -> str:
    """A value as text that no spreadsheet takes for a formula (CWE-1236), on one line.

    Text that starts like a formula gets an apostrophe in front, control characters are written as
    escapes. Numbers are ours and stay numbers.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        return str(value)
    start = value.lstrip(" ")[:1]
    risky = value.startswith(_FORMULA) or start in _FORMULA
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)
    return f"'{shown}" if risky else shown
