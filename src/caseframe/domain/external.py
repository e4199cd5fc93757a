"""Stages whose code is not ours and may be in any language: a name, a queue, a schema."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")


class ExternalStage(BaseModel):
    """A stage that workers over RabbitMQ carry out, as the settings register it.

    The schema (JSON Schema, draft 2020-12) says what a result looks like; a result that does not
    fit is a failure of the stage. A string in it marked `"x-search": "field"` is found by
    `field:word`; strings without the mark are found by `text:word`.
    """

    # Ready to be read as part of the settings; alone when somebody does so.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    name: str
    """Lower case, as on the command line."""
    title: str = ""
    """What people read; the name where it is empty."""
    version: str = Field("1", min_length=1, max_length=32)
    """Change it to have all pictures looked at again."""
    queue: str = ""
    """The RabbitMQ queue of its workers; the name where it is empty."""
    after: tuple[str, ...] = ()
    """Stages whose results its workers get with each task."""
    summary: str = ""
    """One sentence on what it looks for."""
    result_schema: dict[str, Any] = Field(default_factory=dict)
    """The JSON Schema itself; or name a file in `schema_file`."""
    schema_file: Path | None = Field(None, exclude=True)  # it was read: what it says is kept

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        if not NAME.fullmatch(value):
            raise ValueError("a stage's name is at most 32 of a-z, 0-9, - and _")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        """With what was left out filled in, and the schema read from its file."""
        given: dict[str, Any] = {"title": self.title or self.name, "queue": self.queue or self.name}
        if self.schema_file is not None:
            given["result_schema"] = _read(self.schema_file)
        for name, value in given.items():
            object.__setattr__(self, name, value)
        return self


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} is no readable JSON Schema: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{file} is no JSON Schema: it holds no object")
    return found
