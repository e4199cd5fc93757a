"""Tasks that no worker could deal with: seen, sent again, or thrown away by administrators."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

import structlog
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from caseframe.domain.access import Principal
from caseframe.domain.errors import NotFound
from caseframe.domain.evidence import path_text
from caseframe.web.deps import Administrator, ServicesDep
from caseframe.web.services import DeadLetter, DeadLetters, Services

router = APIRouter(prefix="/api/v1/dead-letters", tags=["dead letters"])
_MOST = 1000
_log = structlog.get_logger(__name__)
LetterId = Annotated[str, Field(pattern="^[0-9a-f]{16}$")]


class DeadLetterOut(BaseModel):
    """One of them. `at` is when it was given up; job, path and time are null where unknown."""

    id: str
    queue: str
    job: str | None
    path: str | None
    reason: str
    attempt: int
    at: datetime | None


class Chosen(BaseModel):
    """Which dead letters: these, or `all`; with `queue` only those of it."""

    model_config = ConfigDict(extra="forbid")

    ids: Literal["all"] | Annotated[list[LetterId], Field(max_length=_MOST)]
    queue: str | None = Field(None, max_length=255)


class Count(BaseModel):
    """How many it was done to; fewer than were named where somebody else was quicker."""

    count: int


def there(here: Services) -> DeadLetters:
    """The dead letters of this system. Raises NotFound where nothing goes through a broker."""
    if here.dead_letters is None:
        raise NotFound("there are no dead letters here: the stages run in this process")
    return here.dead_letters


def send_again(here: Services, who: Principal, ids: Sequence[str] | None, queue: str | None) -> int:
    """Send these (None: all) back to their queues; how many. Raises NotFound, ServiceAway."""
    count = there(here).replay(ids, queue)
    _log.info("dead_letters.sent_again", count=count, queue=queue, user=who.user_id)
    return count


def throw_away(here: Services, who: Principal, ids: Sequence[str] | None, queue: str | None) -> int:
    """Throw these (None: all) away; how many. Raises NotFound, ServiceAway."""
    count = there(here).drop(ids, queue)
    _log.info("dead_letters.dropped", count=count, queue=queue, user=who.user_id)
    return count


def _out(letter: DeadLetter) -> DeadLetterOut:
    path = None if letter.path is None else path_text(letter.path)
    return DeadLetterOut(
        id=letter.id, queue=letter.queue, job=letter.job_id, path=path, reason=letter.reason,
        attempt=letter.attempt, at=letter.at,
    )  # fmt: skip


def _ids(wanted: Chosen) -> list[str] | None:
    return None if wanted.ids == "all" else wanted.ids


@router.get("")
def dead_letters(
    here: ServicesDep,
    _who: Administrator,
    queue: Annotated[str | None, Query(max_length=255)] = None,
    limit: Annotated[int, Query(ge=1, le=_MOST, description="a queue")] = _MOST,
) -> list[DeadLetterOut]:
    """Tasks that no worker could deal with, the oldest of each queue first."""
    return [_out(letter) for letter in there(here).list(queue, limit)]


@router.post("/replay")
def replay(here: ServicesDep, who: Administrator, wanted: Chosen) -> Count:
    """Send them back to their queues; 409 where such a queue is gone."""
    return Count(count=send_again(here, who, _ids(wanted), wanted.queue))


@router.post("/drop")
def drop(here: ServicesDep, who: Administrator, wanted: Chosen) -> Count:
    """Throw them away; their tasks stay failed, and can be tried again as tasks."""
    return Count(count=throw_away(here, who, _ids(wanted), wanted.queue))
