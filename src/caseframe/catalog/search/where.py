"""Conditions for commands: a list of `field=value` terms, all of which must hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, exists, func, or_

from caseframe.catalog.tables import files, images, places, tasks
from caseframe.domain.errors import UsageError
from caseframe.domain.evidence import FileState
from caseframe.domain.work import TaskState

Condition = ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class Field:
    """A name that people can ask for, what it means, and the condition it makes on `images`."""

    name: str
    help: str
    condition: Callable[[str, str | None], Condition]


def _like(column: ColumnElement[Any], pattern: str) -> Condition:
    """`*` and `?` as in a shell, the case of letters ignored: in SQLite that of A to Z."""
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    # The database lowers both sides: SQLite knows fewer letters than Python.
    wanted = func.lower(escaped.replace("*", "%").replace("?", "_"))
    return func.lower(func.coalesce(column, "")).like(wanted, escape="\\")


def _path(value: str, _stage: str | None) -> Condition:
    here = files.alias()  # the query around this one may be about files too
    return exists().where(here.c.image_id == images.c.id, _like(here.c.path_text, value))


def _camera(value: str, _stage: str | None) -> Condition:
    wanted = value if "*" in value else f"*{value}*"
    return or_(_like(images.c.camera_make, wanted), _like(images.c.camera_model, wanted))


def _place(value: str, _stage: str | None) -> Condition:
    wanted = value if "*" in value else f"*{value}*"
    named = or_(_like(places.c.town, wanted), _like(places.c.country, wanted))
    return exists().where(places.c.image_id == images.c.id, named)


def _one_of(value: str, allowed: Sequence[str], field: str) -> str:
    if value not in allowed:
        raise UsageError(f"{field}={value}: {field} is one of {', '.join(allowed)}")
    return value


def _state(value: str, _stage: str | None) -> Condition:
    return images.c.state == _one_of(value, [s.value for s in FileState], "state")


def _task(value: str, stage: str | None) -> Condition:
    state = _one_of(value, [s.value for s in TaskState], "task")
    one_stage = tasks.c.stage == stage if stage else tasks.c.stage != ""
    return exists().where(tasks.c.image_id == images.c.id, tasks.c.state == state, one_stage)


def _sha256(value: str, _stage: str | None) -> Condition:
    if not re.fullmatch("[0-9a-fA-F]{64}", value):
        raise UsageError("sha256 takes 64 hexadecimal digits")
    return images.c.sha256 == bytes.fromhex(value)


FIELDS = (
    Field("path", "path below the source; * and ? stand for anything", _path),
    Field("format", "JPEG, PNG, …", lambda value, _: _like(images.c.format, value)),
    Field("state", "picture, corrupt or over-limit", _state),
    Field("task", "state of the stage's task: done, failed, unavailable or pending", _task),
    Field("camera", "part of the camera's make or model", _camera),
    Field("place", "part of the town's or the country's name", _place),
    Field("sha256", "one picture by its digest", _sha256),
)


def conditions(terms: Sequence[str], stage: str | None = None) -> list[Condition]:
    """Conditions on `images` for terms such as `format=png`; `stage` is the one `task` is about.

    Raises UsageError that explains what can be asked for.
    """
    by_name = {field.name: field for field in FIELDS}
    found = []
    for term in terms:
        name, separator, value = term.partition("=")
        if not separator or name not in by_name:
            known = ", ".join(f"{field.name}=…" for field in FIELDS)
            raise UsageError(f"cannot read the condition {term!r}; there are: {known}")
        found.append(by_name[name].condition(value, stage))
    return found
