"""Who may see a job, remembered for moments: a page of the gallery asks for hundreds of pictures.

Asking accounts and shares anew for each of them would take longer than sending it. What was allowed
a moment ago is taken to be allowed still; whoever lost access is refused within `SECONDS`.
"""

from __future__ import annotations

import time
from typing import Annotated
from weakref import WeakKeyDictionary

from anyio import to_thread
from fastapi import Depends, Path, Request

from caseframe.catalog.database import Catalog
from caseframe.catalog.gallery import gallery_of
from caseframe.domain.access import Action
from caseframe.web.deps import principal, token_of
from caseframe.web.services import Services

SECONDS = 2.0
_MOST = 10_000
_Seen = dict[tuple[str | None, str], tuple[float, int]]
_seen: WeakKeyDictionary[Catalog, _Seen] = WeakKeyDictionary()


async def seen_lately(job_id: Annotated[str, Path(max_length=64)], request: Request) -> int:
    """The number of the gallery of a job that the one who asks may see."""
    here: Services = request.app.state.services
    known = _seen.setdefault(here.catalog, {})
    key = (token_of(request), job_id)
    until, number = known.get(key, (0.0, 0))
    if until > time.monotonic():
        return number
    number = await to_thread.run_sync(_ask, request, here, job_id)
    if len(known) > _MOST:
        known.clear()
    known[key] = time.monotonic() + SECONDS, number
    return number


def _ask(request: Request, here: Services, job_id: str) -> int:
    here.sharing.require(principal(request, here), Action.SEE_JOB, job_id)
    with here.catalog.read() as connection:
        return gallery_of(connection, job_id)


SeenGallery = Annotated[int, Depends(seen_lately)]
