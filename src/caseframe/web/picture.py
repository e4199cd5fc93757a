"""Everything that is known of one picture, gathered from the catalog for whoever shows it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from caseframe.catalog.detail import Detail, Said, detail
from caseframe.web.services import Services, StageInfo

_LEFT_OUT = {"exif": ("metadata", "raw")}
_MetadataValue = str | int | float | list[str | int | float]
Metadata = dict[str, dict[str, _MetadataValue]]


@dataclass(frozen=True)
class StageRun:
    """What one stage made of a picture; `payload` is its answer, without what others show.

    The answer of a stage that is `external`, another maker's, is under `value`.
    """

    said: Said
    title: str
    summary: str
    external: bool
    payload: dict[str, Any] | None


@dataclass(frozen=True)
class Shown:
    """One picture for the panes."""

    detail: Detail
    stages: tuple[StageRun, ...]
    metadata: Metadata
    caption: str | None
    facts: str | None

    def stage(self, name: str) -> StageRun | None:
        """The newest run of a stage that came to an answer, else the newest one."""
        runs = [run for run in self.stages if run.said.stage == name]
        done = [run for run in runs if run.payload is not None]
        both = done or runs
        return both[-1] if both else None


def shown(here: Services, job_id: str, image_id: int) -> Shown:
    """One picture of a job with what every stage said. Raises NotFound."""
    with here.catalog.read() as connection:
        found = detail(connection, job_id, image_id)
    known = {info.name: info for info in here.stages}
    answers = [(said, _answer(said)) for said in found.stages]
    runs = tuple(_run(known.get(said.stage), said, answer) for said, answer in answers)
    metadata: Metadata = next(
        (a["metadata"] for s, a in reversed(answers) if s.stage == "exif" and a), {}
    )
    return Shown(found, runs, metadata, _text(found, "caption"), _text(found, "facts"))


def _run(info: StageInfo | None, said: Said, answer: dict[str, Any] | None) -> StageRun:
    payload = _trimmed(said.stage, answer)
    if info is None:  # a stage that was there once
        return StageRun(said, said.stage, "", external=False, payload=payload)
    return StageRun(said, info.title, info.summary, info.external, payload)


def _answer(said: Said) -> dict[str, Any] | None:
    if said.payload is None:
        return None
    answer = json.loads(said.payload)
    return answer if isinstance(answer, dict) else {"value": answer}


def _trimmed(stage: str, answer: dict[str, Any] | None) -> dict[str, Any] | None:
    """Without metadata (they stand apart) and face descriptors (nobody reads 128 numbers)."""
    if answer is None:
        return None
    kept = {key: value for key, value in answer.items() if key not in _LEFT_OUT.get(stage, ())}
    if stage == "faces" and isinstance(kept.get("faces"), list):
        kept["faces"] = [
            {key: value for key, value in face.items() if key != "descriptor"}
            for face in kept["faces"]
            if isinstance(face, dict)
        ]
    return kept


def _text(found: Detail, name: str) -> str | None:
    """The words of the stage of that name; another one may have given words to its field."""
    return next((t.value for t in found.texts if t.field == t.stage == name), None)
