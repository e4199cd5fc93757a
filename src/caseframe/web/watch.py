"""Streams outlast the request that began them: whoever may no longer look on is cut off."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable

from anyio import to_thread

from caseframe.domain.access import AccessError, AccountsAway
from caseframe.domain.errors import CaseframeError

_EVERY = 4.0  # seconds; with news every second, nobody looks on for more than five


async def while_allowed(
    events: AsyncIterator[str], check: Callable[[], object], every: float = _EVERY
) -> AsyncIterator[str]:
    """The events, until `check` refuses; it is asked before one is passed on, at most so often.

    A check that cannot be made now (the catalog is away) is made with the next event.
    """
    checked = time.monotonic()
    async for event in events:
        if time.monotonic() - checked > every:
            if not await to_thread.run_sync(_allowed, check):
                return
            checked = time.monotonic()
        yield event


def _allowed(check: Callable[[], object]) -> bool:
    try:
        check()
    except AccountsAway:
        return True
    except AccessError:
        return False
    except CaseframeError:
        return True
    return True
