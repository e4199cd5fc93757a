"""The page of dead letters, for administrators."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request, Response

from caseframe.domain.errors import Unroutable
from caseframe.domain.evidence import path_text
from caseframe.web.api.dead_letters import LetterId, send_again, there, throw_away
from caseframe.web.deps import Administrator, ServicesDep
from caseframe.web.render import count_words, page
from caseframe.web.said import done
from caseframe.web.services import DeadLetter, Services

router = APIRouter(prefix="/dead-letters")
_OF_A_QUEUE = 200
_SHOWN = 500
_NONE_CHOSEN = "choose at least one of them"
_JOB = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Row:
    """A dead letter as the table has it; `job` only where it could be one of ours."""

    id: str
    queue: str
    job: str | None
    path: str | None
    reason: str
    attempt: int
    at: datetime | None


def _row(letter: DeadLetter) -> Row:
    job = letter.job_id if letter.job_id and _JOB.fullmatch(letter.job_id) else None
    path = None if letter.path is None else path_text(letter.path)
    return Row(letter.id, letter.queue, job, path, letter.reason, letter.attempt, letter.at)


@dataclass(frozen=True)
class Wanted:
    """Which dead letters a form is about: `ids`, or (None) all, of `queue` or of every queue."""

    ids: list[str] | None
    queue: str | None

    @property
    def words(self) -> str:
        """The same for people."""
        if self.ids is not None:
            return count_words(len(self.ids), "dead letter")
        return f"all dead letters of the queue {self.queue}" if self.queue else "all dead letters"

    @property
    def back(self) -> str:
        """The address of the list that they were chosen from."""
        return "/dead-letters" + (f"?{urlencode({'queue': self.queue})}" if self.queue else "")


async def _wanted(
    ids: Annotated[list[LetterId] | None, Form(alias="id")] = None,
    everything: Annotated[bool, Form(alias="all")] = False,
    queue: Annotated[str, Form(max_length=255)] = "",
) -> Wanted:
    return Wanted(None if everything else ids or [], queue or None)


WantedDep = Annotated[Wanted, Depends(_wanted)]


def _list(
    request: Request, here: Services, queue: str | None, fault: str = "", status: int = 200
) -> Response:
    letters = there(here)
    found = letters.list(queue, _OF_A_QUEUE)
    more = len(found) > _SHOWN or max(Counter(one.queue for one in found).values(), default=0) == (
        _OF_A_QUEUE
    )
    return page(
        request, "dead_letters.html", status=status, rows=[_row(one) for one in found[:_SHOWN]],
        more=more, queue=queue, queues=letters.queues, fault=fault,
    )  # fmt: skip


@router.get("")
def dead_letters(
    request: Request,
    here: ServicesDep,
    _who: Administrator,
    queue: Annotated[str, Query(max_length=255)] = "",
) -> Response:
    """The list, with what can be done about them."""
    return _list(request, here, queue or None)


@router.post("/replay")
def replay(request: Request, here: ServicesDep, who: Administrator, wanted: WantedDep) -> Response:
    """Send them back to their queues."""
    if wanted.ids == []:
        return _list(request, here, wanted.queue, _NONE_CHOSEN, 400)
    try:
        count = send_again(here, who, wanted.ids, wanted.queue)
    except Unroutable as error:
        return _list(request, here, wanted.queue, str(error), 409)
    return done(request, wanted.back, f"{count_words(count, 'dead letter')} sent again.")


@router.post("/drop")
def drop(
    request: Request,
    here: ServicesDep,
    who: Administrator,
    wanted: WantedDep,
    sure: Annotated[bool, Form()] = False,
) -> Response:
    """Ask whether to throw them away; throw them away once that was said."""
    if wanted.ids == []:
        return _list(request, here, wanted.queue, _NONE_CHOSEN, 400)
    if not sure:
        there(here)
        return page(request, "dead_letters_drop.html", wanted=wanted)
    count = throw_away(here, who, wanted.ids, wanted.queue)
    return done(request, wanted.back, f"{count_words(count, 'dead letter')} dropped.")
