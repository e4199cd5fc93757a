"""Stages of other makers: their workers answer over RabbitMQ, and a JSON Schema says with what."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from pydantic import ConfigDict, model_validator
from referencing import Registry
from referencing.exceptions import Unresolvable

from caseframe.domain.errors import StageUnavailable, UsageError
from caseframe.domain.external import ExternalStage
from caseframe.domain.facts import Facts, Text
from caseframe.domain.text import one_line
from caseframe.stages.stage import Frame, StageContext, StageResult

SEARCH = "x-search"
"""Keyword of a schema: the field under which a string is found."""
_FIELD = "text"
_LONGEST = 10_000
_MOST_TEXTS = 200
_MOST_BYTES = 1_000_000
_DEEPEST = 100
_FIELD_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


class ExternalResult(StageResult):
    """What another maker's worker found, kept whole as it came."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    validator: ClassVar[Draft202012Validator]

    value: Any = None

    @model_validator(mode="before")
    @classmethod
    def _fits(cls, given: Any) -> Any:
        value = given.get("value") if isinstance(given, dict) else None
        _check_storable(value)
        try:
            cls.validator.validate(value)
        except ValidationError as error:
            where = "/".join(str(part) for part in error.absolute_path)
            raise ValueError(one_line(f"{where or 'result'}: {error.message}")) from error
        except Unresolvable as error:
            raise ValueError(
                one_line(f"its schema refers to what is not in it: {error}")
            ) from error
        return given

    @property
    def found(self) -> bool:
        """An empty answer says that it looked and found nothing."""
        return self.value not in (None, {}, [], "")

    def facts(self) -> Facts:
        """The strings in it, under the fields that the schema names."""
        texts = _texts(self.value, self.validator.schema)
        return Facts(texts=tuple(text for text, _ in zip(texts, range(_MOST_TEXTS), strict=False)))


def _check_storable(value: Any) -> None:
    """Raise ValueError for what cannot be kept and given back as it is."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > _DEEPEST:
            raise ValueError(f"result: it is nested deeper than {_DEEPEST} levels")
        level = [part for one in level for part in _parts(one)]
    try:
        size = len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode())
    except UnicodeEncodeError as error:
        raise ValueError("result: it holds half of a surrogate pair, which is no text") from error
    except ValueError as error:
        raise ValueError("result: it holds a number that JSON does not have") from error
    if size > _MOST_BYTES:
        raise ValueError(f"result: it holds {size:,} bytes; {_MOST_BYTES:,} are the most")


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _fields(schema: Any) -> Iterator[str]:
    """What the schema marks strings with, wherever `_texts` looks."""
    if isinstance(schema, dict):
        if SEARCH in schema:
            yield str(schema[SEARCH])
        for part in schema.get("properties", {}).values():
            yield from _fields(part)
        yield from _fields(schema.get("items"))


def _texts(value: Any, schema: Any) -> Iterator[Text]:
    here: Mapping[str, Any] = schema if isinstance(schema, dict) else {}
    if isinstance(value, str) and value:
        yield Text(str(here.get(SEARCH, _FIELD)), value[:_LONGEST])
    elif isinstance(value, dict):
        below = here.get("properties", {})
        for name, part in value.items():
            yield from _texts(part, below.get(name))
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part, here.get("items"))


class QueuedStage:
    """A registered stage as the rest of Caseframe sees one; only workers elsewhere can run it."""

    max_side: int | None = None

    def __init__(self, external: ExternalStage) -> None:
        try:
            Draft202012Validator.check_schema(external.result_schema)
        except SchemaError as error:
            raise UsageError(
                f"setting external_stages: the schema of {external.name} is no JSON Schema: "
                f"{one_line(error.message)}"
            ) from error
        self.name = external.name
        self.title = external.title
        self.version = external.version
        self.after = external.after
        self.summary = external.summary
        self.queue = external.queue
        self.fields = frozenset(_fields(external.result_schema))
        """The fields under which words of its results are found, beside `text`."""
        for name in self.fields:
            if not _FIELD_NAME.fullmatch(name):
                raise UsageError(
                    f"setting external_stages: {SEARCH} of {external.name} is {name!r}; a field is "
                    "at most 32 of a-z, 0-9 and _"
                )
        # With a registry of its own it never asks another machine for a schema.
        validator = Draft202012Validator(external.result_schema, registry=Registry())
        self.result: type[StageResult] = type(
            "ExternalResult",
            (ExternalResult,),
            {"validator": validator, "__doc__": external.summary},
        )

    def missing(self, context: StageContext) -> str | None:  # noqa: ARG002
        """Never here."""
        return "its workers are reached over RabbitMQ; run Caseframe as services"

    def prepare(self, context: StageContext) -> None:
        """Never here. Raises StageUnavailable."""
        raise StageUnavailable(self.missing(context))

    def run(self, frame: Frame, earlier: Mapping[str, StageResult]) -> StageResult:  # noqa: ARG002
        """Never here. Raises StageUnavailable."""
        raise StageUnavailable("its workers are reached over RabbitMQ")
