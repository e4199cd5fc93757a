"""What a broken connection to RabbitMQ can raise, and how a silent one shows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aiormq.exceptions import AMQPError

from caseframe.domain.text import one_line

LOST = (AMQPError, OSError, EOFError, asyncio.TimeoutError, RuntimeError)
"""What a broken connection can raise; RuntimeError is aiormq's word for a closed channel."""
_SILENT = "it does not answer any more"


@contextmanager
def uncancelled() -> Iterator[None]:
    """Raise ConnectionError where the library says CancelledError, and nobody cancelled us.

    So it ends all that waits for a broker that fell silent. To its callers a task that ends like
    that was given up by us; none of them would do it again.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise ConnectionError(_SILENT) from error


def words(error: BaseException) -> str:
    """One line for people."""
    if isinstance(error, asyncio.CancelledError):
        return _SILENT
    said = str(error).strip() or type(error).__name__
    return one_line(said.splitlines()[0], 200)
