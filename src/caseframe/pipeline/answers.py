"""What a worker's answer over RabbitMQ means: the outcome of a task."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from caseframe.bus.wire import Result, Verdict
from caseframe.domain.errors import StageError
from caseframe.domain.facts import Facts
from caseframe.domain.text import one_line
from caseframe.domain.work import StageOutcome, TaskState
from caseframe.pipeline.original import from_message
from caseframe.stages.external import QueuedStage
from caseframe.stages.stage import Stage, StageResult

EXPIRED = "expired"
"""State of an answer that says: the token was too old, send the task again."""
_ENDED = {TaskState.DONE, TaskState.FAILED, TaskState.UNAVAILABLE}


def is_of(stage: Stage, result: Result, sha256: str, md5: str) -> bool:
    """Whether it may answer the task of that content for the stage as it is now.

    Tasks that lay in a queue while the stage or the picture changed are answered too. Who does not
    name one of these, as workers of the original image scanner, is taken at his word.
    """
    version = result.version is None or result.version == stage.version
    return version and (result.sha256 or sha256) == sha256 and (result.md5 or md5) == md5


def outcome_of(stage: Stage, result: Result) -> StageOutcome:
    """What became of the task that an answer is of (`is_of`); never raises."""
    verdict = result.verdict or Verdict(TaskState.FAILED if result.errors else TaskState.DONE)
    if verdict.state not in _ENDED:
        return _failed(stage, verdict, f"its worker answered with the state {verdict.state}")
    state = TaskState(verdict.state)
    if state is not TaskState.DONE or result.errors:
        said = verdict.reason or "; ".join(result.errors) or "its worker gave no reason"
        return _failed(stage, verdict, said, TaskState.FAILED if result.errors else state)
    try:
        return _done(stage, verdict, _parsed(stage, result))
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"{part}." for part in first["loc"])
        said = f"{where[:-1]}: " if where else ""
        said += first["msg"].removeprefix("Value error, ")
        return _failed(stage, verdict, f"the answer does not fit the stage: {said}")
    except PydanticSerializationError as error:
        return _failed(stage, verdict, f"the answer cannot be kept: {error}")
    except StageError as error:
        return _failed(stage, verdict, str(error))


def _parsed(stage: Stage, result: Result) -> StageResult | None:
    """The typed result, None where nothing was found."""
    verdict = result.verdict
    if verdict is not None and not verdict.found:
        return None
    given = result.result
    if isinstance(stage, QueuedStage):
        given = {"value": result.message if given is None else given}
    elif given is None and verdict is None:
        given = from_message(stage.name, result.message)
    if given is None:
        return None
    parsed = stage.result.model_validate(given)
    return parsed if parsed.found else None


def _done(stage: Stage, verdict: Verdict, parsed: StageResult | None) -> StageOutcome:
    payload = None if parsed is None else parsed.model_dump_json(exclude={"problems"})
    if parsed is not None:
        facts: Facts | None = parsed.facts()
    else:  # no faces is a fact too; "not applicable" is none, and comes with a reason
        facts = _nothing(stage) if verdict.reason is None else None
    return StageOutcome(
        stage.name,
        stage.version,
        TaskState.DONE,
        found=parsed is not None,
        reason=_line(verdict.reason),
        payload=payload,
        facts=facts,
        problems=tuple(one_line(problem) for problem in verdict.problems),
        model=verdict.model,
        model_digest=verdict.model_digest,
        seconds=verdict.seconds,
        attempts=verdict.attempts,
    )


def _nothing(stage: Stage) -> Facts | None:
    try:
        return stage.result().facts()
    except ValidationError:  # a result without values is none
        return None


def _failed(
    stage: Stage, verdict: Verdict, reason: str, state: TaskState = TaskState.FAILED
) -> StageOutcome:
    return StageOutcome(
        stage.name,
        stage.version,
        state,
        reason=one_line(reason),
        model=verdict.model,
        model_digest=verdict.model_digest,
        seconds=verdict.seconds,
        attempts=verdict.attempts,
    )


def _line(text: str | None) -> str | None:
    return None if text is None else one_line(text)


def payload_of(outcome: StageOutcome) -> Any:
    """The stored result as a value, for a message."""
    return None if outcome.payload is None else json.loads(outcome.payload)
